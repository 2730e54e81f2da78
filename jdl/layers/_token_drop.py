"""A layer that drops tokens."""

from jdl import functional
from jdl.functional._token_drop import enough_tokens, sizes
from jdl.layer import Layer
from jdl.layers._drawing import drawing


def token_drop(keep: int, *, prefix: int = 0) -> Layer:
    """Keeps a fixed number of random tokens of every sample in training, in their order, and all in evaluation.

    The output is shorter in training than in evaluation, so what follows must take sequences of any length. Positions are added
    before. Where the indices of the kept tokens are needed, use `functional.token_drop`.

    Args:
      keep: number of tokens to keep behind the first `prefix`.
      prefix: number of first tokens that are always kept, such as 1 for a class token.

    Returns:
      A Layer from `(batch, tokens, features)` to `(batch, prefix + keep, features)` in training, where it needs a key, and to
      `(batch, tokens, features)` in evaluation.

    Raises:
      ValueError: if `keep` is not positive, `prefix` is below 0, or no key is given in training.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> drop, x = L.token_drop(49, prefix=1), jnp.ones((2, 197, 8))
      >>> drop.apply({}, {}, x, key=jax.random.key(0), train=True)[0].shape, drop.apply({}, {}, x)[0].shape
      ((2, 50, 8), (2, 197, 8))

    Source: Liu et al., "PatchDropout: Economizing Vision Transformers Using Patch Dropout", https://arxiv.org/abs/2208.07220.
    """
    sizes("token_drop", keep, prefix)
    return drawing(
        "token_drop",
        lambda key, x: functional.token_drop(key, x, keep, prefix=prefix)[0],
        lambda x: enough_tokens(x, keep, prefix),
    )
