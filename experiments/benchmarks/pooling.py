"""The gradient of max-pooling in a compiled loop: lax's reduce_window, jdl's and, where it is installed, PyTorch's.

python experiments/benchmarks/pooling.py
"""

import functools
import importlib.util
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _measure import environment, show, side_by_side

from jdl import functional

STEPS = 4
CASES = [(64, 28, 32, 2, 2), (64, 28, 32, 3, 2), (8, 28, 32, 5, 1), (4, 72, 16, 24, 24)]


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
    torch: Any = importlib.import_module("torch")

    given = torch.tensor(np.moveaxis(np.asarray(x), -1, 1)).contiguous(memory_format=torch.channels_last)

    def steps():
        x = given
        for _ in range(STEPS):
            x = x.detach().requires_grad_()
            (slope,) = torch.autograd.grad(torch.nn.functional.max_pool2d(x, window, stride).square().sum(), x)
            x = x.detach() - 1e-3 * slope
        return np.asarray(x)

    return steps


def main():
    environment()
    rows = {}
    for batch, size, channels, window, stride in CASES:
        x = jax.random.normal(jax.random.key(0), (batch, size, size, channels))
        contestants = {name: in_loop(pool, x, window, stride) for name, pool in {"jdl": jdl_pool, "lax": lax_pool}.items()}
        contestants |= {"PyTorch": in_torch(x, window, stride)} if importlib.util.find_spec("torch") else {}
        row = f"{batch} x {size} x {size} x {channels}, window {window}, stride {stride}"
        rows[row] = side_by_side(contestants, rounds=7)
    show(f"gradient of max-pooling, {STEPS} steps in a loop", rows)


if __name__ == "__main__":
    main()
