"""Rows of pooling layers."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jdl import functional as F
from jdl import layers as L
from jdl.layer import Layer
from rows._row import IMAGES, INTEGERS, RANK, Row, array


def _row(name: str, make: Callable[[], Layer], says: str, x: jax.ShapeDtypeStruct = IMAGES[0], **facts) -> Row:
    wrong = (array(4, 2), rf"{says}: x must be .*{RANK}"), (INTEGERS[0], f"{says}: x must be .*|{says}: x must be a {INTEGERS[1]}")
    return Row(name, make, (x,), wrong, **facts)


def _masked(pool: Callable) -> Callable[[], Layer]:
    def forward(x):
        spatial = x.shape[1:-1]
        mask = np.array(np.arange(math.prod(spatial)).reshape(spatial) % 3 != 0)
        mask[tuple(slice(2) for _ in spatial)] = False  # windows in which nothing counts
        return pool(x, mask=jnp.broadcast_to(mask, x.shape[:-1]))

    return lambda: L.function(forward)


def _unpooled(x: jax.Array) -> jax.Array:
    return F.max_unpool(*F.max_pool_with_indices(x, (3, 2), stride=2, padding=1), x.shape[1:-1])


BOXES = array(4, 2, 4)
ROWS = (
    _row("max_pool_wide", lambda: L.max_pool(19, stride=2), "max_pool", array(4, 24, 2)),
    _row("max_pool_masked", _masked(lambda x, mask: F.max_pool(x, 2, mask=mask)), "max_pool"),
    _row("min_pool", lambda: L.min_pool(3, stride=2, padding="SAME"), "min_pool"),
    _row("avg_pool_of_entries", lambda: L.avg_pool(3, stride=2, padding=1, count_padding=False), "avg_pool"),
    _row("avg_pool_masked", _masked(lambda x, mask: F.avg_pool(x, 2, mask=mask)), "avg_pool"),
    _row("sum_pool", lambda: L.sum_pool(2), "sum_pool"),
    _row("lp_pool", lambda: L.lp_pool((2, 3), power=3, stride=1), "lp_pool"),
    _row("soft_pool", lambda: L.soft_pool(3, stride=2, padding="SAME"), "soft_pool"),
    _row("adaptive_avg_pool", lambda: L.adaptive_avg_pool((4, 2)), "adaptive_avg_pool"),
    _row("adaptive_max_pool", lambda: L.adaptive_max_pool((4, 2)), "adaptive_max_pool"),
    _row("spatial_pyramid_pool", lambda: L.spatial_pyramid_pool((1, 2, (3, 4))), "spatial_pyramid_pool"),
    _row("max_unpool", lambda: L.function(_unpooled), "max_pool_with_indices"),
    _row("fractional_max_pool", lambda: L.fractional_max_pool(2, ratio=0.6), "fractional_max_pool", draws=True),
    _row("global_max_pool_masked", _masked(F.global_max_pool), "global_max_pool"),
    _row("global_avg_pool_masked", _masked(F.global_avg_pool), "global_avg_pool"),
    _row("generalized_mean_pool", L.generalized_mean_pool, "generalized_mean_pool"),
    Row(
        "attention_pool",
        lambda: L.attention_pool(5, heads=2),
        (array(4, 6, 4),),
        wrong=(
            (array(4, 2), f"attention_pool: x must be .*{RANK}"),
            (array(4, 6, 3), "attention_pool: scores must be|dense: kernel takes 4 features"),
        ),
        misfits=((array(4, 6, 6), "dense: kernel takes 4 features"),),
    ),
    _row("attention_pool_gated", lambda: L.attention_pool(5, gated=True), "attention_pool"),
    Row(
        "roi_align",
        lambda: L.roi_align((2, 3)),
        (*IMAGES, BOXES),
        wrong=(
            ((array(4, 6, 2), BOXES), r"roi_align: x must be \(batch, height, width, channels\), got float32\[4, 6, 2\]"),
            ((*IMAGES, array(4, 4)), r"roi_align: boxes must be \(batch, n, 4\), got float32\[4, 4\]"),
            ((*IMAGES, array(3, 2, 4)), r"roi_align: boxes must be .* got float32\[3, 2, 4\]"),
            ((*IMAGES, array(4, 2, 4, dtype="int32")), "roi_align: boxes must be a floating-point array, got int32"),
        ),
    ),
)
