"""Pools and what PyTorch calls them."""

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from jdl import functional as F
from jdl.functional._fractional_max_pool import pool_at
from parity._case import Case

POSITIVE = np.random.default_rng(0).uniform(0.1, 2, (2, 5, 6, 3)).astype(np.float32)
SAMPLES = np.array([[0.1, 0.45, 0.7], [0.8, 0.3, 0.55]], np.float32)  # for each sample and axis
SIZES = {1: (11,), 2: (7, 9), 3: (5, 4, 6)}
TARGETS = {1: (4,), 2: (3, 5), 3: (2, 4, 9)}


def _first(call: Callable) -> Callable:
    """A function of PyTorch's on `x` with its channels first."""
    return lambda torch, x: call(torch, x.movedim(-1, 1)).movedim(1, -1)


def _adaptive(kind: str, pool: Callable, axes: int) -> Case:
    call = _first(lambda torch, x: getattr(torch.nn.functional, f"adaptive_{kind}_pool{axes}d")(x, TARGETS[axes]))
    return Case(f"adaptive_{kind}_pool_{axes}d", {"x": (2, *SIZES[axes], 3)}, lambda x: pool(x, TARGETS[axes]), call)


def _max(axes: int) -> Case:
    """Pooling with indices, what they say, and its inverse: three results side by side."""

    def ours(x):
        values, indices = F.max_pool_with_indices(x, 2)
        restored = F.max_unpool(values, indices, x.shape[1:-1])
        return jnp.concatenate([a.astype(x.dtype).ravel() for a in (values, indices, restored)])

    def theirs(torch, x):
        x = x.movedim(-1, 1)
        values, indices = getattr(torch.nn.functional, f"max_pool{axes}d")(x, 2, return_indices=True)
        torch.use_deterministic_algorithms(False)  # no index is there twice, but PyTorch does not know
        restored = getattr(torch.nn.functional, f"max_unpool{axes}d")(values, indices, 2, output_size=x.shape[2:])
        torch.use_deterministic_algorithms(True)
        return torch.cat([a.movedim(1, -1).to(x.dtype).flatten() for a in (values, indices, restored)])

    return Case(f"max_unpool_{axes}d", {"x": (2, *SIZES[axes], 3)}, ours, theirs)


def _fractional(axes: int) -> Case:
    def theirs(torch, x):
        samples = torch.tensor(SAMPLES[:, None, :axes][..., :: -1 if axes == 2 else 1].copy()).expand(2, 3, axes).to(x.dtype)
        call = getattr(torch.nn.functional, f"fractional_max_pool{axes}d")
        return call(x.movedim(-1, 1), 2, output_size=TARGETS[axes][:1] * axes, _random_samples=samples).movedim(1, -1)

    ours = lambda x: pool_at(jnp.asarray(SAMPLES[:, :axes], x.dtype), x, (2,) * axes, TARGETS[axes][:1] * axes)
    return Case(f"fractional_max_pool_{axes}d", {"x": (2, *SIZES[axes], 3)}, ours, theirs)


CASES = (
    *(_adaptive("avg", F.adaptive_avg_pool, axes) for axes in SIZES),
    *(_adaptive("max", F.adaptive_max_pool, axes) for axes in SIZES),
    *(_max(axes) for axes in SIZES),
    *(_fractional(axes) for axes in (2, 3)),
    *(
        Case(
            f"avg_pool_of_entries_{axes}d",
            {"x": (2, *SIZES[axes], 3)},
            lambda x: F.avg_pool(x, 3, stride=2, padding=1, count_padding=False),
            _first(
                lambda torch, x, axes=axes: getattr(torch.nn.functional, f"avg_pool{axes}d")(x, 3, 2, 1, count_include_pad=False)
            ),
        )
        for axes in SIZES
    ),
    Case(
        "max_pool_wide",
        {"x": (2, 40, 3)},
        lambda x: F.max_pool(x, 19, stride=4),
        _first(lambda torch, x: torch.nn.functional.max_pool1d(x, 19, 4)),
    ),
    Case(
        "max_pool_with_indices_overlapping",
        {"x": (2, 7, 6, 3)},
        lambda x: F.max_pool_with_indices(x, 3, stride=2, padding=1)[1] + 0 * x.sum(),
        _first(lambda torch, x: torch.nn.functional.max_pool2d(x, 3, 2, 1, return_indices=True)[1] + 0 * x.sum()),
    ),
    Case(
        "sum_pool",
        {"x": (2, 7, 6, 3)},
        lambda x: F.sum_pool(x, (3, 2), stride=2),
        _first(lambda torch, x: torch.nn.functional.avg_pool2d(x, (3, 2), 2, divisor_override=1)),
    ),
    Case(
        "lp_pool",
        {"x": (2, 5, 6, 3)},
        lambda x: F.lp_pool(x, (2, 3), power=2, stride=2),
        _first(lambda torch, x: torch.nn.functional.lp_pool2d(x, 2, (2, 3), 2)),
    ),
    *(
        Case(
            f"lp_pool_{axes}d",
            {"x": (2, *SIZES[axes], 3)},
            lambda x: F.lp_pool(x, 3, power=4, stride=2),
            _first(lambda torch, x, axes=axes: getattr(torch.nn.functional, f"lp_pool{axes}d")(x, 4, 3, 2)),
        )
        for axes in (1, 3)
    ),
    Case(
        "lp_pool_of_odd_power",
        {"x": POSITIVE},
        lambda x: F.lp_pool(x, 2, power=3),
        _first(lambda torch, x: torch.nn.functional.lp_pool2d(x, 3, 2)),
    ),
)
