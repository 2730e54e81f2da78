"""The gradient of a two-layer perceptron: jdl's dense layer against `x @ w` in plain JAX.

python experiments/benchmarks/dense.py
"""

import jax
import jax.numpy as jnp
from _measure import environment, show, side_by_side

from jdl import functional

ACTIVATIONS = {"GELU": jax.nn.gelu, "ReLU": jax.nn.relu}


def plain(x, kernel, bias):
    return x @ kernel + bias


def gradient_of(dense, activation, shapes):
    """A compiled gradient, of params and input, of the sum of squares of a network's output."""
    keys = jax.random.split(jax.random.key(0), len(shapes))
    arguments = [jax.random.normal(key, shape) / 16 for key, shape in zip(keys, shapes)]

    def loss(x, kernel1, bias1, kernel2, bias2):
        return jnp.square(dense(activation(dense(x, kernel1, bias1)), kernel2, bias2)).sum()

    gradient = jax.jit(jax.grad(loss, range(5)))
    return lambda: gradient(*arguments)


def main():
    environment()
    shapes = [(16, 128, 256), (256, 1024), (1024,), (1024, 256), (256,)]
    rows = {}
    for name, activation in ACTIVATIONS.items():
        contestants = {"plain JAX": plain, "jdl": functional.dense}
        contestants = {key: gradient_of(dense, activation, shapes) for key, dense in contestants.items()}
        rows[name] = side_by_side(contestants, rounds=15)
    show("gradient, 2048 rows, 256-1024-256", rows)


if __name__ == "__main__":
    main()
