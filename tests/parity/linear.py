"""Bilinear maps, gated MLPs, embeddings and adaptive softmax, and what PyTorch calls them."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jdl import functional as F
from jdl import layers as L
from jdl import losses
from parity._case import Case

IDS: Any = np.array([[3, 1, 3], [0, 4, 2], [1, 1, 0], [0, 0, 0]], np.int32)
MASK = IDS != 0  # the last bag is empty


def _gated(name: str, make, activation) -> Case:
    def ours(x, gate, up, down):
        params = {"gate": {"kernel": gate}, "up": {"kernel": up}, "down": {"kernel": down}}
        return make(6).apply(params, {}, x)[0]

    def theirs(torch, x, gate, up, down):
        return (activation(torch, x @ gate) * (x @ up)) @ down

    return Case(name, {"x": (4, 5), "gate": (5, 6), "up": (5, 6), "down": (6, 5)}, ours, theirs)


def _bag(name: str, reduction: Any) -> Case:
    return Case(
        name,
        {"table": (5, 4)},
        lambda table: F.embedding_bag(IDS, table, reduction=reduction, where=MASK),
        lambda torch, table: torch.nn.functional.embedding_bag(torch.tensor(IDS), table, mode=reduction, padding_idx=0),
    )


CLASSES, CUTOFFS, LABELS = 9, [2, 5], np.array([0, 8, 3, 5])
SOFTMAX = {"x": (4, 8), "head": (8, 4), "bias": (4,), "down0": (8, 4), "up0": (4, 3), "down1": (8, 2), "up1": (2, 4)}


def _log_softmax(x, head, bias, down0, up0, down1, up1):
    kernels = {"tail0": (down0, up0), "tail1": (down1, up1)}
    tails = {name: {"down": {"kernel": down}, "up": {"kernel": up}} for name, (down, up) in kernels.items()}
    layer = L.adaptive_log_softmax(CLASSES, CUTOFFS, div_value=2.0, bias=True)
    return layer.apply({"head": {"kernel": head, "bias": bias}} | tails, {}, x)[0]


def _torch_layer(torch, head, bias, down0, up0, down1, up1):
    layer = torch.nn.AdaptiveLogSoftmaxWithLoss(8, CLASSES, CUTOFFS, div_value=2.0, head_bias=True)
    (first, second), (third, fourth) = layer.tail
    kernels = ((layer.head, head), (first, down0), (second, up0), (third, down1), (fourth, up1))
    for module, name, value in (*((module, "weight", kernel.T) for module, kernel in kernels), (layer.head, "bias", bias)):
        delattr(module, name)  # a parameter, in whose place no tensor with a gradient may be set
        setattr(module, name, value)
    return layer


CASES = (
    Case(
        "dense_over_axes",
        {"x": (4, 3, 5), "kernel": (3, 5, 2, 3), "bias": (2, 3)},
        lambda x, kernel, bias: F.dense(x, kernel, bias, axis=(1, 2)),
        lambda torch, x, kernel, bias: torch.tensordot(x, kernel, 2) + bias,
    ),
    Case(
        "einsum",
        {"x": (4, 3, 2), "kernel": (3, 2, 5), "bias": (3, 1)},
        lambda x, kernel, bias: F.einsum("bgd,gdk->bgk", x, kernel, bias),
        lambda torch, x, kernel, bias: torch.einsum("bgd,gdk->bgk", x, kernel) + bias,
    ),
    Case(
        "bilinear",
        {"x1": (4, 2, 5), "x2": (4, 2, 3), "kernel": (5, 3, 6), "bias": (6,)},
        F.bilinear,
        lambda torch, x1, x2, kernel, bias: torch.nn.functional.bilinear(x1, x2, kernel.permute(2, 0, 1), bias),
    ),
    Case(
        "embedding",
        {"table": (5, 4)},
        lambda table: F.embedding(IDS, table, padding_index=1),
        lambda torch, table: torch.nn.functional.embedding(torch.tensor(IDS), table, padding_idx=1),
    ),
    Case(
        "embedding_one_hot",
        {"table": (5, 4)},
        lambda table: F.embedding(IDS, table, padding_index=1, one_hot=True),
        lambda torch, table: torch.nn.functional.embedding(torch.tensor(IDS), table, padding_idx=1),
    ),
    Case(
        "attend",
        {"x": (4, 3, 6), "table": (5, 6)},
        F.attend,
        lambda torch, x, table: torch.nn.functional.linear(x, table),
    ),
    _bag("embedding_bag_mean", "mean"),
    _bag("embedding_bag_sum", "sum"),
    _bag("embedding_bag_max", "max"),
    Case(
        "embedding_bag_weighted",
        {"table": (5, 4), "weights": (4, 3)},
        lambda table, weights: F.embedding_bag(IDS, table, reduction="sum", weights=weights),
        lambda torch, table, weights: torch.nn.functional.embedding_bag(
            torch.tensor(IDS), table, mode="sum", per_sample_weights=weights
        ),
    ),
    _gated("swiglu", L.swiglu, lambda torch, x: torch.nn.functional.silu(x)),
    _gated("geglu", L.geglu, lambda torch, x: torch.nn.functional.gelu(x, approximate="tanh")),
    _gated("reglu", L.reglu, lambda torch, x: torch.relu(x)),
    _gated("glu", lambda hidden: L.gated_mlp(hidden, activation=jax.nn.sigmoid), lambda torch, x: torch.sigmoid(x)),
    Case(
        "maxout",
        {"x": (4, 6, 2)},
        lambda x: F.maxout(x, 3, axis=1),
        lambda torch, x: x.unflatten(1, (2, 3)).amax(2),
    ),
    Case(
        "adaptive_log_softmax",
        SOFTMAX,
        _log_softmax,
        lambda torch, x, **arrays: _torch_layer(torch, **arrays).log_prob(x),
    ),
    Case(
        "adaptive_log_softmax_of_labels",
        SOFTMAX,
        lambda **arrays: losses.negative_log_likelihood(_log_softmax(**arrays), jnp.asarray(LABELS)),
        lambda torch, x, **arrays: _torch_layer(torch, **arrays)(x, torch.tensor(LABELS)).loss,
    ),
)
