"""Multilayer perceptrons."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax
from jax.nn import initializers

from jdl.functional import _check
from jdl.layer import Layer, chain, compose
from jdl.layers._dense import dense
from jdl.layers._drawing import draws
from jdl.layers._dropout import dropout as dropout_layer
from jdl.layers._fitted import fitted


def mlp(
    widths: Sequence[int],
    *,
    activation: Layer | Callable = jax.nn.relu,
    dropout: float | jax.Array = 0.0,
    activate_last: bool = False,
    kernel_init: initializers.Initializer = initializers.lecun_normal(),
    bias_init: initializers.Initializer = initializers.zeros,
) -> Layer:
    """A multilayer perceptron: dense layers with an activation between them.

    Args:
      widths: size of the output of every dense layer; the last is the output's.
      activation: comes after every dense layer but the last.
      dropout: probability of dropping an entry after each activation, in [0, 1]; may be traced. The number 0 leaves dropout out, so
        that training needs no key.
      activate_last: whether the activation comes after the last dense layer too.
      kernel_init: makes the kernels.
      bias_init: makes the biases.

    Returns:
      A Layer from `(..., in)` to `(..., widths[-1])`, whose dense layers are named "0", "1" and so on.

    Raises:
      ValueError: if there is no width, one is not a positive integer, or `dropout` is a number outside [0, 1].

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> params, state = L.mlp((64, 64, 10), dropout=0.1).init(jax.random.key(0), jnp.ones((2, 5)))
      >>> {name: layer["kernel"].shape for name, layer in params.items()}
      {'0': (5, 64), '1': (64, 64), '2': (64, 10)}
    """
    widths = tuple(widths)
    _check.all_positive("mlp", widths=widths)
    if not widths:
        raise ValueError("mlp: widths must have an entry for every dense layer, got none")
    _check.within("mlp", 0, 1, dropout=dropout)
    drops = draws(dropout)
    layers: dict[str, Layer | Callable] = {}
    for i, width in enumerate(widths):
        layers[f"{i}"] = dense(width, kernel_init=kernel_init, bias_init=bias_init)
        if activate_last or i < len(widths) - 1:
            layers[f"activation{i}"] = activation
            layers |= {f"dropout{i}": dropout_layer(dropout)} if drops else {}
    return chain(**layers)


def gated_mlp(
    hidden: int,
    *,
    features: int | None = None,
    activation: Layer | Callable = jax.nn.silu,
    bias: bool = False,
    kernel_init: initializers.Initializer = initializers.lecun_normal(),
    bias_init: initializers.Initializer = initializers.zeros,
) -> Layer:
    """A gated MLP: `y = (activation(x W_gate) * (x W_up)) W_down`.

    `swiglu`, `geglu` and `reglu` are this with an activation of their own; with `jax.nn.sigmoid` it is the paper's GLU.

    Args:
      hidden: width inside.
      features: width of the output; that of the input if not given.
      activation: of the gate.
      bias: whether the three dense layers add one.
      kernel_init: makes the kernels.
      bias_init: makes the biases.

    Returns:
      A Layer from `(..., in)` to `(..., features)`, of the dense layers `gate`, `up` and `down`.

    Raises:
      ValueError: if `hidden` or `features` is not a positive integer.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> params, state = L.gated_mlp(16, activation=jnp.tanh).init(jax.random.key(0), jnp.ones((2, 6)))
      >>> {name: layer["kernel"].shape for name, layer in params.items()}
      {'gate': (6, 16), 'up': (6, 16), 'down': (16, 6)}

    Source: Shazeer, "GLU Variants Improve Transformer", https://arxiv.org/abs/2002.05202.
    """
    _check.positive("gated_mlp", hidden=hidden, **({} if features is None else {"features": features}))
    make = functools.partial(dense, bias=bias, kernel_init=kernel_init, bias_init=bias_init)

    @functools.cache
    def ending_in(features: int) -> Layer:
        @compose(gate=make(hidden), activation=activation, up=make(hidden), down=make(features))
        def forward(net, x):
            return net.down(net.activation(net.gate(x)) * net.up(x))

        return forward

    def choose(x: Any) -> Layer:
        x = _check.floating("gated_mlp", x)
        _check.rank("gated_mlp", x, range(1, 65), "(..., features)")
        return ending_in(x.shape[-1] if features is None else features)

    return fitted(choose)


def swiglu(
    hidden: int,
    *,
    features: int | None = None,
    bias: bool = False,
    kernel_init: initializers.Initializer = initializers.lecun_normal(),
    bias_init: initializers.Initializer = initializers.zeros,
) -> Layer:
    """A gated MLP with SiLU: `y = (silu(x W_gate) * (x W_up)) W_down`.

    Args:
      hidden: width inside.
      features: width of the output; that of the input if not given.
      bias: whether the three dense layers add one.
      kernel_init: makes the kernels.
      bias_init: makes the biases.

    Returns:
      A Layer like `gated_mlp`'s.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> params, state = L.swiglu(16).init(jax.random.key(0), jnp.ones((2, 6)))
      >>> L.swiglu(16).apply(params, state, jnp.ones((2, 6)))[0].shape
      (2, 6)

    Source: Shazeer, "GLU Variants Improve Transformer", https://arxiv.org/abs/2002.05202.
    """
    options = {"features": features, "bias": bias, "kernel_init": kernel_init, "bias_init": bias_init}
    return gated_mlp(hidden, activation=jax.nn.silu, **options)


def geglu(
    hidden: int,
    *,
    features: int | None = None,
    bias: bool = False,
    kernel_init: initializers.Initializer = initializers.lecun_normal(),
    bias_init: initializers.Initializer = initializers.zeros,
) -> Layer:
    """A gated MLP with GELU (as `jax.nn.gelu`, by tanh): `y = (gelu(x W_gate) * (x W_up)) W_down`.

    Args:
      hidden: width inside.
      features: width of the output; that of the input if not given.
      bias: whether the three dense layers add one.
      kernel_init: makes the kernels.
      bias_init: makes the biases.

    Returns:
      A Layer like `gated_mlp`'s.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> params, state = L.geglu(16).init(jax.random.key(0), jnp.ones((2, 6)))
      >>> L.geglu(16).apply(params, state, jnp.ones((2, 6)))[0].shape
      (2, 6)

    Source: Shazeer, "GLU Variants Improve Transformer", https://arxiv.org/abs/2002.05202.
    """
    options = {"features": features, "bias": bias, "kernel_init": kernel_init, "bias_init": bias_init}
    return gated_mlp(hidden, activation=jax.nn.gelu, **options)


def reglu(
    hidden: int,
    *,
    features: int | None = None,
    bias: bool = False,
    kernel_init: initializers.Initializer = initializers.lecun_normal(),
    bias_init: initializers.Initializer = initializers.zeros,
) -> Layer:
    """A gated MLP with ReLU: `y = (relu(x W_gate) * (x W_up)) W_down`.

    Args:
      hidden: width inside.
      features: width of the output; that of the input if not given.
      bias: whether the three dense layers add one.
      kernel_init: makes the kernels.
      bias_init: makes the biases.

    Returns:
      A Layer like `gated_mlp`'s.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> params, state = L.reglu(16).init(jax.random.key(0), jnp.ones((2, 6)))
      >>> L.reglu(16).apply(params, state, jnp.ones((2, 6)))[0].shape
      (2, 6)

    Source: Shazeer, "GLU Variants Improve Transformer", https://arxiv.org/abs/2002.05202.
    """
    options = {"features": features, "bias": bias, "kernel_init": kernel_init, "bias_init": bias_init}
    return gated_mlp(hidden, activation=jax.nn.relu, **options)
