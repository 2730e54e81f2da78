"""How hyperparameters change while a population trains."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.search._axes import Axis

Own = dict[str, jax.Array]
Explore = Callable[[jax.Array, Own], Own]  # from a key and one member's hyperparameters to new ones


def perturb(factors: Sequence[float] = (0.8, 1.2), **bounds: tuple[float, float]) -> Explore:
    """Multiplies each hyperparameter by one of some factors, drawn for it alone.

    Args:
      factors: at least one, all alike.
      **bounds: `(low, high)` of the hyperparameters that must stay within any, such as `rate=(0.0, 0.9)`.

    Returns:
      `(key, hyperparameters) -> hyperparameters`, of one member.

    Raises:
      ValueError: if there are no factors, or bounds are out of order; when called, if there is no such hyperparameter.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import search
      >>> own = {"rate": jnp.float32(0.6), "strength": jnp.float32(3)}
      >>> changed = search.perturb((2.0,), rate=(0.0, 0.9))(jax.random.key(0), own)
      >>> f"{changed['rate']:.1f}, {changed['strength']:.1f}"
      '0.9, 6.0'

    Source: Jaderberg et al., "Population Based Training of Neural Networks", https://arxiv.org/abs/1711.09846.
    """
    if not len(factors):
        raise ValueError("perturb: there must be a factor to choose, got none")
    for name, ends in bounds.items():
        if not hasattr(ends, "__len__") or len(ends) != 2:
            raise ValueError(f"perturb: bounds of {name} must be (low, high), got {_check.describe(ends)}")
        _check.ordered("perturb", low=ends[0], high=ends[1])

    def change(key: jax.Array, own: Own) -> Own:
        _known("perturb", bounds, own)
        changed = {}
        for each, (name, value) in zip(jax.random.split(key, len(own)), own.items()):
            factor = jax.random.choice(each, jnp.asarray(factors, jnp.float32))
            changed[name] = jnp.clip(value * factor, *bounds.get(name, (None, None)))
        return changed

    return change


def resample(probability: float | jax.Array, **axes: Axis) -> Explore:
    """Draws hyperparameters anew, each with some probability, and leaves the others as they are.

    Args:
      probability: of drawing anew, in [0, 1]; may be traced.
      **axes: what each hyperparameter may be, such as `log_uniform(1e-4, 1e-1)`: a function of traced numbers in [0, 1), which
        `choice` is not, since it gives Python objects.

    Returns:
      `(key, hyperparameters) -> hyperparameters`, of one member.

    Raises:
      ValueError: if the probability is out of range; when called, if there is no such hyperparameter.
      TypeError: if an axis does not take traced numbers.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import search
      >>> changed = search.resample(1.0, rate=search.uniform(2, 4))(jax.random.key(0), {"rate": jnp.float32(0.6)})
      >>> bool(2 <= changed["rate"] <= 4)
      True

    Source: Jaderberg et al., "Population Based Training of Neural Networks", https://arxiv.org/abs/1711.09846.
    """
    _check.within("resample", 0, 1, probability=probability)
    for name, axis in axes.items():
        _draws_in_programs(name, axis)

    def change(key: jax.Array, own: Own) -> Own:
        _known("resample", axes, own)
        changed = dict(own)
        for keys, (name, axis) in zip(jax.random.split(key, (len(axes), 2)), axes.items()):
            drawn = axis(jax.random.uniform(keys[0]))
            changed[name] = jnp.where(jax.random.bernoulli(keys[1], probability), drawn, own[name])
        return changed

    return change


def _known(function: str, named: Mapping[str, Any], own: Own) -> None:
    if unknown := [name for name in named if name not in own]:
        raise ValueError(f"{function}: there is no hyperparameter {unknown[0]!r}, there are {sorted(own)}")


def _draws_in_programs(name: str, axis: Axis) -> None:
    try:
        jax.eval_shape(axis, jax.ShapeDtypeStruct((), jnp.float32))
    except TypeError as error:
        good = "search.uniform or search.log_uniform, which take traced numbers; search.choice gives Python objects"
        raise TypeError(f"resample: {name} must be such as {good}") from error
