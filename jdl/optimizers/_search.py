"""How far to go along a direction."""

from typing import Any

import optax


def search_from_one(linesearch: optax.GradientTransformationExtraArgs) -> optax.GradientTransformationExtraArgs:
    """A line search that forgets the last step's length: Newton's own length is 1, so each search is to try it first."""

    def update(updates: Any, state: optax.EmptyState, params: Any = None, **extra: Any) -> tuple[Any, optax.EmptyState]:
        return linesearch.update(updates, linesearch.init(params), params, **extra)[0], state

    return optax.GradientTransformationExtraArgs(lambda params: optax.EmptyState(), update)


def along(
    direction: optax.GradientTransformationExtraArgs, linesearch: optax.GradientTransformationExtraArgs | None
) -> optax.GradientTransformationExtraArgs:
    """The direction, as far as the line search says, or all the way without one."""
    return direction if linesearch is None else optax.chain(direction, linesearch)


BACKTRACKING = search_from_one(optax.scale_by_backtracking_linesearch(20, decrease_factor=0.5))
