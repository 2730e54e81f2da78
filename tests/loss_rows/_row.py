"""What a row of the table of losses says, and what rows share."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

SAMPLES = 6
Draw = Callable[[np.random.Generator, int], Any]


@dataclasses.dataclass(frozen=True, eq=False)
class Row:
    """A loss (or a metric with the contract of losses) and the facts that properties need.

    Attributes:
      name: of the test.
      loss: `(predictions, targets, *, where=None, weights=None, reduction="mean")`; options are bound with `functools.partial`.
      predictions: from a generator and a number of samples to an array, or a tuple of arrays, with a first axis of samples.
      targets: likewise.
      reference: from NumPy's predictions and targets in float64 to what `reduction="none"` gives, by an independent formula.
      extremes: pairs of predictions and targets at which value and gradient must be finite, such as logits of 1e4.
      wrong: pairs of the arguments `(predictions, targets)` and a regex of the message that they must give.
      alone: whether the loss of a sample depends on that sample alone; if not, weights are not compared with repetition.
      smooth: whether it has a gradient to be compared with finite differences (metrics have none).
    """

    name: str
    loss: Callable[..., jax.Array]
    predictions: Draw
    targets: Draw
    reference: Callable[[Any, Any], np.ndarray]
    extremes: tuple[tuple[Any, Any], ...] = ()
    wrong: tuple[tuple[tuple[Any, Any], str], ...] = ()
    alone: bool = True
    smooth: bool = True

    def sample(self, rng: np.random.Generator) -> tuple[Any, Any]:
        """Random predictions and targets; floats in float64, with values that float32 has too."""
        round_off = lambda x: (
            np.asarray(x).astype("float32").astype("float64") if np.asarray(x).dtype.kind == "f" else np.asarray(x)
        )
        return jax.tree.map(round_off, (self.predictions(rng, SAMPLES), self.targets(rng, SAMPLES)))


def normal(*shape: int, scale: float = 1.0) -> Draw:
    """Draws from a normal distribution, for each sample this shape."""
    return lambda rng, samples: scale * rng.normal(size=(samples, *shape))


def uniform(*shape: int, low: float = 0.0, high: float = 1.0) -> Draw:
    """Draws uniformly between two numbers."""
    return lambda rng, samples: rng.uniform(low, high, size=(samples, *shape))


def integers(below: int, *shape: int) -> Draw:
    """Draws integers from 0 to `below - 1`."""
    return lambda rng, samples: rng.integers(below, size=(samples, *shape))


def distribution(*shape: int) -> Draw:
    """Draws probabilities that sum to 1 along the last axis, none near 0, where logarithms are too steep for finite differences."""
    return lambda rng, samples: 0.2 / shape[-1] + 0.8 * rng.dirichlet(np.ones(shape[-1]), size=(samples, *shape[:-1]))
