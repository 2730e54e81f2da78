"""Weights for others to read."""

import importlib
from pathlib import Path
from typing import Any

from jdl.checkpoint import _files
from jdl.checkpoint._arrays import snapshot


def export(path: str | Path, tree: Any) -> None:
    """Writes a tree of arrays as one safetensors file: names are paths, `0/kernel`. It replaces an old file, whole or not at all.

    Args:
      path: of the file.
      tree: of arrays, such as the params of a final train state.

    Raises:
      ImportError: if safetensors is not installed: `pip install 'jdl[pretrained]'`.
      TypeError: if a leaf is not an array of numbers.
      OSError: if the file can't be written; an old one is as it was.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import checkpoint
      >>> def keep_weights(train_state):
      ...     checkpoint.export("weights.safetensors", {"params": train_state.params, "state": train_state.state})

    Source: https://github.com/huggingface/safetensors.
    """
    try:
        safetensors = importlib.import_module("safetensors.numpy")
    except ImportError as error:
        raise ImportError("export: safetensors is not installed; pip install 'jdl[pretrained]'") from error
    arrays = snapshot(tree)
    for name, array in arrays.items():
        if array.key is not None:
            raise TypeError(f"export: {name} is a random key, which safetensors doesn't know; export params and state only")
    _files.write(Path(path), safetensors.save({name: array.data for name, array in arrays.items()}))
