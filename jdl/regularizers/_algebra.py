"""What penalties are, and how they are made of one another: sums and multiples of penalties are penalties."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jdl import paths
from jdl.functional import _check
from jdl.functional._numbers import widen

Penalty = Callable[..., jax.Array]


def total(*penalties: Penalty) -> Penalty:
    """Adds penalties: `sum_i penalty_i(params)`.

    Args:
      *penalties: functions of the same arguments, each to a scalar; with none of them the sum is 0.

    Returns:
      A function of those arguments to a scalar.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import regularizers
      >>> penalty = regularizers.total(regularizers.l1(1.0, "**/bias"), regularizers.l2(0.5, "**/kernel"))
      >>> penalty({"kernel": jnp.array([2.0]), "bias": jnp.array([-3.0])}).item()
      5.0
    """

    def penalty(*arguments: Any) -> jax.Array:
        return _sum([one(*arguments) for one in penalties])

    return penalty


def scaled(penalty: Penalty, factor: float | jax.Array) -> Penalty:
    """Multiplies a penalty: `factor * penalty(params)`.

    Args:
      penalty: a function to a scalar.
      factor: at least 0; may be traced.

    Returns:
      A function of the same arguments to a scalar.

    Raises:
      ValueError: if `factor` is a negative number.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import regularizers
      >>> both = regularizers.total(regularizers.l1(1.0), regularizers.l2(1.0))
      >>> regularizers.scaled(both, 0.5)({"kernel": jnp.array([1.0, -3.0])}).item()
      7.0
    """
    _check.within("scaled", 0, float("inf"), factor=factor)
    return lambda *arguments: factor * penalty(*arguments)


def summed(name: str, strength: float | jax.Array, where: str | None, each: Callable[..., jax.Array], *trees: Any) -> Penalty:
    """The penalty `strength * sum each(w, ...)` over the parameters that match, with their counterparts in `trees`."""
    _check.within(name, 0, float("inf"), strength=strength)

    def penalty(params: Any) -> jax.Array:
        chosen = [paths.select(tree, where) for tree in (params, *alike(name, params, trees))]
        return strength * _sum([each(*(widen(_check.floating(name, x, "each parameter")) for x in xs)) for xs in zip(*chosen)])

    return penalty


def alike(name: str, params: Any, trees: tuple[Any, ...]) -> tuple[Any, ...]:
    """`trees`, after a check that each has the structure and shapes of `params`."""
    for tree in trees:
        if jax.tree.map(jnp.shape, tree) != jax.tree.map(jnp.shape, params):
            raise ValueError(f"{name}: takes parameters like {_check.describe(tree)}, got {_check.describe(params)}")
    return trees


def _sum(numbers: list[jax.Array]) -> jax.Array:
    return jax.tree.reduce(jnp.add, numbers, jnp.zeros(()))
