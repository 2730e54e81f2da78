"""Cross-entropy of the output of a linear layer, whose logits never exist all at once.

The weights of samples are known before the backward pass if the result is one number. So the gradient is computed chunk by chunk
beside the loss, while a chunk's logits are there, and nothing is computed twice. The rule is one for tangents, a sum of products
with that gradient, which JAX transposes itself: forward mode and higher orders work.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._numbers import divisor, widen
from jdl.functional._reduce import Reduction, reduce
from jdl.losses._classification import cross_entropy

_NAME = "linear_cross_entropy"


def linear_cross_entropy(
    x: jax.Array,
    kernel: jax.Array,
    labels: jax.Array,
    *,
    bias: jax.Array | None = None,
    label_smoothing: float | jax.Array = 0.0,
    chunk: int = 512,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Cross-entropy of `x @ kernel + bias`, with the logits of a few samples at a time: `cross_entropy` for large vocabularies.

    Values and gradients are those of `cross_entropy(x @ kernel + bias, labels)`. Memory is that of one chunk's logits and a copy of
    the kernel; time is the same. With `reduction="none"`, gradients compute the logits a second time.

    Args:
      x: what the last layer gets, `(..., width)`, floating point.
      kernel: its weights, `(width, vocabulary)`, cast to the dtype of `x`; products are summed in float32 at least.
      labels: integers in 0..vocabulary-1, of the leading shape of `x`. Integers out of range are an error where the host sees
        them, and give NaN under jit.
      bias: `(vocabulary,)`.
      label_smoothing: share of probability spread over all classes, in [0, 1]; may be traced.
      chunk: how many samples have logits at a time.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` one number for each sample; of float32 at least.

    Raises:
      TypeError: if `x` is not floating point, or labels are not integers.
      ValueError: if shapes don't fit or a value is out of range.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> x, kernel, labels = jnp.ones((1000, 8)), jnp.eye(8, 20), jnp.arange(1000) % 20
      >>> jnp.allclose(losses.linear_cross_entropy(x, kernel, labels), losses.cross_entropy(x @ kernel, labels)).item()
      True
    """
    x, labels = _check.floating(_NAME, x), _check.array(labels)
    _check_shapes(x, kernel, labels, bias)
    _check.positive(_NAME, chunk=chunk)
    _check.within(_NAME, 0, 1, label_smoothing=label_smoothing)
    _check.choice(_NAME, "reduction", reduction, ("mean", "sum", "none"))
    _check.indices(_NAME, "labels", labels, kernel.shape[1])
    share = reduce(_NAME, jnp.ones(labels.shape, widen(x).dtype), where, weights, "none")
    plain = isinstance(label_smoothing, float | int) and label_smoothing == 0
    smoothing = None if plain else jnp.asarray(label_smoothing, share.dtype)
    return _reduced(x, kernel.astype(x.dtype), bias, smoothing, labels, share, chunk, reduction)


def _check_shapes(x: jax.Array, kernel: jax.Array, labels: jax.Array, bias: jax.Array | None) -> None:
    given = f"x is {_check.describe(x)}"
    if x.ndim < 1 or kernel.ndim != 2 or kernel.shape[0] != x.shape[-1]:
        raise ValueError(f"{_NAME}: kernel must be (width, vocabulary), got {_check.describe(kernel)}, {given}")
    if labels.shape != x.shape[:-1]:
        raise ValueError(f"{_NAME}: labels must have the leading shape of x, got {_check.describe(labels)}, {given}")
    if bias is not None and bias.shape != kernel.shape[1:]:
        raise ValueError(f"{_NAME}: bias must be {list(kernel.shape[1:])}, got {_check.describe(bias)}")


@functools.partial(jax.jit, static_argnums=(6, 7))
def _reduced(
    x: jax.Array,
    kernel: jax.Array,
    bias: jax.Array | None,
    smoothing: jax.Array | None,
    labels: jax.Array,
    share: jax.Array,
    chunk: int,
    reduction: Reduction,
) -> jax.Array:
    cut = functools.partial(_cut, count=max(1, -(-labels.size // chunk)))
    rows, classes = cut(x.reshape(labels.size, x.shape[-1])), cut(labels.reshape(-1))
    if reduction == "none":
        each = jax.checkpoint(lambda part: _losses(_logits(part[0], kernel, bias), smoothing, part[1]))
        values = jnp.moveaxis(jax.lax.map(each, (rows, classes)), 0, 1).reshape(-1)[: labels.size]
        return reduce(_NAME, values.reshape(labels.shape), None, share, reduction)
    if reduction == "mean":
        total = share.sum()
        share = share / divisor(total)
    return _total((rows, cut(share.reshape(-1)), kernel, bias, smoothing), classes)


def _cut(a: jax.Array, count: int) -> jax.Array:
    """`(samples, ...)` as `(count, chunk, ...)`, filled up with zeros.

    A chunk has every `count`-th sample, so that each device that holds a part of the samples holds a part of every chunk.
    """
    chunk = -(-len(a) // count)
    a = jnp.pad(a, [(0, chunk * count - len(a)), *[(0, 0)] * (a.ndim - 1)])
    return jnp.moveaxis(a.reshape(chunk, count, *a.shape[1:]), 1, 0)


def _logits(x: jax.Array, kernel: jax.Array, bias: jax.Array | None) -> jax.Array:
    logits = _product(x, kernel, 1, 0)
    return logits if bias is None else logits + jnp.expand_dims(bias, 0).astype(logits.dtype)


def _product(a: jax.Array, b: jax.Array, axis: int, other: int) -> jax.Array:
    wide = jnp.promote_types(a.dtype, jnp.float32)
    return jax.lax.dot_general(a, b, (((axis,), (other,)), ((), ())), preferred_element_type=wide)


def _losses(logits: jax.Array, smoothing: jax.Array | None, labels: jax.Array) -> jax.Array:
    return cross_entropy(logits, labels, label_smoothing=0.0 if smoothing is None else smoothing, reduction="none")


def _sum(logits: jax.Array, share: jax.Array, smoothing: jax.Array | None, labels: jax.Array) -> jax.Array:
    return reduce(_NAME, _losses(logits, smoothing, labels), None, share, "sum")


@jax.custom_jvp
def _total(moving: Any, labels: jax.Array) -> jax.Array:
    """The weighted sum of losses; `moving` is `(x, share, kernel, bias, smoothing)`, of which the first two come in chunks."""
    x, share, kernel, bias, smoothing = moving

    def add(total: jax.Array, part: Any) -> tuple[jax.Array, None]:
        x, share, labels = part
        return total + _sum(_logits(x, kernel, bias), share, smoothing, labels), None

    return jax.lax.scan(add, jnp.zeros((), share.dtype), (x, share, labels))[0]


def _total_and_gradient(moving: Any, labels: jax.Array) -> tuple[jax.Array, Any]:
    x, share, kernel, bias, smoothing = moving

    @jax.checkpoint  # for second derivatives
    def add(sums: Any, part: Any) -> tuple[Any, Any]:
        x, share, labels = part
        value, pull = jax.vjp(functools.partial(_sum, labels=labels), _logits(x, kernel, bias), share, smoothing)
        slope, to_share, to_smoothing = pull(jnp.ones_like(value))
        narrow = slope.astype(x.dtype)
        to_shared = _product(x, narrow, 0, 0), None if bias is None else slope.sum(0), to_smoothing
        return jax.tree.map(jnp.add, sums, (value, *to_shared)), (_product(narrow, kernel, 1, 1), to_share)

    zero = jax.tree.map(lambda a: jnp.zeros(a.shape, share.dtype), (jnp.zeros(()), kernel, bias, smoothing))
    (value, *to_shared), to_chunks = jax.lax.scan(add, zero, (x, share, labels))
    return value, (*to_chunks, *to_shared)


def _total_jvp(primals: Any, tangents: Any) -> tuple[jax.Array, jax.Array]:
    value, gradient = _total_and_gradient(*primals)
    still = lambda tangent: isinstance(tangent, jax.custom_derivatives.SymbolicZero)
    pairs = zip(jax.tree.leaves(gradient), jax.tree.leaves(tangents[0], is_leaf=still))
    return value, sum(((a * b.astype(a.dtype)).sum() for a, b in pairs if not still(b)), jnp.zeros_like(value))


_total.defjvp(_total_jvp, symbolic_zeros=True)
