"""What is compared with PyTorch: one function of some arrays, written for both."""

import dataclasses
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """A function of named arrays.

    Attributes:
      name: of the test, and in the golden file.
      inputs: names and shapes of the arrays that have a gradient, drawn from a normal distribution; or, for other values, arrays.
      ours: from the arrays, by name, to an array.
      torch: from the module `torch` and the tensors, by name, to a tensor of the same shape: layouts are its business.
    """

    name: str
    inputs: Mapping[str, tuple[int, ...] | np.ndarray]
    ours: Callable[..., Any]
    torch: Callable[..., Any]

    def arrays(self) -> dict[str, np.ndarray]:
        """The inputs in float64, with values that float32 has too; always the same."""
        rng = np.random.default_rng(zlib.crc32(self.name.encode()))
        draw = lambda x: rng.normal(size=x).astype(np.float32) if isinstance(x, tuple) else x
        values = {name: np.asarray(draw(x)) for name, x in self.inputs.items()}
        return {name: x.astype(np.float64) if x.dtype.kind == "f" else x for name, x in values.items()}


def weights(shape: tuple[int, ...]) -> np.ndarray:
    """What the output is weighted with before it is summed, so that every entry has a gradient of its own."""
    return np.cos(np.arange(np.prod(shape, dtype=int))).reshape(shape)
