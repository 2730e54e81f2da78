"""Transformers: stacks of blocks, with what comes before and after."""

from collections.abc import Callable
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jdl import functional
from jdl import layers as L
from jdl.functional import _check, _lengths
from jdl.functional._dropout import sequences
from jdl.layer import Layer, compose, repeat


def transformer_encoder(
    depth: int,
    block: Layer,
    *,
    embedding: Layer | Callable | None = None,
    positions: Layer | Callable | None = None,
    entry: Layer | Callable | None = None,
    norm: Layer | Callable | None = None,
    head: Layer | Callable | Literal["tied"] | None = None,
    repeat: Callable[..., Layer] = repeat,
) -> Layer:
    """Blocks one after the other, each with parameters of its own, compiled once: `norm(block(... block(embedding(x))))`.

    Inputs are `(x, *, mask=None, mlp_mask=None, bias=None, positions=None)`, as `transformer_block` takes them; without an
    `embedding`, `x` are features.

    Args:
      depth: how many blocks.
      block: such as `transformer_block(attention(8), mlp([2048, 512]))`; `remat(block, policy="dots")` takes less memory.
      embedding: of tokens or patches, to `(batch, time, features)`.
      positions: from integers `(batch or 1, time)` to features that are added, such as `embedding(512, features)` or
        `functools.partial(functional.sinusoidal, features=features)`. None are added if not given.
      entry: follows the embedding and positions, such as `dropout(0.1)` or `chain(layer_norm(), dropout(0.1))`.
      norm: follows the blocks, which need it if they normalise before; `layer_norm()` if not given, none is `lambda x: x`.
      head: follows the norm; `"tied"` multiplies by the table of the embedding. None if not given.
      repeat: makes the blocks one layer, such as `functools.partial(parallel.pipeline, mesh=mesh, microbatches=8)`.

    Returns:
      A Layer to `(batch, time, features)`, or what the head makes of it, with sublayers `embedding`, `positions`, `entry`,
      `blocks`, `norm` and `head`; those of `blocks` have a first axis of `depth`. With a `mixture_of_experts` in the block, to
      `(y, info)`, of which all entries have a first axis of `depth`.

    Raises:
      ValueError: if `depth` is not positive, or the head is tied without an embedding.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L, models
      >>> block = L.transformer_block(L.attention(2), L.mlp([32, 8], activation=jax.nn.gelu), order="post")
      >>> bert = models.transformer_encoder(
      ...     3, block, embedding=L.embedding(100, 8), positions=L.embedding(16, 8), entry=L.layer_norm(), norm=lambda x: x
      ... )
      >>> tokens = jnp.ones((2, 5), int)
      >>> params, state = jax.eval_shape(bert.init, jax.random.key(0), tokens)
      >>> jax.eval_shape(bert.apply, params, state, tokens, mask=tokens != 0)[0].shape
      (2, 5, 8)

    Source: Devlin et al., "BERT", https://arxiv.org/abs/1810.04805.
    """
    parts, head_of = _parts("transformer_encoder", depth, block, embedding, positions, entry, norm, head, repeat)

    @compose(**parts)
    def encoder(net, x, *, mask=None, mlp_mask=None, bias=None, positions=None):
        x, positions = _entered("transformer_encoder", net, x, positions, None)
        x, out = net.blocks(x, mask=mask, mlp_mask=mlp_mask, bias=bias, positions=positions)
        y = head_of(net, net.norm(x))
        return (y, out[1]) if isinstance(out, tuple) else y

    return encoder


def transformer_decoder(
    depth: int,
    block: Layer,
    *,
    embedding: Layer | Callable | None = None,
    positions: Layer | Callable | None = None,
    entry: Layer | Callable | None = None,
    norm: Layer | Callable | None = None,
    head: Layer | Callable | Literal["tied"] | None = "tied",
    repeat: Callable[..., Layer] = repeat,
) -> Layer:
    """Blocks one after the other, to logits of the next token: language models, and decoders that attend to a memory.

    Inputs are `(tokens, memory=None, *, mask=None, memory_mask=None, mlp_mask=None, bias=None, positions=None, lengths=None,
    cache=None, last=False)`. With a `cache`, of `decoder_cache`, tokens continue those that it holds, and only the first `lengths`
    of each sample are kept. `last` gives the logits of the last of them alone, `(batch, 1, vocabulary)`.

    Args:
      depth: how many blocks.
      block: with causal attention, such as `transformer_block(attention(8, causal=True), mlp([2048, 512]))`, and
        `cross=attention(8)` for a memory; `remat(block, policy="dots")` takes less memory in training.
      embedding: of tokens, to `(batch, time, features)`; without one, inputs are features.
      positions: as in `transformer_encoder`; no cache may hold more than there are, which give NaN.
      entry: as in `transformer_encoder`.
      norm: as in `transformer_encoder`.
      head: from features to logits, such as `dense(vocabulary, bias=False)`; `"tied"` multiplies by the table of the embedding,
        None gives features.
      repeat: as in `transformer_encoder`.

    Returns:
      A Layer to `(logits, cache)`, the cache None if none was given, with sublayers as `transformer_encoder`. With a
      `mixture_of_experts` in the block, to `(logits, cache, info)`.

    Raises:
      ValueError: if `depth` is not positive, the head is tied without an embedding, or a cache is of another depth.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional, generation, layers as L, models
      >>> attention = L.attention(4, kv_heads=2, causal=True, rope=functional.rope, bias=False)
      >>> block = L.transformer_block(attention, L.swiglu(32), norm=L.rms_norm())
      >>> parts = {"embedding": L.embedding(100, 16), "norm": L.rms_norm(), "head": L.dense(100, bias=False)}
      >>> llama = models.transformer_decoder(3, block, **parts)
      >>> prompt = jnp.ones((2, 5), int)
      >>> params, state = jax.eval_shape(llama.init, jax.random.key(0), prompt)
      >>> def answer(params, prompt):
      ...     def step(tokens, cache):
      ...         return llama.apply(params, state, tokens, cache=cache, last=True)[0]
      ...     return generation.generate(step, models.decoder_cache(3, 2, 16, heads=2, width=4), prompt, steps=10)
      >>> jax.eval_shape(answer, params, prompt).tokens.shape
      (2, 10)

    Source: Radford et al., "Language Models are Unsupervised Multitask Learners"; Touvron et al., "LLaMA",
    https://arxiv.org/abs/2302.13971.
    """
    parts, head_of = _parts("transformer_decoder", depth, block, embedding, positions, entry, norm, head, repeat)

    @compose(**parts)
    def decoder(
        net,
        x,
        memory=None,
        *,
        mask=None,
        memory_mask=None,
        mlp_mask=None,
        bias=None,
        positions=None,
        lengths=None,
        cache=None,
        last=False,
    ):
        for a in jax.tree.leaves(cache):
            if a.shape[:1] != (depth,):
                raise ValueError(f"transformer_decoder: the cache of {depth} blocks must have a first axis of that, got {a.shape}")
        x, positions = _entered("transformer_decoder", net, x, positions, cache)
        named = {"mask": mask, "memory_mask": memory_mask, "mlp_mask": mlp_mask, "bias": bias, "positions": positions}
        x, out = net.blocks(x, memory, **named, lengths=lengths, cache=cache)
        cache, *info = out if isinstance(out, tuple) else (out,)
        if last:
            x = x[:, -1:] if lengths is None else _lengths.last(x, lengths)
        return head_of(net, net.norm(x)), cache, *info

    return decoder


def encoder_decoder(encoder: Layer, decoder: Layer) -> Layer:
    """A decoder that attends to what an encoder makes of a source: `decoder(target, encoder(source))`.

    Inputs are `(source, target, *, mask=None, target_mask=None)`, bools of what counts in each. To generate, apply the encoder
    once, to `params["encoder"]`, and make a step of the decoder and `params["decoder"]`, with the memory in its cache.

    Args:
      encoder: such as `transformer_encoder(...)`.
      decoder: such as `transformer_decoder(...)`, with cross-attention in its block.

    Returns:
      A Layer to logits, `(batch, time, vocabulary)`, with sublayers `encoder` and `decoder`. With mixtures of experts, to
      `(logits, infos)`, the encoder's first.

    Example:
      >>> import functools, jax, jax.numpy as jnp
      >>> from jdl import layers as L, models
      >>> attend = functools.partial(L.attention, 2, bias=False)
      >>> near, past = L.relative_position_bias(2), L.relative_position_bias(2, causal=True)
      >>> reading = L.transformer_block(attend(position_bias=near), L.geglu(32), norm=L.rms_norm())
      >>> writing = L.transformer_block(
      ...     attend(position_bias=past, causal=True), L.geglu(32), cross=attend(), norm=L.rms_norm()
      ... )
      >>> parts = {"embedding": L.embedding(100, 8), "norm": L.rms_norm()}
      >>> t5 = models.encoder_decoder(
      ...     models.transformer_encoder(2, reading, **parts), models.transformer_decoder(2, writing, **parts)
      ... )
      >>> source, target = jnp.ones((2, 5), int), jnp.ones((2, 3), int)
      >>> params, state = jax.eval_shape(t5.init, jax.random.key(0), source, target)
      >>> jax.eval_shape(t5.apply, params, state, source, target, mask=source != 0)[0].shape
      (2, 3, 100)

    Source: Vaswani et al., "Attention Is All You Need", https://arxiv.org/abs/1706.03762; Raffel et al., "Exploring the Limits of
    Transfer Learning with a Unified Text-to-Text Transformer", https://arxiv.org/abs/1910.10683.
    """

    @compose(encoder=encoder, decoder=decoder)
    def forward(net, source, target, *, mask=None, target_mask=None):
        memory = net.encoder(source, mask=mask)
        memory, *read = memory if isinstance(memory, tuple) else (memory,)
        logits, _, *written = net.decoder(target, memory, mask=target_mask, memory_mask=mask)
        info = *read, *written
        return (logits, info) if info else logits

    return forward


def decoder_cache(depth: int, batch: int, capacity: int, heads: int, width: int, dtype: Any = jnp.float32) -> dict[str, jax.Array]:
    """Empty caches for the blocks of a decoder: those of `functional.attention_cache`, with a first axis of depth.

    Args:
      depth: blocks.
      batch: samples.
      capacity: positions that it holds for each sample; with a window, the window's size is enough.
      heads: of keys and values.
      width: of a head.
      dtype: of keys and values.

    Returns:
      A dict of `keys`, `values`, `positions` and `length`.

    Raises:
      ValueError: if a size is not a positive integer.

    Example:
      >>> from jdl import models
      >>> models.decoder_cache(3, 2, 16, heads=4, width=8)["keys"].shape
      (3, 2, 16, 4, 8)
    """
    _check.positive("decoder_cache", depth=depth)
    cache = functional.attention_cache(batch, capacity, heads, width, dtype)
    return jax.tree.map(lambda a: jnp.broadcast_to(a, (depth, *a.shape)), cache)


def _parts(
    name: str, depth: int, block: Layer, embedding: Any, positions: Any, entry: Any, norm: Any, head: Any, repeat: Any
) -> tuple[dict[str, Any], Callable[[Any, Any], Any]]:
    """The sublayers, and what makes the output."""
    _check.positive(name, depth=depth)
    tied = isinstance(head, str)
    if tied and head != "tied":
        raise ValueError(f"{name}: head must be 'tied', a layer or None, got {head!r}")
    if tied and embedding is None:
        raise ValueError(f"{name}: a tied head needs an embedding; give one, or a head of its own, or None for features")
    given = {"embedding": embedding, "positions": positions, "entry": entry, "blocks": repeat(block, depth, scanned=("cache",))}
    given |= {"norm": L.layer_norm() if norm is None else norm, "head": None if tied else head}

    def head_of(net: Any, x: Any) -> Any:
        if not tied:
            return x if head is None else net.head(x)
        table = net.params["embedding"].get("embedding")
        if table is None:
            raise ValueError(f"{name}: a tied head takes the table of L.embedding, this embedding has none; give a head of its own")
        return functional.attend(x, table)

    return {part: layer for part, layer in given.items() if layer is not None}, head_of


def _entered(name: str, net: Any, x: Any, positions: Any, cache: Any) -> tuple[jax.Array, Any]:
    """What the first block takes, and where it is, which the host sees where there is no cache."""
    x = sequences(name, net.embedding(x) if hasattr(net, "embedding") else x)
    if positions is None:
        positions = np.arange(x.shape[1], dtype=np.int32).reshape(1, -1)
        positions = positions if cache is None else positions + cache["length"][0].reshape(-1, 1)
    if hasattr(net, "positions"):
        added = net.positions(positions).astype(x.dtype)
        x = x + jnp.broadcast_to(added, x.shape)
    return net.entry(x) if hasattr(net, "entry") else x, positions
