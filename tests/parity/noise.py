"""Dropouts and what PyTorch calls them: masks differ, but neither what kept and dropped entries become, nor what shares a mask."""

import functools

import jax
import jax.numpy as jnp

from jdl import functional as F
from parity._case import Case

SHAPE = (64, 5, 4, 8)  # so many that some are kept and some are dropped, whatever the key


def _ours(drop):
    def values(x):
        y = drop(jax.random.key(0), jnp.broadcast_to(x, SHAPE))
        spread = (y.max((1, 2)) - y.min((1, 2))).max()  # within a channel
        return jnp.stack([y.max(), y.min(), spread])

    return values


def _theirs(drop):
    def values(torch, x):
        y = drop(torch)(x.expand(*SHAPE).permute(0, 3, 1, 2))
        spread = (y.amax((2, 3)) - y.amin((2, 3))).amax()
        return torch.stack([y.amax(), y.amin(), spread])

    return values


def _case(name: str, ours, theirs: str, rate: float) -> Case:
    def drop(torch):
        return functools.partial(getattr(torch.nn.functional, theirs), p=rate, training=True)

    return Case(f"{name}_{rate}", {"x": (1, 1, 1, 1)}, _ours(functools.partial(ours, rate=rate)), _theirs(drop))


CASES = tuple(
    _case(name, ours, theirs, rate)
    for rate in (0.0, 0.3, 1.0)
    for name, ours, theirs in (
        ("dropout", F.dropout, "dropout"),
        ("spatial_dropout", F.spatial_dropout, "dropout2d"),
        ("alpha_dropout", F.alpha_dropout, "alpha_dropout"),
        ("feature_alpha_dropout", F.feature_alpha_dropout, "feature_alpha_dropout"),
    )
)
