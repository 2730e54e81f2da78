"""A codebook of which every vector has the nearest code: learnt by gradients, or as running means of what chose it."""

from collections.abc import Hashable
from typing import Any

import jax
import jax.numpy as jnp
from jax.nn import initializers
from jax.scipy.special import entr

from jdl import functional
from jdl.functional import _check
from jdl.functional._batch_norm import Mapped
from jdl.functional._numbers import divisor, widen
from jdl.functional._slide import masked
from jdl.layer import Layer, stateless
from jdl.layers._parameter import parameter

_LECUN = initializers.lecun_uniform(in_axis=-1, out_axis=-2)
Info = dict[str, jax.Array]


def vector_quantizer(codes: int, *, codebook_init: initializers.Initializer = _LECUN) -> Layer:
    """Replaces every vector by the nearest of learnt codes, and passes the gradient straight through.

    The codes get their gradient from the loss alone, with which the encoder commits to them:
    `loss + losses.vector_quantization(x, info["codes"])`.

    Args:
      codes: how many there are.
      codebook_init: makes the codebook, `(codes, features)`.

    Returns:
      A Layer from `(..., features)` to `(y, info)`, `y` of the shape of the input, with param `codebook`. `info` has `codes`, like
      `y` but with the codebook's gradient instead of the input's, `indices`, integers `(...)`, and `perplexity`, a scalar: how many
      codes the input uses, `exp(-sum_k p_k log p_k)` with p their shares. It takes `mask=`, bools `(...)`: where False, vectors
      have no part in the perplexity.

    Raises:
      ValueError: if `codes` is not a positive integer.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L, losses
      >>> @L.compose(encode=L.dense(4), quantize=L.vector_quantizer(512), decode=L.dense(8))
      ... def autoencoder(net, x):
      ...     encoded = net.encode(x)
      ...     quantized, info = net.quantize(encoded)
      ...     return net.decode(quantized), losses.vector_quantization(encoded, info["codes"])
      >>> params, state = autoencoder.init(jax.random.key(0), jnp.ones((2, 8)))
      >>> params["quantize"]["codebook"].shape
      (512, 4)

    Source: van den Oord et al., "Neural Discrete Representation Learning", https://arxiv.org/abs/1711.00937, section 3.
    """
    _check.positive("vector_quantizer", codes=codes)

    def init(key: jax.Array, x: Any, *, mask: Any = None) -> dict:
        return {"codebook": _codebook("vector_quantizer", key, x, codebook_init, codes)}

    def forward(params: dict, x: jax.Array, *, mask: Any = None) -> tuple[jax.Array, Info]:
        y, info, _ = _quantized("vector_quantizer", x, params["codebook"], mask)
        return y, info

    return stateless(init, forward)


def ema_vector_quantizer(
    codes: int,
    *,
    decay: float | jax.Array = 0.99,
    epsilon: float = 1e-5,
    axis_name: Hashable | None = None,
    codebook_init: initializers.Initializer = _LECUN,
) -> Layer:
    """Replaces every vector by the nearest code, which is the running mean of the vectors that chose it; no gradient moves codes.

    In training, with `n_k` vectors of sum `s_k` that chose code k, `counts = decay * counts + (1 - decay) * n`,
    `sums = decay * sums + (1 - decay) * s`, and `codebook = sums / smoothed`, where Laplace's rule keeps counts away from zero:
    `smoothed = (counts + epsilon) / (total + codes * epsilon) * total`. A batch is quantised by the codes that were there before.
    The loss needs a term of commitment only: `losses.vector_quantization(x, info["codes"])`, whose other term has no gradient.

    Args:
      codes: how many there are.
      decay: weight of the old counts and sums, in [0, 1]; may be traced.
      epsilon: what is added to counts, above 0. A code that nothing chooses any more keeps its place until its count is as small,
        and then moves towards 0.
      axis_name: name (or names) of mapped axes whose members share counts and sums, under `vmap`, `shard_map` or `pmap`. Under
        `jit`, those of a sharded batch are global by themselves.
      codebook_init: makes the codebook at first, `(codes, features)`.

    Returns:
      A Layer from `(..., features)` to `(y, info)` as `vector_quantizer`, with state `codebook`, `counts`, which begin as 1, and
      `sums`, of float32 at least. It takes `mask=`, bools `(...)`: only what is True counts in state and perplexity, everything is
      quantised, and a batch of which nothing counts leaves the state as it is.

    Raises:
      ValueError: if `codes` is not a positive integer, `decay` a number outside [0, 1], or `epsilon` not above 0.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import layers as L
      >>> layer = L.ema_vector_quantizer(1, decay=0.5)
      >>> state = {"codebook": jnp.ones((1, 1)), "counts": jnp.ones(1), "sums": jnp.ones((1, 1))}
      >>> (y, info), state = layer.apply({}, state, jnp.array([[3.0], [5.0]]), train=True)
      >>> y.tolist(), {name: value.item() for name, value in sorted(state.items())}
      ([[1.0], [1.0]], {'codebook': 3.0, 'counts': 1.5, 'sums': 4.5})

    Source: van den Oord et al., "Neural Discrete Representation Learning", https://arxiv.org/abs/1711.00937, appendix A.1.
    """
    _check.positive("ema_vector_quantizer", codes=codes)
    _check.within("ema_vector_quantizer", 0, 1, decay=decay)
    _check.above_zero("ema_vector_quantizer", epsilon=epsilon)
    mapped = Mapped(axis_name, None)

    def init(key: jax.Array, x: Any, *, mask: Any = None) -> tuple[dict, dict]:
        codebook = _codebook("ema_vector_quantizer", key, x, codebook_init, codes)
        sums = jnp.array(codebook, copy=True)  # one buffer can't be donated twice
        return {}, {"codebook": codebook, "counts": jnp.ones(codes, codebook.dtype), "sums": sums}

    def apply(
        params: dict, state: dict, x: jax.Array, *, mask: Any = None, key: Any = None, train: bool = False
    ) -> tuple[tuple[jax.Array, Info], dict]:
        del params, key  # it has none, and nothing is drawn
        y, info, chose = _quantized("ema_vector_quantizer", x, jax.lax.stop_gradient(state["codebook"]), mask)
        if not train:
            return (y, info), state
        rows = jax.lax.stop_gradient(widen(x)).reshape(-1, x.shape[-1])
        added = functional.segment_sum(rows, info["indices"].reshape(-1), codes, where=_flat("ema_vector_quantizer", x, mask))
        return (y, info), _moved(state, mapped.sum(chose), mapped.sum(added), decay, epsilon)

    return Layer(init, apply)


def _codebook(name: str, key: jax.Array, x: Any, codebook_init: Any, codes: int) -> jax.Array:
    x = _vectors(name, x)
    return parameter(key, "codebook", codebook_init, (codes, x.shape[-1]), x)


def _vectors(name: str, x: Any) -> Any:
    x = _check.floating(name, x)
    _check.rank(name, x, range(1, 65), "(..., features)")
    return x


def _quantized(name: str, x: Any, codebook: jax.Array, mask: Any) -> tuple[jax.Array, Info, jax.Array]:
    """The output, what is said about it, and how many vectors chose each code."""
    x = _vectors(name, x)
    if x.shape[-1:] != codebook.shape[1:]:
        raise ValueError(f"{name}: codes have {codebook.shape[1]} features, x is {_check.describe(x)}")
    y, indices = functional.vector_quantize(x, codebook)
    each = jnp.ones(indices.size, jnp.promote_types(x.dtype, jnp.float32))
    chose = functional.segment_sum(each, indices.reshape(-1), len(codebook), where=_flat(name, x, mask))
    perplexity = jnp.exp(entr(chose / divisor(chose.sum())).sum())
    codes = functional.embedding(indices, codebook.astype(x.dtype))
    return y, {"codes": codes, "indices": indices, "perplexity": perplexity}, chose


def _flat(name: str, x: jax.Array, mask: Any) -> jax.Array | None:
    return None if mask is None else masked(name, x, mask).reshape(-1)


def _moved(state: dict, chose: jax.Array, added: jax.Array, decay: float | jax.Array, epsilon: float) -> dict:
    mix = lambda old, new: (decay * old + (1 - decay) * new).astype(old.dtype)
    counts, sums = mix(state["counts"], chose), mix(state["sums"], added)
    total = counts.sum()
    smoothed = (counts + epsilon) / (total + len(counts) * epsilon) * total
    new = {"codebook": sums / jnp.expand_dims(smoothed, 1), "counts": counts, "sums": sums}
    return jax.tree.map(lambda new, old: jnp.where(chose.sum() > 0, new, old), new, state)
