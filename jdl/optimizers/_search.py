"""How far to go along a direction."""

from typing import Any

import optax


def search_from_one(linesearch: optax.GradientTransformationExtraArgs) -> optax.GradientTransformationExtraArgs:
    """A line search that forgets the last step's length: Newton's own length is 1, so each search is to try it first."""

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> tuple[Any, Any]:
        return linesearch.update(updates, linesearch.init(params), params, **extra)[0], state

    return optax.GradientTransformationExtraArgs(nothing, update)


def along(
    init: Any, update: Any, linesearch: optax.GradientTransformationExtraArgs | None = None
) -> optax.GradientTransformationExtraArgs:
    """The transformation that gives a direction, as far as the line search says, or all the way without one."""
    direction = optax.GradientTransformationExtraArgs(init, update)
    return direction if linesearch is None else optax.chain(direction, linesearch)


def nothing(params: Any) -> optax.EmptyState:
    """The state of what keeps none."""
    del params
    return optax.EmptyState()


BACKTRACKING = search_from_one(optax.scale_by_backtracking_linesearch(20, decrease_factor=0.5))
