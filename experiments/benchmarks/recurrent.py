"""An LSTM: jdl's, a plain scan in JAX and, where it is installed, PyTorch's.

python experiments/benchmarks/recurrent.py
"""

import functools
import importlib
import importlib.util
from collections.abc import Callable

import jax
import jax.numpy as jnp
from _measure import environment, show, side_by_side

from jdl import functional

BATCH, TIME, IN, FEATURES = 64, 128, 64, 128


def ours(x, kernel, recurrent_kernel, bias):
    return functional.lstm(x, kernel, recurrent_kernel, bias)[0]


def plain(x, kernel, recurrent_kernel, bias):
    """What one writes first: inputs projected before the loop, sigmoids and products as they come."""

    def step(carry, z):
        h, c = carry
        i, f, g, o = jnp.split(z + h @ recurrent_kernel, 4, axis=-1)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        h = jax.nn.sigmoid(o) * jnp.tanh(c)
        return (h, c), h

    zeros = jnp.zeros((BATCH, FEATURES))
    return jax.lax.scan(step, (zeros, zeros), x.swapaxes(0, 1) @ kernel + bias)[1].swapaxes(0, 1)


def in_jax(lstm, arguments):
    """Compiled calls: the output, and the gradient, of params and input, of the sum of its squares."""
    forward = jax.jit(lstm)
    gradient = jax.jit(jax.grad(lambda *args: jnp.square(lstm(*args)).sum(), range(4)))
    return functools.partial(forward, *arguments), functools.partial(gradient, *arguments)


def in_torch(arguments):
    """The same two calls in PyTorch, with the same weights."""
    torch = importlib.import_module("torch")
    x, kernel, recurrent_kernel, bias = (torch.from_numpy(jax.device_get(a).copy()) for a in arguments)
    layer = torch.nn.LSTM(IN, FEATURES, batch_first=True)
    weights = {"weight_ih_l0": kernel.T, "weight_hh_l0": recurrent_kernel.T, "bias_ih_l0": bias, "bias_hh_l0": 0 * bias}
    layer.load_state_dict(weights)
    x.requires_grad_()

    def forward():
        with torch.no_grad():
            layer(x)

    def gradient():
        layer.zero_grad()
        x.grad = None
        layer(x)[0].square().sum().backward()

    return forward, gradient


def main():
    environment()
    shapes = (BATCH, TIME, IN), (IN, 4 * FEATURES), (FEATURES, 4 * FEATURES), (4 * FEATURES,)
    keys = jax.random.split(jax.random.key(0), 4)
    arguments = [jax.random.normal(key, shape) * scale for key, shape, scale in zip(keys, shapes, (1, 0.1, 0.1, 0.1))]
    contestants: dict[str, tuple[Callable, Callable]] = {"jdl": in_jax(ours, arguments), "plain JAX": in_jax(plain, arguments)}
    if importlib.util.find_spec("torch"):
        contestants["PyTorch"] = in_torch(arguments)
    titles = "forward", "forward and gradient"
    rows = {
        title: side_by_side({name: calls[i] for name, calls in contestants.items()}, rounds=25) for i, title in enumerate(titles)
    }
    show(f"LSTM, batch {BATCH}, time {TIME}, {IN} to {FEATURES} features", rows)


if __name__ == "__main__":
    main()
