"""Attention and transformers as PyTorch computes them."""

import zlib

import jax.numpy as jnp
import numpy as np

from jdl import functional
from jdl import layers as L
from parity._case import Case

FEATURES, HEADS, HIDDEN = 8, 2, 12
PROJECTIONS = {
    "query": (FEATURES, FEATURES),
    "key": (FEATURES, FEATURES),
    "value": (FEATURES, FEATURES),
    "out": (FEATURES, FEATURES),
    "query_bias": (FEATURES,),
    "value_bias": (FEATURES,),
    "out_bias": (FEATURES,),
}


BIASES = {"query": "query_bias", "key": "query_bias", "value": "value_bias", "out": "out_bias"}  # a key's changes nothing


def params_of(arrays, prefix=""):
    return {name: {"kernel": arrays[prefix + name], "bias": arrays[prefix + bias]} for name, bias in BIASES.items()}


def load(torch, arrays, prefix="", end=""):
    """The weights of a MultiheadAttention, of names that begin as `end` does."""
    stacked = torch.cat([arrays[prefix + name].T for name in ("query", "key", "value")])
    biases = torch.cat([arrays[prefix + BIASES[name]] for name in ("query", "key", "value")])
    values = {"in_proj_weight": stacked, "in_proj_bias": biases}
    values |= {"out_proj.weight": arrays[prefix + "out"].T, "out_proj.bias": arrays[prefix + "out_bias"]}
    return {end + name: value for name, value in values.items()}


def multihead(torch, x, memory, mask=None, bias=None, seen=None, **arrays):
    """The output, and the weights of every head; a mask of PyTorch's is True for what is not seen."""
    layer = torch.nn.MultiheadAttention(FEATURES, HEADS, batch_first=True, dtype=torch.float64)
    each = None if mask is None and bias is None else (~mask if bias is None else bias).flatten(0, 1)
    named = {"attn_mask": each, "key_padding_mask": None if seen is None else ~seen, "average_attn_weights": False}
    y, weights = torch.func.functional_call(layer, load(torch, arrays), (x, memory, memory), named)
    return torch.cat([y.flatten(), weights.flatten()])


def our_multihead(x, memory, mask=None, bias=None, seen=None, **arrays):
    layer = L.attention(HEADS, return_weights=True)
    (y, _, weights), _ = layer.apply(params_of(arrays), {}, x, memory, mask=mask if seen is None else seen, bias=bias)
    return jnp.concatenate([y.ravel(), weights.ravel()])


def causal(torch, query, keys, values):
    across = lambda a: a.transpose(1, 2)
    return across(torch.nn.functional.scaled_dot_product_attention(across(query), across(keys), across(values), is_causal=True))


def grouped(torch, query, keys, values, bias):
    across = lambda a: a.transpose(1, 2)
    options = {"attn_mask": bias, "enable_gqa": True}
    return across(torch.nn.functional.scaled_dot_product_attention(across(query), across(keys), across(values), **options))


def transformer(name: str, *, decoder: bool, **order) -> Case:
    """A layer of an encoder, or of a decoder: causal, and with attention to a memory."""
    cross = {f"cross_{projection}": shape for projection, shape in PROJECTIONS.items()} if decoder else {}
    norms = {f"{kind}{i}": (FEATURES,) for i in (range(1, 4) if decoder else range(1, 3)) for kind in ("scale", "shift")}
    memory = {"memory": (2, 3, FEATURES)} if decoder else {}

    def theirs(torch, x, memory=None, **arrays):
        kind = torch.nn.TransformerDecoderLayer if decoder else torch.nn.TransformerEncoderLayer
        layer = kind(FEATURES, HEADS, HIDDEN, 0.0, batch_first=True, norm_first=not order, dtype=torch.float64)
        weights = load(torch, arrays, end="self_attn.") | (load(torch, arrays, "cross_", "multihead_attn.") if decoder else {})
        weights |= {"linear1.weight": arrays["up"].T, "linear1.bias": arrays["up_bias"]}
        weights |= {"linear2.weight": arrays["down"].T, "linear2.bias": arrays["down_bias"]}
        for ours, name in (("scale", "weight"), ("shift", "bias")):
            weights |= {f"norm{array[-1]}.{name}": arrays[array] for array in norms if array[:-1] == ours}
        unseen = torch.nn.Transformer.generate_square_subsequent_mask(x.shape[1], dtype=torch.float64)
        inputs, named = ((x, memory), {"tgt_mask": unseen}) if decoder else ((x,), {})
        return torch.func.functional_call(layer, weights, inputs, named)

    def ours(x, memory=None, **arrays):
        attend = L.attention(HEADS) if decoder else None
        block = L.transformer_block(L.attention(HEADS, causal=decoder), L.mlp([HIDDEN, FEATURES]), cross=attend, **order)
        parts = ("attention", "cross", "mlp") if decoder else ("attention", "mlp")
        params = {
            "attention": params_of(arrays),
            "mlp": {
                "0": {"kernel": arrays["up"], "bias": arrays["up_bias"]},
                "1": {"kernel": arrays["down"], "bias": arrays["down_bias"]},
            },
        }
        params |= {f"{part}_norm": {"scale": arrays[f"scale{i}"], "bias": arrays[f"shift{i}"]} for i, part in enumerate(parts, 1)}
        params |= {"cross": params_of(arrays, "cross_")} if decoder else {}
        return block.apply(params, {}, x, memory)[0][0]

    kernels = {name: _kernel(name, shape) for name, shape in {**PROJECTIONS, **cross, **MLP}.items()}
    return Case(name, {"x": (2, 4, FEATURES), **memory, **kernels, **norms}, ours, theirs)


def _kernel(name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Such that no softmax saturates, whose gradients would be noise in float32."""
    return np.random.default_rng(zlib.crc32(name.encode())).normal(scale=FEATURES**-0.5, size=shape).astype(np.float32)


MLP = {"up": (FEATURES, HIDDEN), "up_bias": (HIDDEN,), "down": (HIDDEN, FEATURES), "down_bias": (FEATURES,)}
MULTIHEAD = {"x": (2, 4, FEATURES), "memory": (2, 5, FEATURES), **PROJECTIONS}
SEEN = np.random.default_rng(0).random((2, HEADS, 4, 5)) < 0.6
SEEN[..., 1] = True  # PyTorch gives NaN where nothing is
HEADED = {"query": (2, 5, 4, 3), "keys": (2, 5, 4, 3), "values": (2, 5, 4, 3)}

CASES = (
    Case("attention_causal", HEADED, lambda **a: functional.attention(**a, causal=True), causal),
    Case(
        "attention_of_groups_with_bias",
        {"query": (2, 5, 4, 3), "keys": (2, 6, 2, 3), "values": (2, 6, 2, 3), "bias": (2, 1, 5, 6)},
        functional.attention,
        grouped,
    ),
    Case("multihead_attention", MULTIHEAD, our_multihead, multihead),
    Case("multihead_attention_masked", MULTIHEAD | {"mask": SEEN}, our_multihead, multihead),
    Case("multihead_attention_padded", MULTIHEAD | {"seen": SEEN[:, 0, 0]}, our_multihead, multihead),
    Case("multihead_attention_biased", MULTIHEAD | {"bias": SEEN.shape}, our_multihead, multihead),
    transformer("transformer_decoder", decoder=True, order="post"),
    transformer("transformer_decoder_norm_first", decoder=True),
    transformer("transformer_encoder", decoder=False, order="post"),
    transformer("transformer_encoder_norm_first", decoder=False),
)
