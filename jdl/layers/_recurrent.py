"""The layer of every recurrent cell, and what is built of several."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from jdl import functional
from jdl.functional import Recurrence, _check
from jdl.layer import Layer, compose, derive
from jdl.layers._drawing import draws, need_key
from jdl.layers._dropout import dropout
from jdl.layers._parameter import parameter


class Cell(NamedTuple):
    """A recurrent cell.

    Attributes:
      init: `(key, x) -> params`, for `x` as `(batch, time, ...)`.
      recurrence: what it computes.
    """

    init: Callable[..., dict]
    recurrence: Recurrence


def recurrent(
    cell: Cell,
    *,
    reverse: bool = False,
    carry_init: Any = None,
    rate: float | jax.Array = 0.0,
    zoneout: Any = 0.0,
    remat: int | None = None,
) -> Layer:
    """Applies a recurrent cell to a sequence, from a carry to a carry.

    Inputs are `(x, *, carry=None, lengths=None, mask=None)`, as `functional.recurrent` takes them: a padded sequence ends with the
    carry of its own end, and in reverse begins at its own end. A step of decoding is a sequence of one, whose carry is handed on.
    `repeat(recurrent(cell), depth, scanned=("carry",))` is a deep network of equal layers, compiled once.

    Args:
      cell: such as `lstm_cell(128)`.
      reverse: whether to begin at the last step; outputs stay at the places of their inputs.
      carry_init: makes what the carry begins with if none is given, as params; without it, zeros.
      rate: probability of dropping an entry of the hidden state where matrix products see it, in training, in [0, 1], the same at
        all times of a sample; may be traced. The number 0 needs no key. `locked_dropout` does likewise for inputs.
      zoneout: probability that an entry of the carry stays as it was, in [0, 1]; in evaluation old and new are mixed by it. One for
        all, or a tuple, one for each array of the carry; may be traced. The number 0 needs no key.
      remat: how many steps at a time to compute again in the backward pass, which then keeps only every `remat`-th carry.

    Returns:
      A Layer from `(batch, time, ...)` to `(y, carry)`, with the params of the cell, and `carry` if it is learnt.

    Raises:
      ValueError: if a rate is a number outside [0, 1], or a linear recurrence is to have dropout, zoneout or remat.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> layer, x = L.recurrent(L.lstm_cell(4)), jnp.ones((2, 6, 3))
      >>> params, state = layer.init(jax.random.key(0), x)
      >>> (y, (h, c)), _ = layer.apply(params, state, x, lengths=jnp.array([6, 2]))
      >>> y.shape, bool((y[1, 2:] == 0).all()), bool((h[1] == y[1, 1]).all())
      ((2, 6, 4), True, True)

      Truncated backpropagation through time: the carry goes on, its gradient does not.

      >>> carry = None
      >>> for piece in (x[:, :3], x[:, 3:]):
      ...     (y, carry), _ = layer.apply(params, state, piece, carry=jax.lax.stop_gradient(carry))

      A decoder that runs freely, with what it says as its next input; teacher forcing is the layer on the targets, a step late.

      >>> decoder = L.recurrent(L.rnn_cell(3, bias=False))
      >>> params, state = {"kernel": jnp.eye(3), "recurrent_kernel": jnp.eye(3)}, {}
      >>> def step(now, _):
      ...     y, carry = now
      ...     now, _ = decoder.apply(params, state, y, carry=carry)
      ...     return now, now[0][:, 0]
      >>> jax.lax.scan(step, (x[:, :1], jnp.zeros((2, 3))), length=5)[1].shape
      (5, 2, 3)

    Source: dropout: Gal and Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent Neural Networks",
    https://arxiv.org/abs/1512.05287; zoneout: Krueger et al., "Zoneout", https://arxiv.org/abs/1606.01305.
    """
    name = cell.recurrence.name
    zones = zoneout if isinstance(zoneout, tuple) else (zoneout,)
    _check.within(name, 0, 1, rate=rate, **{f"zoneout[{i}]" if len(zones) > 1 else "zoneout": z for i, z in enumerate(zones)})
    drops, stays = draws(rate), any(map(draws, zones))
    if remat is not None:
        _check.positive(name, remat=remat)
    if cell.recurrence.step is None and (drops or stays or remat is not None):
        raise ValueError(f"{name}: a linear recurrence has no steps for dropout, zoneout or remat")

    def init(key: jax.Array, x: Any, *, carry: Any = None, lengths: Any = None, mask: Any = None) -> tuple[dict, dict]:
        del carry, lengths, mask  # the params are the same for all
        params = cell.init(key, x)
        if carry_init is None:
            return params, {}
        start = jax.tree.leaves(jax.eval_shape(cell.recurrence.start, params, x))
        key = derive(key, "carry")
        learnt = {str(i): parameter(key, str(i), carry_init, a.shape[1:], a) for i, a in enumerate(start)}
        return params | {"carry": learnt}, {}

    def apply(
        params: dict,
        state: dict,
        x: Any,
        *,
        carry: Any = None,
        lengths: Any = None,
        mask: Any = None,
        key: Any = None,
        train: bool = False,
    ) -> tuple[Any, dict]:
        x = _check.floating(name, x)
        cell_params = {name: a for name, a in params.items() if name != "carry"}
        start = jax.eval_shape(cell.recurrence.start, cell_params, x)
        leaves, structure = jax.tree.flatten(start)
        if carry is None and "carry" in params:
            carry = structure.unflatten(jnp.broadcast_to(params["carry"][str(i)], a.shape) for i, a in enumerate(leaves))
        options = {}
        if train and (drops or stays):
            need_key(name, key)
            if drops:
                options["drop"] = functional.dropout(derive(key, "dropout"), jnp.ones(leaves[0].shape, leaves[0].dtype), rate)
        if stays:
            each = zones if len(zones) > 1 else zones * len(leaves)
            if len(each) != len(leaves):
                raise ValueError(
                    f"{name}: zoneout must be one for each array of the carry, {_check.describe(start)}, got {zoneout}"
                )
            staying = [_stay(key, i, a, x.shape[1], rate) for i, (a, rate) in enumerate(zip(leaves, each))] if train else each
            options["zoneout"] = structure.unflatten(staying)
        given = {"carry": carry, "lengths": lengths, "mask": mask, "reverse": reverse, "remat": remat}
        return functional.recurrent(cell.recurrence, cell_params, x, **given, **options), state

    return Layer(init, apply)


def _stay(key: jax.Array, index: int, carry: Any, time: int, rate: Any) -> jax.Array:
    """Which entries of an array of the carry stay, `(batch, time, ...)`."""
    ones = jnp.ones((carry.shape[0], time, *carry.shape[1:]), jnp.float32)
    return functional.dropout(derive(key, "zoneout", index), ones, rate) == 0


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
