"""Batch normalisation with running statistics: plain, renormalised, and with weights by class."""

import functools
import math
from collections.abc import Hashable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.nn import initializers

from jdl import functional
from jdl.functional import _check
from jdl.functional._batch_norm import Mapped
from jdl.functional._modulate import per_sample
from jdl.layer import Layer
from jdl.layers._affine import affine
from jdl.layers._running import Running


def batch_norm(
    *,
    momentum: float | jax.Array = 0.9,
    epsilon: float = 1e-5,
    unbiased: bool = False,
    debias: bool = False,
    ghost_size: int | None = None,
    axis_name: Hashable | None = None,
    axis_index_groups: Sequence[Sequence[int]] | None = None,
    scale: bool = True,
    bias: bool = True,
    scale_init: initializers.Initializer = initializers.ones,
    bias_init: initializers.Initializer = initializers.zeros,
) -> Layer:
    """Normalises every feature, by the batch's statistics in training and by running ones in evaluation.

    In training, `running = momentum * running + (1 - momentum) * batch`, for the mean (which starts at 0) and the biased variance
    (which starts at 1). Statistics are kept in float32 at least. PyTorch's momentum is `1 - momentum`, and its running variance is
    unbiased: with `momentum=0.9, unbiased=True` running statistics are those of its defaults.

    Args:
      momentum: weight of the old running statistics, in [0, 1]; may be traced.
      epsilon: what keeps the root away from zero.
      unbiased: whether the running variance averages `variance * n / (n - 1)`; a batch is always normalised by the biased one.
      debias: whether running statistics forget what they started at, so that after few batches they are those batches' weighted
        mean; `momentum=1` is then the plain mean of all batches. State gains `count`, the number of batches that it stands for.
      ghost_size: how many samples at a time are normalised together in training; the whole batch if not given. Running statistics
        move once, towards the mean of those of all ghost batches.
      axis_name: name (or names) of mapped axes whose members share statistics, under `vmap`, `shard_map` or `pmap`. Under `jit`,
        statistics of a sharded batch are global by themselves.
      axis_index_groups: lists of the indices of `axis_name` (one name) that share statistics, such as `[[0, 1], [2, 3]]`.
      scale: whether to scale.
      bias: whether to add a bias.
      scale_init: makes the scale, `(features,)`.
      bias_init: makes the bias, `(features,)`.

    Returns:
      A Layer on `(batch, ..., features)` with params `scale` and `bias` and state `mean` and `variance`. It takes `mask=`, bools
      of the leading shape of the input, features left out: only what is True counts in statistics, everything is normalised, and a
      batch of which nothing counts leaves the state as it is.

    Raises:
      ValueError: if `momentum` is a number outside [0, 1] or `epsilon` below 0, groups are not those of one axis, `ghost_size` is
        not a positive integer or stands with `axis_name`, or does not divide a batch.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> x, norm = jnp.array([[1.0], [3.0]]), L.batch_norm()
      >>> params, state = norm.init(jax.random.key(0), x)
      >>> y, state = norm.apply(params, state, x, train=True)
      >>> y.round(3).ravel().tolist(), state["mean"].round(3).item()
      ([-1.0, 1.0], 0.20000000298023224)

    Source: Ioffe and Szegedy, "Batch Normalization", https://arxiv.org/abs/1502.03167. Ghost batches: Hoffer et al., "Train longer,
    generalize better", https://arxiv.org/abs/1705.08741.
    """
    mapped = Mapped.of("batch_norm", axis_name, axis_index_groups)
    running = Running("batch_norm", momentum, mapped, unbiased, debias)
    _check.within("batch_norm", 0, float("inf"), epsilon=epsilon)
    if ghost_size is not None:
        _check.positive("batch_norm", ghost_size=ghost_size)
        if axis_name is not None:
            raise ValueError("batch_norm: ghost_size splits a batch, axis_name joins several: only one can be given")

    def init(key: jax.Array, x: Any, *, mask: Any = None) -> tuple[dict, dict]:
        return affine(
            key, x.shape[-1:], x, scale_init=scale_init if scale else None, bias_init=bias_init if bias else None
        ), running.init(x)

    def apply(
        params: dict, state: dict, x: jax.Array, *, mask: Any = None, key: Any = None, train: bool = False
    ) -> tuple[jax.Array, dict]:
        del key  # nothing is drawn
        x = running.check(state, x)
        normalise = functools.partial(functional.batch_norm, scale=params.get("scale"), bias=params.get("bias"), epsilon=epsilon)
        if not train:
            return normalise(x, state["mean"], state["variance"]), state
        if ghost_size is None:
            own, batch = running.statistics(x, mask)
            return normalise(x, *own), running.move(state, batch)
        y, batch = running.by_ghosts(normalise, ghost_size, x, mask)
        return y, running.move(state, batch)

    return Layer(init, apply)


def batch_renorm(
    *,
    r_max: float | jax.Array = 3.0,
    d_max: float | jax.Array = 5.0,
    momentum: float | jax.Array = 0.9,
    epsilon: float = 1e-5,
    axis_name: Hashable | None = None,
    scale_init: initializers.Initializer = initializers.ones,
    bias_init: initializers.Initializer = initializers.zeros,
) -> Layer:
    """Batch norm whose training uses running statistics too, for batches that are small or not alike.

    The batch's statistics are corrected towards the running ones, as far as `r_max` and `d_max` allow; see
    `jdl.functional.batch_renorm`. The paper trains with 1 and 0 first, which is batch norm, and then relaxes them slowly. Running
    statistics are those of `batch_norm`, so the variance is averaged, where the paper averages its root.

    Args:
      r_max: limit of the ratio of deviations, at least 1; may be traced.
      d_max: limit of the shift in deviations, at least 0; may be traced.
      momentum: weight of the old running statistics, in [0, 1]; may be traced.
      epsilon: what is added to variances.
      axis_name: name (or names) of mapped axes whose members share statistics.
      scale_init: makes the scale, `(features,)`.
      bias_init: makes the bias, `(features,)`.

    Returns:
      A Layer on `(batch, ..., features)` with params `scale` and `bias` and state `mean` and `variance`. It takes `mask=`, as
      `batch_norm` does.

    Raises:
      ValueError: if a number is out of range.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> x, norm = jnp.array([[1.0], [3.0]]), L.batch_renorm(epsilon=0)
      >>> params, state = norm.init(jax.random.key(0), x)
      >>> norm.apply(params, state, x, train=True)[0].ravel().tolist()
      [1.0, 3.0]

    Source: Ioffe, "Batch Renormalization", https://arxiv.org/abs/1702.03275.
    """
    running = Running("batch_renorm", momentum, Mapped(axis_name, None))
    _check.within("batch_renorm", 1, math.inf, r_max=r_max)
    _check.within("batch_renorm", 0, math.inf, d_max=d_max, epsilon=epsilon)

    def init(key: jax.Array, x: Any, *, mask: Any = None) -> tuple[dict, dict]:
        state = running.init(x)
        return affine(key, x.shape[-1:], x, scale_init=scale_init, bias_init=bias_init), state

    def apply(
        params: dict, state: dict, x: jax.Array, *, mask: Any = None, key: Any = None, train: bool = False
    ) -> tuple[jax.Array, dict]:
        del key  # nothing is drawn
        x = running.check(state, x)
        old, weights = (state["mean"], state["variance"]), (params["scale"], params["bias"])
        if not train:
            return functional.batch_norm(x, *old, *weights, epsilon=epsilon), state
        own, batch = running.statistics(x, mask)
        y = functional.batch_renorm(x, *own, *old, *weights, r_max=r_max, d_max=d_max, epsilon=epsilon)
        return y, running.move(state, batch)

    return Layer(init, apply)


def conditional_batch_norm(
    classes: int,
    *,
    momentum: float | jax.Array = 0.9,
    epsilon: float = 1e-5,
    axis_name: Hashable | None = None,
    scale_init: initializers.Initializer = initializers.ones,
    bias_init: initializers.Initializer = initializers.zeros,
) -> Layer:
    """Batch norm with a scale and a bias for every class; statistics are those of all classes together.

    Args:
      classes: how many there are.
      momentum: weight of the old running statistics, in [0, 1]; may be traced.
      epsilon: what keeps the root away from zero.
      axis_name: name (or names) of mapped axes whose members share statistics.
      scale_init: makes the scales, `(classes, features)`.
      bias_init: makes the biases, `(classes, features)`.

    Returns:
      A Layer on `(batch, ..., features)` and labels `(batch,)` in 0..classes-1, with params `scale` and `bias` and state `mean` and
      `variance`. It takes `mask=`, as `batch_norm` does.

    Raises:
      ValueError: if `classes` is not a positive integer, `momentum` a number outside [0, 1], or `epsilon` one below 0.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> x, labels = jnp.ones((2, 4, 4, 3)), jnp.array([7, 0])
      >>> params, state = L.conditional_batch_norm(10).init(jax.random.key(0), x, labels)
      >>> params["scale"].shape, state["mean"].shape
      ((10, 3), (3,))

    Source: de Vries et al., "Modulating early visual processing by language", https://arxiv.org/abs/1707.00683.
    """
    running = Running("conditional_batch_norm", momentum, Mapped(axis_name, None))
    _check.within("conditional_batch_norm", 0, float("inf"), epsilon=epsilon)
    _check.positive("conditional_batch_norm", classes=classes)

    def init(key: jax.Array, x: Any, labels: Any, *, mask: Any = None) -> tuple[dict, dict]:
        state = running.init(x)
        return affine(key, (classes, x.shape[-1]), x, scale_init=scale_init, bias_init=bias_init), state

    def apply(
        params: dict, state: dict, x: jax.Array, labels: jax.Array, *, mask: Any = None, key: Any = None, train: bool = False
    ) -> tuple[jax.Array, dict]:
        del key  # nothing is drawn
        x = running.check(state, x)
        _check.indices("conditional_batch_norm", "labels", labels := _check.array(labels), classes)
        wide = x.astype(state["mean"].dtype)
        own, batch = running.statistics(wide, mask) if train else ((state["mean"], state["variance"]), None)
        y = functional.batch_norm(wide, *own, epsilon=epsilon)
        for name, combine in (("scale", jnp.multiply), ("bias", jnp.add)):
            of_label = functional.embedding(labels, params[name])
            y = combine(y, per_sample("conditional_batch_norm", f"{name} of labels", of_label, y))
        return y.astype(x.dtype), state if batch is None else running.move(state, batch)

    return Layer(init, apply)
