"""The gradient of max-pooling in a compiled loop: lax's reduce_window, jdl's and, where it is installed, PyTorch's.

python experiments/benchmarks/pooling.py
"""

import functools
import importlib.util

import jax
import jax.numpy as jnp
import numpy as np
import rich
from _measure import environment, side_by_side
from rich.table import Table

from jdl import functional

STEPS = 8
CASES = [(64, 28, 32, 2, 2), (64, 28, 32, 3, 2), (16, 28, 32, 5, 1), (4, 64, 16, 24, 24), (4, 64, 16, 24, 4)]


def lax_pool(x, window, stride):
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, window, window, 1), (1, stride, stride, 1), "VALID")


def jdl_pool(x, window, stride):
    return functional.max_pool(x, window, stride=stride)


def in_loop(pool, x, window, stride):
    """Steps of descent on the sum of squares of what is pooled."""
    gradient = jax.grad(lambda x: jnp.square(pool(x, window, stride)).sum())
    steps = jax.jit(lambda x: jax.lax.scan(lambda x, _: (x - 1e-3 * gradient(x), None), x, length=STEPS)[0])
    return functools.partial(steps, x)


def in_torch(x, window, stride):
    import torch

    given = torch.tensor(np.moveaxis(np.asarray(x), -1, 1)).contiguous(memory_format=torch.channels_last)

    def steps():
        x = given
        for _ in range(STEPS):
            x = x.detach().requires_grad_()
            torch.nn.functional.max_pool2d(x, window, stride).square().sum().backward()
            x = x.detach() - 1e-3 * x.grad
        return np.asarray(x)

    return steps


def main():
    environment()
    present = importlib.util.find_spec("torch") is not None
    names = ["lax", "jdl", "PyTorch", "jdl / PyTorch"] if present else ["lax", "jdl"]
    table = Table("gradient of max-pooling, ms for a step of a loop, least of 15", *names)
    for batch, size, channels, window, stride in CASES:
        x = jax.random.normal(jax.random.key(0), (batch, size, size, channels))
        contestants = {name: in_loop(pool, x, window, stride) for name, pool in {"lax": lax_pool, "jdl": jdl_pool}.items()}
        contestants |= {"PyTorch": in_torch(x, window, stride)} if present else {}
        least = {name: 1e3 * taken.min() / STEPS for name, taken in side_by_side(contestants, rounds=15).items()}
        row = [f"{least[name]:.2f}" for name in contestants] + [f"{least['jdl'] / least['PyTorch']:.2f}"] * present
        table.add_row(f"{batch} x {size} x {size} x {channels}, window {window}, stride {stride}", *row)
    rich.print(table)


if __name__ == "__main__":
    main()
