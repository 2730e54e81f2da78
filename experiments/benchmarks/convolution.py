"""Convolution with both gradients, and max-pooling's: jdl's functions against lax's, alone, in a loop, under vmap over kernels.

python experiments/benchmarks/convolution.py
"""

import functools

import jax
import jax.numpy as jnp
from _measure import environment, show, side_by_side

from jdl import functional

CASES = [(64, 28, 32, 64, 3, 1), (64, 14, 64, 128, 3, 1), (32, 32, 64, 64, 3, 2), (32, 28, 64, 64, 5, 1)]
SMALL = [(64, 8, 1, 32, 3, 1), (64, 4, 32, 64, 3, 1)]


def lax_conv(x, kernel, *, stride):
    layout = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel, (stride, stride), "SAME", dimension_numbers=layout)


def lax_pool(x):
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def gradients(conv, stride, x, kernel):
    return jax.grad(lambda x, kernel: jnp.square(conv(x, kernel, stride=stride)).sum(), (0, 1))(x, kernel)


def in_loop(conv, stride, x, kernel, steps=2):
    def step(carry, _):
        dx, dkernel = gradients(conv, stride, *carry)
        return (x + 1e-9 * dx, kernel + 1e-9 * dkernel), None

    return jax.lax.scan(step, (x, kernel), length=steps)[0]


def arrays(case, members=()):
    batch, size, channels, features, window, _ = case
    first, second = jax.random.split(jax.random.key(0))
    x = jax.random.normal(first, (*members, batch, size, size, channels))
    return x, jax.random.normal(second, (*members, window, window, channels, features)) / window


def compare(make, cases, members=(), rounds=5):
    rows = {}
    for case in cases:
        given = arrays(case, members)
        contestants = {}
        for name, conv in {"lax": lax_conv, "jdl": functional.conv}.items():
            contestants[name] = functools.partial(jax.jit(make(functools.partial(conv), case[-1])), *given)
        batch, size, channels, features, window, stride = case
        row = f"{batch} x {size} x {size}, {channels} to {features}, {window}" + f", stride {stride}" * (stride > 1)
        rows[row] = side_by_side(contestants, rounds=rounds)
    return rows


def main():
    environment()
    show("forward and gradients, alone", compare(lambda *a: functools.partial(gradients, *a), CASES))
    show("two steps in a loop", compare(lambda *a: functools.partial(in_loop, *a), CASES, rounds=1))
    show("8 kernels by vmap", compare(lambda *a: jax.vmap(functools.partial(gradients, *a)), SMALL, members=(8,), rounds=3))
    x = jax.random.normal(jax.random.key(0), (64, 28, 28, 32))
    pools = {"lax": lax_pool, "jdl": lambda x: functional.max_pool(x, 2)}
    pools = {name: jax.jit(jax.grad(lambda x, pool=pool: jnp.square(pool(x)).sum())) for name, pool in pools.items()}
    contestants = {name: functools.partial(gradient, x) for name, gradient in pools.items()}
    show("gradient of max-pooling", {"64 x 28 x 28 x 32, window 2": side_by_side(contestants, rounds=15)})


if __name__ == "__main__":
    main()
