"""The loop over time of every recurrent network: what is peculiar to one of them is its `Recurrence`."""

from collections.abc import Callable
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp

from jdl.functional import _check, _lengths
from jdl.functional._bilinear import same_axes
from jdl.functional._linear_recurrence import linear_recurrence
from jdl.functional._numbers import widen

Backend = Literal["xla", "cudnn"]


class Recurrence(NamedTuple):
    """What a recurrent cell computes: pure functions of its parameters, a dict of arrays.

    A carry is an array or a tuple of arrays, `(batch, ...)`. The first is the hidden state, which is the output too.

    Attributes:
      name: for messages.
      start: `(params, x) -> carry`, zeros, or an empty memory, for `x` as `(batch, time, ...)`; raises unless params and `x` fit.
      project: `(params, x) -> projected`, what a step needs of the input; `x` is `(time, batch, ...)` or, of one time,
        `(batch, ...)`.
      step: `(params, carry, hidden, projected) -> carry`. `hidden` is the hidden state as matrix products see it, which is after
        dropout, in the dtype of `x`; `projected` is in float32 at least; what is returned is cast to the dtypes of `start`, best
        float32 at least, lest small steps are lost in long sequences. None for a linear recurrence,
        `h[t] = a[t] h[t-1] + b[t]`, whose `a` and `b` are what `project` returns.
      readout: `(params, hidden, x) -> y`, from all hidden states to the output, for cells that have one.
      fused: `(params, x, carry, lengths, reverse) -> (y, carry)`, all steps by cuDNN's kernel, of `x` as `(batch, time, ...)`; it
        gives None where the kernel can't do it.
    """

    name: str
    start: Callable[..., Any]
    project: Callable[..., Any]
    step: Callable[..., Any] | None
    readout: Callable[..., jax.Array] | None = None
    fused: Callable[..., Any] | None = None


def recurrent(
    recurrence: Recurrence,
    params: dict,
    x: jax.Array,
    *,
    carry: Any = None,
    lengths: jax.Array | None = None,
    mask: jax.Array | None = None,
    reverse: bool = False,
    drop: jax.Array | None = None,
    zoneout: Any = None,
    remat: int | None = None,
    backend: Backend = "xla",
) -> tuple[jax.Array, Any]:
    """Applies a recurrent cell to a sequence: `carry[t] = step(carry[t-1], x[t])`, one step after the other.

    Steps that don't count are left out: there the carry stays, the output is 0, and what `x` is changes nothing. So a padded
    sequence ends with the carry of its own end, and in reverse it begins at its own end. On a CPU the inputs are projected inside
    the loop, where they stay in the cache, and elsewhere at once before it; linear recurrences are scans in logarithmic depth.

    Args:
      recurrence: the cell.
      params: its parameters; steps see them in the dtype of `x`, or in float32 if that is wider.
      x: input, `(batch, time, ...)`, floating point.
      carry: the one to begin with, such as that of an earlier piece of the sequence; that of `start` if not given.
      lengths: integers `(batch,)`, how many steps count in each sample. Out of 0..time, they are an error where the host sees
        them, and give NaN for their samples under jit.
      mask: bools `(batch, time)`, which of them count.
      reverse: whether to begin at the last step; outputs stay at the places of their inputs.
      drop: what the hidden state is multiplied with where matrix products see it, the same at all times, of its shape; such as
        `dropout(key, ones, rate)`.
      zoneout: which entries of the carry stay, for each of its arrays: bools `(batch, time, ...)`, or a rate, by which old and new
        are mixed.
      remat: how many steps at a time to compute again in the backward pass: only every `remat`-th carry is kept.
      backend: `"cudnn"`, the kernel of NVIDIA GPUs where it can do what is asked, else the loop, `"xla"`. It takes LSTMs without
        options, of which all arrays are float32, and lengths, but no mask, dropout, zoneout or remat, and nothing inside
        `shard_map`. It has to be asked for, as it knows neither `vmap` nor forward mode nor second derivatives.

    Returns:
      `(y, carry)`: outputs `(batch, time, ...)` in the dtype of `x`, and the carry after the last step.

    Raises:
      TypeError: if `x` is not floating point, `mask` not of bools, or `lengths` not of integers.
      ValueError: if shapes don't fit, lengths lie outside 0..time, or a linear recurrence is given what only steps can do.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import functional
      >>> decay = functional.Recurrence(
      ...     "decay", lambda params, x: jnp.zeros(x[:, 0].shape), lambda params, x: x, lambda params, h, hidden, x: 0.5 * h + x
      ... )
      >>> y, carry = functional.recurrent(decay, {}, jnp.ones((1, 4, 1)), lengths=jnp.array([3]))
      >>> y.ravel().tolist(), carry.item()
      ([1.0, 1.5, 1.75, 0.0], 1.75)

    Source: dropout: Gal and Ghahramani, "A Theoretically Grounded Application of Dropout in Recurrent Neural Networks",
    https://arxiv.org/abs/1512.05287; zoneout: Krueger et al., "Zoneout", https://arxiv.org/abs/1606.01305.
    """
    name = recurrence.name
    x = _check.floating(name, x)
    _check.choice(name, "backend", backend, get_args(Backend))
    carry = _begin(name, recurrence.start(params, x), carry)
    there, wrong = _there(name, x, lengths, mask)
    if there is not None:
        x = jnp.where(_beside(there, x), x, 0)  # what is left out may even be NaN
    done = None
    if backend == "cudnn" and recurrence.fused is not None and all(a is None for a in (mask, drop, zoneout, remat)):
        done = recurrence.fused(params, x, carry, lengths, reverse)
    y, carry = done or _looped(recurrence, params, x, carry, there, drop, zoneout, reverse, remat)
    y = y if there is None else jnp.where(_beside(there, y), y, 0)
    return (y, carry) if wrong is None else _void(wrong, (y, carry))


def _looped(recurrence: Recurrence, params, x, carry, there, drop, zoneout, reverse: bool, remat: int | None) -> tuple[Any, Any]:
    """Outputs, of which those that don't count are any numbers, and the last carry."""
    tree = params, carry, x.swapaxes(0, 1), None if there is None else there.swapaxes(0, 1), drop, zoneout
    leaves, structure = jax.tree.flatten(tree)
    params, carry, x, there, drop, zoneout = jax.tree.unflatten(structure, same_axes(*leaves))
    if recurrence.step is None:
        if drop is not None or zoneout is not None or remat is not None:
            raise ValueError(f"{recurrence.name}: a linear recurrence has no steps for dropout, zoneout or remat")
        hidden, carry = _linear(recurrence.project(params, x), carry, there, reverse)
    else:
        if remat is not None:
            _check.positive(recurrence.name, remat=remat)
        hidden, carry = _steps(recurrence, params, carry, x, there, drop, zoneout, reverse, remat)
    y = hidden if recurrence.readout is None else recurrence.readout(params, hidden, x)
    return y.swapaxes(0, 1).astype(x.dtype), carry


def check_kernels(name: str, gates: int, kernel: Any, recurrent_kernel: Any, x: Any) -> None:
    """Raises ValueError unless the two kernels fit each other and `x`, `(batch, time, *spatial, in)`."""
    spatial = kernel.ndim - 2
    layout = "(batch, time, features)" if spatial == 0 else f"(batch, time, {spatial} spatial axes, channels)"
    _check.rank(name, x, (3 + spatial,), layout)
    if x.shape[-1] != kernel.shape[-2]:
        raise ValueError(f"{name}: kernel takes {kernel.shape[-2]} features, x is {_check.describe(x)}")
    if kernel.shape[-1] % gates or recurrent_kernel.ndim != kernel.ndim:
        given = f"{_check.describe(kernel)} and {_check.describe(recurrent_kernel)}"
        raise ValueError(f"{name}: kernels must be (..., in, {gates} * features), got {given}")


def check_shapes(name: str, params: dict, wants: dict[str, tuple[int, ...]], x: Any) -> None:
    """Raises ValueError unless each of the params that is there has its shape."""
    for what, shape in wants.items():
        if what in params and params[what].shape != shape:
            given = f"got {_check.describe(params[what])}, x is {_check.describe(x)}"
            raise ValueError(f"{name}: {what} must be {list(shape)}, {given}")


def with_skip(params: dict, y: jax.Array, x: jax.Array) -> jax.Array:
    """`y`, and the input beside it, weighted for each feature, if there are such weights."""
    if "skip" not in params:
        return y
    return y + jnp.expand_dims(params["skip"].astype(y.dtype), range(x.ndim - 1)) * x.astype(y.dtype)


def _there(name: str, x: Any, lengths: Any, mask: Any) -> tuple[jax.Array | None, jax.Array | None]:
    """Which steps count, `(batch, time)`, None for all; and which lengths are out of range, None where the host has seen them."""
    if x.ndim < 3:
        raise ValueError(f"{name}: x must be (batch, time, ...), got {_check.describe(x)}")
    if mask is not None:
        mask, wants = _check.array(mask), f"bools {list(x.shape[:2])}, True for what counts"
        if mask.dtype != bool:
            raise TypeError(f"{name}: mask must be {wants}, got {_check.describe(mask)}")
        if mask.shape != x.shape[:2]:
            raise ValueError(f"{name}: mask must be {wants}, got {_check.describe(mask)}")
    if lengths is None:
        return None if mask is None else jnp.asarray(mask), None
    lengths = _lengths.given(name, "lengths", lengths, x)
    inside = _lengths.inside(lengths, x.shape[1])
    wrong = None if _check.seen(lengths) else (lengths < 0) | (lengths > x.shape[1])
    return inside if mask is None else inside & mask, wrong


def _void(wrong: jax.Array, tree: Any) -> Any:
    """NaN for the samples that are wrong, in arrays `(batch, ...)` that can say so."""
    void = lambda a: jnp.where(_beside(wrong, a), jnp.asarray(jnp.nan, a.dtype), a)
    return jax.tree.map(lambda a: void(a) if jnp.issubdtype(a.dtype, jnp.inexact) else a, tree)


def _begin(name: str, start: Any, carry: Any) -> Any:
    """The carry to begin with, like `start`; raises ValueError if its structure or shapes are others."""
    if carry is None:
        return start
    shapes = lambda tree: (jax.tree.structure(tree), [jnp.shape(a) for a in jax.tree.leaves(tree)])
    if shapes(carry) != shapes(start):
        raise ValueError(f"{name}: carry must be {_check.describe(start)}, got {_check.describe(carry)}")
    return jax.tree.map(lambda like, a: jnp.asarray(a, like.dtype), start, carry)


def _beside(there: jax.Array, a: jax.Array) -> jax.Array:
    """`there` with as many axes as `a`."""
    return jnp.expand_dims(there, range(there.ndim, a.ndim))


def _linear(terms: tuple[jax.Array, jax.Array], carry: jax.Array, there: Any, reverse: bool) -> tuple[jax.Array, jax.Array]:
    decay, new = terms
    if there is not None:
        decay, new = jnp.where(_beside(there, decay), decay, 1), jnp.where(_beside(there, new), new, 0)
    hidden = linear_recurrence(decay, new, carry, axis=0, reverse=reverse)
    return hidden, hidden[0 if reverse else -1] if len(hidden) else carry


def _steps(recurrence: Recurrence, params, carry, x, there, drop, zoneout, reverse: bool, remat: int | None) -> tuple[Any, Any]:
    """All hidden states `(time, batch, ...)` and the last carry, by a loop."""
    assert recurrence.step is not None
    advance = recurrence.step
    params = jax.tree.map(lambda a: a.astype(jnp.promote_types(x.dtype, jnp.float32)), params)  # gradients add up in it
    shown = lambda hidden: hidden.astype(x.dtype) if jnp.issubdtype(hidden.dtype, jnp.floating) else hidden
    wide = lambda a: widen(a) if jnp.issubdtype(a.dtype, jnp.floating) else a
    inside = jax.default_backend() == "cpu"
    stay, rates = _zones(recurrence.name, carry, zoneout, len(x))

    def step(carry: Any, now: Any) -> tuple[Any, jax.Array]:
        projected, there, stay = now
        projected = recurrence.project(params, projected) if inside else projected
        hidden = jax.tree.leaves(carry)[0]
        hidden = shown(hidden if drop is None else hidden * drop.astype(hidden.dtype))
        new = advance(params, carry, hidden, jax.tree.map(wide, projected))
        new = jax.tree.map(lambda old, new: new.astype(old.dtype), carry, new)
        if stay is not None:
            new = jax.tree.map(lambda stays, old, new: jnp.where(stays, old, new), stay, carry, new)
        if rates is not None:
            new = jax.tree.map(lambda rate, old, new: (rate * old + (1 - rate) * new).astype(old.dtype), rates, carry, new)
        if there is not None:
            new = jax.tree.map(lambda old, new: jnp.where(_beside(there, old), new, old), carry, new)
        return new, shown(jax.tree.leaves(new)[0])

    carry, hidden = _scan(step, carry, (x if inside else recurrence.project(params, x), there, stay), len(x), reverse, remat)
    return hidden, carry


def _zones(name: str, carry: Any, zoneout: Any, time: int) -> tuple[Any, Any]:
    """Which entries stay, time first, and the rates by which old and new are mixed; one of them is None."""
    if zoneout is None:
        return None, None
    if jax.tree.structure(zoneout) != jax.tree.structure(carry):
        raise ValueError(f"{name}: zoneout must be one for each array of the carry, got {_check.describe(zoneout)}")
    if all(jnp.ndim(one) == 0 for one in jax.tree.leaves(zoneout)):
        return None, zoneout
    for one, like in zip(jax.tree.leaves(zoneout), jax.tree.leaves(carry)):
        if one.dtype != bool or one.shape != (like.shape[0], time, *like.shape[1:]):
            wants = [like.shape[0], time, *like.shape[1:]]
            raise ValueError(f"{name}: zoneout must be bools {wants}, or a rate, got {_check.describe(one)}")
    return jax.tree.map(lambda stays: stays.swapaxes(0, 1), zoneout), None


def _scan(step: Callable[..., Any], carry: Any, inputs: Any, time: int, reverse: bool, remat: int | None) -> tuple[Any, Any]:
    """`jax.lax.scan`, of which the backward pass computes `remat` steps at a time again."""
    scan = lambda carry, inputs: jax.lax.scan(step, carry, inputs, reverse=reverse)
    if remat is None:
        return scan(carry, inputs)
    again = jax.checkpoint(scan)
    whole = time - time % remat

    def chunks(carry: Any) -> tuple[Any, Any]:
        cut = jax.tree.map(lambda a: a[:whole].reshape(whole // remat, remat, *a.shape[1:]), inputs)
        carry, outputs = jax.lax.scan(again, carry, cut, reverse=reverse)
        return carry, outputs.reshape(whole, *outputs.shape[2:])

    def rest(carry: Any) -> tuple[Any, Any]:
        return again(carry, jax.tree.map(lambda a: a[whole:], inputs))

    parts = [chunks] if whole == time else [rest] if whole == 0 else [chunks, rest]
    outputs = []
    for part in reversed(parts) if reverse else parts:
        carry, output = part(carry)
        outputs.append(output)
    return carry, jnp.concatenate(outputs[::-1] if reverse else outputs)
