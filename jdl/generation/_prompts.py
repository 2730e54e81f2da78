"""Prompts of different lengths as one array."""

from collections.abc import Sequence

import numpy as np

from jdl.functional import _check


def pad_prompts(prompts: Sequence[Sequence[int]], *, multiple: int = 64, padding: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Puts prompts into one array, padded on the right to a multiple of some length, so that few lengths are ever compiled.

    Args:
      prompts: of tokens, of any lengths of at least 1.
      multiple: the array's length is the next multiple of this.
      padding: the token that fills up.

    Returns:
      `(tokens, lengths)`: int32 `(batch, time)` and `(batch,)`, on the host.

    Raises:
      ValueError: if there is no prompt, or an empty one.

    Example:
      >>> from jdl import generation
      >>> generation.pad_prompts([[3, 1, 2], [5]], multiple=4)[0].tolist()
      [[3, 1, 2, 0], [5, 0, 0, 0]]
    """
    _check.positive("pad_prompts", multiple=multiple)
    lengths = np.array([len(prompt) for prompt in prompts], np.int32)
    if not len(lengths) or not lengths.min():
        raise ValueError(f"pad_prompts: prompts must have a token each, their lengths are {lengths.tolist()}")
    tokens = np.full((len(lengths), -(-lengths.max() // multiple) * multiple), padding, np.int32)
    for row, prompt in zip(tokens, prompts):
        row[: len(prompt)] = prompt
    return tokens, lengths
