"""What a row of the table of layers says, and what rows share."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jdl.layer import Layer


def array(*shape: int, dtype: str = "float32") -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, dtype)


Bad = jax.ShapeDtypeStruct | tuple[jax.ShapeDtypeStruct, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Row:
    """A layer and the facts that properties need.

    Attributes:
      name: of the test.
      make: builds the Layer.
      inputs: shapes and dtypes; the first axis of each is a batch of 4.
      wrong: pairs of a bad input, or of a tuple of inputs that are bad together, and a regex of the message that must follow, at
        `init` and at `apply`.
      misfits: likewise, for inputs that fit no params of this row: good for `init`, bad for `apply`.
      draws: whether it draws random numbers in training.
      below: integers are drawn from 0 to this.
      often: whether the properties that take longest to compile are in the default suite; if not, they run with `-m slow`.
    """

    name: str
    make: Callable[[], Layer]
    inputs: tuple[jax.ShapeDtypeStruct, ...] = (array(4, 6),)
    wrong: tuple[tuple[Bad, str], ...] = ()
    misfits: tuple[tuple[Bad, str], ...] = ()
    draws: bool = False
    below: int = 5
    often: bool = False

    def bad(self) -> list[tuple[tuple[jax.ShapeDtypeStruct, ...], str, bool]]:
        """All that it must refuse: inputs, the message, and whether they are bad for the params of this row alone."""
        kinds = ((False, self.wrong), (True, self.misfits))
        return [(x if isinstance(x, tuple) else (x,), message, misfit) for misfit, pairs in kinds for x, message in pairs]

    @property
    def floats(self) -> bool:
        """Whether the inputs are floating point, so that they have gradients."""
        return all(jnp.issubdtype(x.dtype, jnp.inexact) for x in self.inputs)

    def sample(self, rng: np.random.Generator, batch: int = 4) -> tuple[jax.Array, ...]:
        """Random inputs."""

        def one(x):
            shape = (batch, *x.shape[1:])
            draw = rng.normal(size=shape) if jnp.issubdtype(x.dtype, jnp.inexact) else rng.integers(self.below, size=shape)
            return jnp.asarray(draw.astype(x.dtype))

        return tuple(map(one, self.inputs))


IMAGES = (array(4, 6, 5, 2),)
RANK = r"batch, 1 to 3 spatial axes, channels\), got float32\[4, 2\]"
INTEGERS = (array(4, 6, dtype="int32"), r"floating-point array, got int32\[4, 6\]")
SCALAR = (array(), r"float32\[\]")
