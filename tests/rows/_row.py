"""What a row of the table of layers says, and what rows share."""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

from jdl.layer import Layer


def array(*shape: int, dtype: str = "float32") -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, dtype)


@dataclasses.dataclass(frozen=True, eq=False)
class Row:
    """A layer and the facts that properties need.

    Attributes:
      name: of the test.
      make: builds the Layer.
      inputs: shapes and dtypes; the first axis of each is a batch of 4.
      wrong: pairs of one bad input and a regex of the message that it must give, at `init` and at `apply`.
      misfits: likewise, for inputs that fit no params of this row: good for `init`, bad for `apply`.
      draws: whether it draws random numbers in training.
      below: integers are drawn from 0 to this.
      often: whether the properties that take longest to compile are in the default suite; if not, they run with `-m slow`.
    """

    name: str
    make: Callable[[], Layer]
    inputs: tuple[jax.ShapeDtypeStruct, ...] = (array(4, 6),)
    wrong: tuple[tuple[jax.ShapeDtypeStruct, str], ...] = ()
    misfits: tuple[tuple[jax.ShapeDtypeStruct, str], ...] = ()
    draws: bool = False
    below: int = 5
    often: bool = True

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
