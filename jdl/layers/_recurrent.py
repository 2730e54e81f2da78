"""The layer of every recurrent cell."""

from collections.abc import Callable
from typing import Any, NamedTuple, get_args

import jax
import jax.numpy as jnp

from jdl import functional
from jdl.functional import Recurrence, _check
from jdl.functional._recurrent import Backend
from jdl.layer import Layer, derive
from jdl.layers._drawing import draws, need_key
from jdl.layers._parameter import parameter


class Cell(NamedTuple):
    """A recurrent cell.

    Attributes:
      init: `(key, x) -> params`, for `x` as `(batch, time, ...)`.
      recurrence: what it computes.
      noisy: how many arrays of the carry, the first ones, dropout and zoneout may change; None for all. A memory whose arrays have
        meaning only together, such as a sum and its weight, can't be mixed with an older one array by array.
    """

    init: Callable[..., dict]
    recurrence: Recurrence
    noisy: int | None = None


def recurrent(
    cell: Cell,
    *,
    reverse: bool = False,
    carry_init: Any = None,
    rate: float | jax.Array = 0.0,
    zoneout: Any = 0.0,
    remat: int | None = None,
    backend: Backend = "xla",
) -> Layer:
    """Applies a recurrent cell to a sequence, from a carry to a carry.

    Inputs are `(x, *, carry=None, lengths=None, mask=None)`, as `functional.recurrent` takes them: a padded sequence ends with the
    carry of its own end, and in reverse begins at its own end. A step of decoding is a sequence of one, whose carry is handed on.
    `repeat(recurrent(cell), depth, scanned=("carry",))` is a deep network of equal layers, compiled once.

    Args:
      cell: such as `lstm_cell(128)`.
      reverse: whether to begin at the last step; outputs stay at the places of their inputs.
      carry_init: makes what the carry begins with if none is given, as params; without it, the cell's own, which is zeros, or an
        empty memory.
      rate: probability of dropping an entry of the hidden state where matrix products see it, in training, in [0, 1], the same at
        all times of a sample; may be traced. The number 0 needs no key. `locked_dropout` does likewise for inputs.
      zoneout: probability that an entry of the carry stays as it was, in [0, 1]; in evaluation old and new are mixed by it. One for
        all, or a tuple, one for each array of the carry; may be traced. The number 0 needs no key.
      remat: how many steps at a time to compute again in the backward pass, which then keeps only every `remat`-th carry.
      backend: `"cudnn"`, the kernel of NVIDIA GPUs where it can do this, else the loop, as in `functional.recurrent`; params and
        values are the same.

    Returns:
      A Layer from `(batch, time, ...)` to `(y, carry)`, with the params of the cell, and `carry` if it is learnt.

    Raises:
      ValueError: if a rate is a number outside [0, 1], the backend is unknown, a linear recurrence is to have dropout, zoneout or
        remat, or a cell noise where it can have none.

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

      `generation.unroll` runs it as a decoder, on what it said, or on what it should have said.

    Source: dropout: Gal and Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent Neural Networks",
    https://arxiv.org/abs/1512.05287; zoneout: Krueger et al., "Zoneout", https://arxiv.org/abs/1606.01305.
    """
    name = cell.recurrence.name
    zones = zoneout if isinstance(zoneout, tuple) else (zoneout,)
    _check.within(name, 0, 1, rate=rate, **{f"zoneout[{i}]" if len(zones) > 1 else "zoneout": z for i, z in enumerate(zones)})
    _check.choice(name, "backend", backend, get_args(Backend))
    if remat is not None:
        _check.positive(name, remat=remat)
    if cell.recurrence.step is None and (any(map(draws, (rate, *zones))) or remat is not None):
        raise ValueError(f"{name}: a linear recurrence has no steps for dropout, zoneout or remat")
    _check_noise(cell, rate, zoneout)

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
        if carry is None and "carry" in params:
            carry = _learnt(params["carry"], start)
        noise = _dropped(name, key, start, rate, train) | _staying(name, key, start, x.shape[1], zones, train)
        given = {"carry": carry, "lengths": lengths, "mask": mask, "reverse": reverse, "remat": remat, "backend": backend}
        return functional.recurrent(cell.recurrence, cell_params, x, **given, **noise), state

    return Layer(init, apply)


def _check_noise(cell: Cell, rate: Any, zoneout: Any) -> None:
    """Raises ValueError if there is to be noise in arrays of the carry that can have none."""
    name, count = cell.recurrence.name, cell.noisy
    zones = zoneout[count:] if isinstance(zoneout, tuple) else (zoneout,)
    if count == 0 and draws(rate):
        raise ValueError(f"{name}: no product sees the hidden state, so that there is nothing for dropout")
    if count is not None and any(map(draws, zones)):
        wants = f"a tuple with 0.0 for all arrays of the carry but the first {count}" if count else "0.0"
        wants += ", since these are one memory"
        raise ValueError(f"{name}: zoneout must be {wants}, got {zoneout}")


def _learnt(learnt: dict, start: Any) -> Any:
    """The carry that is held in params, the same for every sample."""
    leaves, structure = jax.tree.flatten(start)
    return structure.unflatten(jnp.broadcast_to(learnt[str(i)], a.shape) for i, a in enumerate(leaves))


def _dropped(name: str, key: Any, start: Any, rate: Any, train: bool) -> dict[str, Any]:
    """Dropout of the hidden state, the first array of the carry, as `functional.recurrent` takes it."""
    if not (train and draws(rate)):
        return {}
    need_key(name, key)
    hidden = jax.tree.leaves(start)[0]
    return {"drop": functional.dropout(derive(key, "dropout"), jnp.ones(hidden.shape, hidden.dtype), rate)}


def _staying(name: str, key: Any, start: Any, time: int, zones: tuple, train: bool) -> dict[str, Any]:
    """Zoneout, as `functional.recurrent` takes it: what stays in training, how much of it in evaluation."""
    if not any(map(draws, zones)):
        return {}
    leaves, structure = jax.tree.flatten(start)
    each = zones if len(zones) > 1 else zones * len(leaves)
    if len(each) != len(leaves):
        raise ValueError(f"{name}: zoneout must be one for each array of the carry, {_check.describe(start)}, got {zones}")
    if train:
        need_key(name, key)
        each = [_stay(key, i, a, time, rate) for i, (a, rate) in enumerate(zip(leaves, each))]
    return {"zoneout": structure.unflatten(each)}


def _stay(key: jax.Array, index: int, carry: Any, time: int, rate: Any) -> jax.Array:
    """Which entries of an array of the carry stay, `(batch, time, ...)`."""
    ones = jnp.ones((carry.shape[0], time, *carry.shape[1:]), jnp.float32)
    return functional.dropout(derive(key, "zoneout", index), ones, rate) == 0
