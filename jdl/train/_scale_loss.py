"""Gradients in half precision that neither vanish nor overflow, and gradients that are measured."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax

from jdl.functional import _check
from jdl.functional._numbers import widen
from jdl.train._state import TrainState, chosen, remembering
from jdl.train._step import Gradient, Step, value_and_gradient

_LARGEST = 2.0**24


def scale_loss(
    make_step: Callable[[Gradient], Step],
    *,
    initial: float | jax.Array = 2.0**15,
    period: int | jax.Array = 2000,
    gradient: Gradient = value_and_gradient,
) -> Step:
    """Makes a step whose gradient is that of the loss times a scale, divided by it again (dynamic loss scaling).

    In float16 small gradients become 0; scaled up they don't. If a gradient overflows, the step changes nothing, and the scale is
    halved; after `period` steps without, it is doubled. It stays in 1 to 2^24. A power of 2 rounds nothing, so in float32 the
    operations give the bits that they give without. bfloat16 has the range of float32 and needs none of this.

    Args:
      make_step: from what `train.step(..., gradient=)` takes to a Step; other steps that keep or skip something belong inside, but
        for `rollback`, which belongs around: a step that overflows undoes what is inside.
      initial: the first scale, in [1, 2^24]; may be traced.
      period: steps without overflow until the scale is doubled, at least 1; may be traced.
      gradient: how the gradient of the scaled loss is computed, such as `train.accumulate(4)`. What measures the gradient belongs
        inside `make_step`: `lambda gradient: train.step(..., gradient=train.with_gradient_norm(gradient))`.

    Returns:
      A Step with two more metrics, `loss_scale`, and `skipped`, 1 or 0; its train state has `memory["scale_loss"]`.

    Raises:
      ValueError: if a number is out of range; at init, if there is a `rollback` inside; at the first step, if `make_step` does not
        use what it is given, or `gradient` adds metrics, which would be of the scaled loss.

    Example:
      >>> import jax, jax.numpy as jnp, optax
      >>> from jdl import layers as L, losses, train
      >>> objective = train.objective(L.precision(L.dense(1), "float16"), losses.mean_squared_error)
      >>> step = train.scale_loss(lambda gradient: train.step(objective, optax.adam(1e-3), gradient=gradient))
      >>> batch = jnp.full((4, 3), 100.0), jnp.zeros((4, 1))
      >>> train_state, metrics = step.update(step.init(jax.random.key(0), batch), batch)
      >>> metrics["skipped"].item(), train_state.memory["scale_loss"]["scale"].item()
      (1.0, 16384.0)

    Source: Micikevicius et al., "Mixed Precision Training", https://arxiv.org/abs/1710.03740.
    """
    _check.within("scale_loss", 1, _LARGEST, initial=initial)
    _check.within("scale_loss", 1, float("inf"), period=period)

    def init(key: jax.Array, batch: Any) -> TrainState:
        memory = {"scale": jnp.asarray(initial, jnp.float32), "good": jnp.zeros((), jnp.int32)}
        train_state = make_step(gradient).init(key, batch)
        if "rollback" in train_state.memory:
            raise ValueError("scale_loss: rollback goes around it: train.rollback(train.scale_loss(...))")
        return remembering("scale_loss", train_state, memory)

    def update(train_state: TrainState, batch: Any) -> tuple[TrainState, dict[str, jax.Array]]:
        memory = train_state.memory["scale_loss"]
        scale, count = memory["scale"], memory["good"] + 1
        new, metrics = make_step(_scaled(gradient, scale)).update(train_state, batch)
        if "overflow" not in metrics:
            raise ValueError(
                "scale_loss: make_step must hand on what it is given: lambda gradient: train.step(..., gradient=gradient)"
            )
        good = metrics["overflow"] == 0
        doubled = good & (count >= period)
        memory = {
            "scale": jnp.clip(jnp.where(doubled, 2 * scale, jnp.where(good, scale, scale / 2)), 1, _LARGEST),
            "good": jnp.where(doubled | ~good, 0, count),
        }
        new = chosen(good, new, train_state)
        kept = {name: metric for name, metric in metrics.items() if name != "overflow"}
        skipped = jnp.maximum(metrics.get("skipped", 0.0), 1.0 - good)
        return new.replace(memory=new.memory | {"scale_loss": memory}), kept | {"loss_scale": scale, "skipped": skipped}

    return Step(init, update)


def _scaled(gradient: Gradient, scale: jax.Array) -> Gradient:
    """The gradient by way of a scaled loss, with one more metric, `overflow`."""

    def of(apply: Callable) -> Callable:
        def scaled(*arguments: Any) -> tuple[jax.Array, Any]:
            loss, (state, metrics) = apply(*arguments)
            return loss * scale, (state, {"own": metrics})  # apart from those that the gradient adds

        def unscaled(*arguments: Any) -> tuple[Any, Any]:
            (value, (state, metrics)), slope = gradient(scaled)(*arguments)
            if added := metrics.keys() - {"own"}:
                raise ValueError(
                    f"scale_loss: gradient measures the scaled loss: {', '.join(sorted(added))}; measure inside make_step:"
                    " lambda gradient: train.step(..., gradient=train.with_gradient_norm(gradient))"
                )
            slope = jax.tree.map(lambda g: (widen(g) / scale).astype(g.dtype), slope)
            fine = jnp.stack([jnp.isfinite(g).all() for g in jax.tree.leaves(slope)]).all()
            return (value / scale, (state, metrics["own"] | {"overflow": 1.0 - fine})), slope

        return unscaled

    return of


def with_gradient_norm(gradient: Gradient = value_and_gradient) -> Gradient:
    """Makes what `train.step(..., gradient=with_gradient_norm())` takes: the gradient, and its norm as one more metric.

    Args:
      gradient: how the gradient is computed, such as `train.accumulate(4)`.

    Returns:
      A function to take the place of `jax.value_and_grad(..., has_aux=True)`; its metrics have `gradient_norm`, over all
      parameters, before the optimizer clips it.

    Example:
      >>> import jax, jax.numpy as jnp, optax
      >>> from jdl import layers as L, losses, train
      >>> objective = train.objective(L.dense(1), losses.mean_squared_error)
      >>> step = train.step(objective, optax.adam(1e-3), gradient=train.with_gradient_norm())
      >>> step = train.skip_spikes(step, 10.0, by="gradient_norm")
      >>> batch = jnp.ones((32, 3)), jnp.zeros((32, 1))
      >>> sorted(step.update(step.init(jax.random.key(0), batch), batch)[1])
      ['gradient_norm', 'loss', 'skipped']
    """

    def of(apply: Callable) -> Callable:
        def measured(*arguments: Any) -> tuple[Any, Any]:
            (value, (state, metrics)), slope = gradient(apply)(*arguments)
            norm = optax.tree.norm(jax.tree.map(widen, slope))
            return (value, (state, metrics | {"gradient_norm": norm})), slope

        return measured

    return of
