"""The gradient of a two-layer perceptron: jdl's dense layer against `x @ w` in plain JAX.

python experiments/benchmarks/dense.py
"""

import functools

import jax
import jax.numpy as jnp
from _measure import environment, show, side_by_side

from jdl import functional


def plain(x, kernel, bias=None):
    return x @ kernel if bias is None else x @ kernel + bias


def gradient_of(dense, activation, biases):
    """A compiled gradient, of params and input, of the sum of squares of a network's output."""
    shapes = {"x": (16, 128, 256), "kernel1": (256, 1024), "kernel2": (1024, 256)}
    shapes |= {"bias1": (1024,), "bias2": (256,)} if biases else {}
    keys = jax.random.split(jax.random.key(0), len(shapes))
    arguments = {name: jax.random.normal(key, shape) / 16 for key, (name, shape) in zip(keys, shapes.items())}

    def loss(p):
        hidden = activation(dense(p["x"], p["kernel1"], p.get("bias1")))
        return jnp.square(dense(hidden, p["kernel2"], p.get("bias2"))).sum()

    return functools.partial(jax.jit(jax.grad(loss)), arguments)


def main():
    environment()
    rows = {}
    for biases in (False, True):
        for name, activation in {"GELU": jax.nn.gelu, "ReLU": jax.nn.relu}.items():
            contestants = {"plain JAX": plain, "jdl": functional.dense}
            contestants = {key: gradient_of(dense, activation, biases) for key, dense in contestants.items()}
            rows[f"{name}, {'with' if biases else 'without'} biases"] = side_by_side(contestants, rounds=25)
    show("gradient, 2048 rows, 256-1024-256", rows)


if __name__ == "__main__":
    main()
