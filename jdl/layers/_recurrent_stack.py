"""Networks of several recurrent layers: in both directions, and one above the other."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.layer import Layer, compose
from jdl.layers._drawing import draws
from jdl.layers._dropout import dropout


def bidirectional(
    forward: Layer,
    backward: Layer,
    *,
    merge: Callable[[list], jax.Array] = lambda outputs: jnp.concatenate(outputs, axis=-1),
) -> Layer:
    """Reads a sequence in both directions and merges the outputs of each time.

    Inputs are those of `recurrent`; the carry is a pair.

    Args:
      forward: such as `recurrent(lstm_cell(64))`.
      backward: such as `recurrent(lstm_cell(64), reverse=True)`.
      merge: of the list of the two outputs; beside each other if not given.

    Returns:
      A Layer from `(batch, time, ...)` to `(y, (carry, carry))`, with sublayers `forward` and `backward`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> layer, x = L.bidirectional(L.recurrent(L.gru_cell(4)), L.recurrent(L.gru_cell(4), reverse=True)), jnp.ones((2, 5, 3))
      >>> params, state = jax.eval_shape(layer.init, jax.random.key(0), x)
      >>> (y, _), _ = jax.eval_shape(layer.apply, params, state, x)
      >>> y.shape
      (2, 5, 8)

    Source: Schuster and Paliwal, "Bidirectional Recurrent Neural Networks", https://doi.org/10.1109/78.650093.
    """

    @compose(forward=forward, backward=backward)
    def both(net, x, *, carry=None, lengths=None, mask=None):
        carries = (None, None) if carry is None else carry
        ahead, end = net.forward(x, carry=carries[0], lengths=lengths, mask=mask)
        back, start = net.backward(x, carry=carries[1], lengths=lengths, mask=mask)
        return merge([ahead, back]), (end, start)

    return both


def recurrent_stack(*layers: Layer, rate: float | jax.Array = 0.0, residual: bool = False) -> Layer:
    """Applies recurrent layers one above the other: each reads what the one below says.

    Inputs are those of `recurrent`; the carry is a tuple, one for each layer.

    Args:
      *layers: such as `recurrent(lstm_cell(64))` or `bidirectional(...)`.
      rate: probability of dropping an entry of what goes from one layer to the next, in [0, 1]; may be traced. The number 0 needs
        no key.
      residual: whether to add the input of each layer to its output; shapes must be equal.

    Returns:
      A Layer from `(batch, time, ...)` to `(y, carries)`, with sublayers named by position, `"0"`, `"1"`, ...

    Raises:
      ValueError: if there is no layer, or `rate` is a number outside [0, 1].

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> layer, x = L.recurrent_stack(*(L.recurrent(L.gru_cell(4)) for _ in range(3)), rate=0.2), jnp.ones((2, 5, 3))
      >>> params, state = jax.eval_shape(layer.init, jax.random.key(0), x)
      >>> (y, carries), _ = jax.eval_shape(layer.apply, params, state, x)
      >>> y.shape, len(carries)
      ((2, 5, 4), 3)

    Source: residual: Wu et al., "Google's Neural Machine Translation System", https://arxiv.org/abs/1609.08144.
    """
    _check.within("recurrent_stack", 0, 1, rate=rate)
    if not layers:
        raise ValueError("recurrent_stack: there must be a layer, got none")
    drops = len(layers) > 1 and draws(rate)

    @compose(**{str(i): layer for i, layer in enumerate(layers)}, **({"drop": dropout(rate)} if drops else {}))
    def stack(net, x, *, carry=None, lengths=None, mask=None):
        carries = (None,) * len(layers) if carry is None else carry
        if len(carries) != len(layers):
            raise ValueError(f"recurrent_stack: carry must be a tuple for {len(layers)} layers, got {_check.describe(carry)}")
        ends = []
        for i, start in enumerate(carries):
            below = net.drop(x) if drops and i else x
            y, end = getattr(net, str(i))(below, carry=start, lengths=lengths, mask=mask)
            if residual:
                _check.same_shape("recurrent_stack", x=x, y=y)
            x = x + y if residual else y
            ends.append(end)
        return x, tuple(ends)

    return stack
