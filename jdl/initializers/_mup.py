"""Maximal update parametrisation: hyperparameters found on a narrow model serve a wide one.

It has two halves. Initial variances belong to the initializers: input and hidden kernels have variance 1 / in, as with
`lecun_normal`, and the kernel of the output layer has `mup_readout`. Learning rates belong to the optimizer: `mup_multipliers`.
"""

import math
from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax.nn import initializers

from jdl.functional import _check


def mup_readout(base: int) -> Callable[..., jax.Array]:
    """Draws the kernel of the output layer from a normal distribution of variance `base / in^2`; at `in = base` it is 1 / in.

    Args:
      base: number of inputs of the output layer in the narrow model.

    Returns:
      An initializer of kernels, `(..., in, out)`.

    Raises:
      ValueError: if `base` is not a positive integer; when called, if the shape has less than two axes.

    Example:
      >>> import jax
      >>> from jdl import initializers
      >>> f"{initializers.mup_readout(64)(jax.random.key(0), (400, 1000)).std():.3f}"
      '0.020'

    Source: Yang, Hu et al., "Tensor Programs V", https://arxiv.org/abs/2203.03466, table 3.
    """
    _check.positive("mup_readout", base=base)

    def init(key: Any, shape: Any, dtype: Any = None) -> jax.Array:
        if len(shape) < 2:
            raise ValueError(f"mup_readout: the shape must be (..., in, out), got {tuple(shape)}")
        return initializers.normal(math.sqrt(base) / math.prod(shape[:-1]))(key, shape, dtype)

    return init


def mup_multipliers(params: Any, base: Any, *, optimizer: Literal["adam", "sgd"] = "adam") -> Any:
    """Says by what to multiply the learning rate of each parameter of a model, when it was found on a narrower one.

    With `r_in` and `r_out` the ratios of a parameter's inputs and outputs to those in the narrow model, it is `1 / r_in` for Adam
    and its kin, whose updates do not grow with the gradient, and `r_out / r_in` for SGD. Inputs are all axes but the last.

    Args:
      params: params of the model, or their shapes.
      base: params of the narrow model, or their shapes; it differs in width alone.
      optimizer: `"adam"` for all optimizers that divide by the size of the gradient, `"sgd"` with or without momentum.

    Returns:
      A tree of numbers with the structure of `params`.

    Raises:
      ValueError: if the trees differ in structure or rank, or `optimizer` is another word.

    Example:
      >>> import jax, jax.numpy as jnp, optax
      >>> from jdl import initializers, layers as L
      >>> def mlp(width):
      ...     return L.chain(L.dense(width), jax.nn.relu, L.dense(width), jax.nn.relu, head=L.dense(10))
      >>> shapes = [jax.eval_shape(mlp(width).init, jax.random.key(0), jnp.ones((1, 784)))[0] for width in (1024, 128)]
      >>> multipliers = initializers.mup_multipliers(*shapes)
      >>> [multipliers[name]["kernel"] for name in ("0", "2", "head")]
      [1.0, 0.125, 0.125]
      >>> scale = optax.stateless(lambda updates, params: jax.tree.map(jnp.multiply, updates, multipliers))
      >>> optimizer = optax.chain(optax.adam(1e-3), scale)

    Source: Yang, Hu et al., "Tensor Programs V", https://arxiv.org/abs/2203.03466, table 3.
    """
    if optimizer not in ("adam", "sgd"):
        raise ValueError(f'mup_multipliers: optimizer must be "adam" or "sgd", got {optimizer!r}')
    if jax.tree.structure(params) != jax.tree.structure(base):
        raise ValueError("mup_multipliers: params and base differ in structure: base must be the same model, narrower")

    def multiplier(path: Any, wide: Any, narrow: Any) -> float:
        if jnp.ndim(wide) != jnp.ndim(narrow):
            where = jax.tree_util.keystr(path, simple=True, separator="/")
            raise ValueError(f"mup_multipliers: {where} is {_check.describe(wide)}, but {_check.describe(narrow)} in base")
        inputs, outputs = (math.prod(jnp.shape(wide)[at]) / math.prod(jnp.shape(narrow)[at]) for at in (_INPUTS, _OUTPUTS))
        return 1 / inputs if optimizer == "adam" else outputs / inputs

    return jax.tree_util.tree_map_with_path(multiplier, params, base)


_INPUTS, _OUTPUTS = slice(None, -1), slice(-1, None)
