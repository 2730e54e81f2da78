"""Norms and what PyTorch calls them."""

import functools

import jax
import jax.numpy as jnp

from jdl import functional as F
from jdl import layers as L
from parity._case import Case

SHAPES = {"x": (4, 3, 5, 6), "scale": (6,), "bias": (6,)}


def first(x):
    """Channels to the second axis."""
    return x.movedim(-1, 1)


def last(x):
    """Channels to the last axis."""
    return x.movedim(1, -1)


def train(x, scale, bias):
    norm = L.batch_norm()
    return norm.apply({"scale": scale, "bias": bias}, norm.init(jax.random.key(0), x)[1], x, train=True)[0]


def evaluate(x, mean, root, scale, bias):
    state = jax.lax.stop_gradient({"mean": mean, "variance": jnp.square(root) + 0.1})  # in PyTorch they have no gradient
    return L.batch_norm().apply({"scale": scale, "bias": bias}, state, x)[0]


def running(steps):
    """Running mean and variance after each batch, which have no gradient in PyTorch."""
    norm = L.batch_norm(unbiased=True, scale=False, bias=False)

    def step(state, x):
        _, state = norm.apply({}, state, x, train=True)
        return state, state

    states = jax.lax.scan(step, norm.init(jax.random.key(0), steps[0])[1], steps)[1]
    return jax.lax.stop_gradient(jnp.stack([states["mean"], states["variance"]]))


def torch_running(torch, steps):
    norm, seen = torch.nn.BatchNorm1d(steps.shape[-1], affine=False, dtype=steps.dtype), []
    for x in steps.detach():
        norm(x)
        seen.append(torch.stack([norm.running_mean, norm.running_var]))
    return torch.stack(seen, 1) + 0 * steps.sum()


CASES = (
    Case(
        "batch_norm_train",
        SHAPES,
        train,
        lambda torch, x, scale, bias: last(torch.nn.functional.batch_norm(first(x), None, None, scale, bias, True)),
    ),
    Case(
        "batch_norm_evaluate",
        SHAPES | {"mean": (6,), "root": (6,)},
        evaluate,
        lambda torch, x, mean, root, scale, bias: last(
            torch.nn.functional.batch_norm(first(x), mean.detach(), root.detach().square() + 0.1, scale, bias)
        ),
    ),
    Case("batch_norm_running", {"steps": (100, 6, 3)}, running, torch_running),
    Case(
        "group_norm",
        SHAPES,
        functools.partial(F.group_norm, groups=3),
        lambda torch, x, scale, bias: last(torch.nn.functional.group_norm(first(x), 3, scale, bias)),
    ),
    Case(
        "instance_norm",
        SHAPES,
        F.instance_norm,
        lambda torch, x, scale, bias: last(torch.nn.functional.instance_norm(first(x), weight=scale, bias=bias)),
    ),
    Case(
        "layer_norm_of_axes",
        {"x": (4, 3, 5), "scale": (3, 5), "bias": (3, 5)},
        functools.partial(F.layer_norm, axis=(-2, -1)),
        lambda torch, x, scale, bias: torch.nn.functional.layer_norm(x, (3, 5), scale, bias),
    ),
    Case(
        "local_response_norm",
        {"x": (2, 3, 7)},
        functools.partial(F.local_response_norm, size=4, alpha=0.7, k=0.5),
        lambda torch, x: last(torch.nn.functional.local_response_norm(first(x), 4, 0.7, 0.75, 0.5)),
    ),
    Case(
        "unit_norm",
        {"x": (2, 3, 4)},
        functools.partial(F.unit_norm, axis=1),
        lambda torch, x: torch.nn.functional.normalize(x, dim=1),
    ),
)
