"""Attention and transformers as PyTorch computes them."""

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


def params_of(arrays):
    return {name: {"kernel": arrays[name], "bias": arrays[bias]} for name, bias in BIASES.items()}


def load(torch, attention, arrays):
    """The weights of a MultiheadAttention, as a call with them in place."""
    stacked = torch.cat([arrays[name].T for name in ("query", "key", "value")])
    biases = torch.cat([arrays[BIASES[name]] for name in ("query", "key", "value")])
    return {
        "in_proj_weight": stacked,
        "in_proj_bias": biases,
        "out_proj.weight": arrays["out"].T,
        "out_proj.bias": arrays["out_bias"],
    }


def multihead(torch, x, memory, **arrays):
    layer = torch.nn.MultiheadAttention(FEATURES, HEADS, batch_first=True, dtype=torch.float64)
    call = torch.func.functional_call
    return call(layer, load(torch, layer, arrays), (x, memory, memory))[0]


def causal(torch, query, keys, values):
    across = lambda a: a.transpose(1, 2)
    return across(torch.nn.functional.scaled_dot_product_attention(across(query), across(keys), across(values), is_causal=True))


def grouped(torch, query, keys, values, bias):
    across = lambda a: a.transpose(1, 2)
    options = {"attn_mask": bias, "enable_gqa": True}
    return across(torch.nn.functional.scaled_dot_product_attention(across(query), across(keys), across(values), **options))


def encoder(torch, x, up, up_bias, down, down_bias, scale1, shift1, scale2, shift2, **arrays):
    layer = torch.nn.TransformerEncoderLayer(FEATURES, HEADS, HIDDEN, 0.0, batch_first=True, dtype=torch.float64)
    weights = {f"self_attn.{name}": value for name, value in load(torch, layer, arrays).items()}
    weights |= {"linear1.weight": up.T, "linear1.bias": up_bias, "linear2.weight": down.T, "linear2.bias": down_bias}
    weights |= {"norm1.weight": scale1, "norm1.bias": shift1, "norm2.weight": scale2, "norm2.bias": shift2}
    return torch.func.functional_call(layer, weights, (x,))


def our_encoder(x, up, up_bias, down, down_bias, scale1, shift1, scale2, shift2, **arrays):
    block = L.transformer_block(L.attention(HEADS), L.mlp([HIDDEN, FEATURES]), order="post")
    params = {
        "attention": params_of(arrays),
        "attention_norm": {"scale": scale1, "bias": shift1},
        "mlp": {"0": {"kernel": up, "bias": up_bias}, "1": {"kernel": down, "bias": down_bias}},
        "mlp_norm": {"scale": scale2, "bias": shift2},
    }
    return block.apply(params, {}, x)[0][0]


def decoder(torch, x, memory, up, up_bias, down, down_bias, scale1, shift1, scale2, shift2, **arrays):
    """Both attentions have one set of weights, and the last norm is that of the first."""
    layer = torch.nn.TransformerDecoderLayer(FEATURES, HEADS, HIDDEN, 0.0, batch_first=True, dtype=torch.float64)
    attention = load(torch, layer, arrays)
    weights = {f"{part}.{name}": value for part in ("self_attn", "multihead_attn") for name, value in attention.items()}
    weights |= {"linear1.weight": up.T, "linear1.bias": up_bias, "linear2.weight": down.T, "linear2.bias": down_bias}
    weights |= {"norm1.weight": scale1, "norm1.bias": shift1, "norm2.weight": scale2, "norm2.bias": shift2}
    weights |= {"norm3.weight": scale1, "norm3.bias": shift1}
    unseen = torch.nn.Transformer.generate_square_subsequent_mask(x.shape[1], dtype=torch.float64)
    return torch.func.functional_call(layer, weights, (x, memory), {"tgt_mask": unseen})


def our_decoder(x, memory, up, up_bias, down, down_bias, scale1, shift1, scale2, shift2, **arrays):
    block = L.transformer_block(L.attention(HEADS, causal=True), L.mlp([HIDDEN, FEATURES]), cross=L.attention(HEADS), order="post")
    params = {
        "attention": params_of(arrays),
        "attention_norm": {"scale": scale1, "bias": shift1},
        "cross": params_of(arrays),
        "cross_norm": {"scale": scale2, "bias": shift2},
        "mlp": {"0": {"kernel": up, "bias": up_bias}, "1": {"kernel": down, "bias": down_bias}},
        "mlp_norm": {"scale": scale1, "bias": shift1},
    }
    return block.apply(params, {}, x, memory)[0][0]


MLP = {"up": (FEATURES, HIDDEN), "up_bias": (HIDDEN,), "down": (HIDDEN, FEATURES), "down_bias": (FEATURES,)}
NORMS = {"scale1": (FEATURES,), "shift1": (FEATURES,), "scale2": (FEATURES,), "shift2": (FEATURES,)}
HEADED = {"query": (2, 5, 4, 3), "keys": (2, 5, 4, 3), "values": (2, 5, 4, 3)}

CASES = (
    Case("attention_causal", HEADED, lambda **a: functional.attention(**a, causal=True), causal),
    Case(
        "attention_of_groups_with_bias",
        {"query": (2, 5, 4, 3), "keys": (2, 6, 2, 3), "values": (2, 6, 2, 3), "bias": (2, 1, 5, 6)},
        functional.attention,
        grouped,
    ),
    Case(
        "multihead_attention",
        {"x": (2, 4, FEATURES), "memory": (2, 5, FEATURES), **PROJECTIONS},
        lambda x, memory, **a: L.attention(HEADS).apply(params_of(a), {}, x, memory)[0][0],
        multihead,
    ),
    Case(
        "transformer_decoder",
        {"x": (2, 4, FEATURES), "memory": (2, 3, FEATURES), **PROJECTIONS, **MLP, **NORMS},
        our_decoder,
        decoder,
    ),
    Case("transformer_encoder", {"x": (2, 4, FEATURES), **PROJECTIONS, **MLP, **NORMS}, our_encoder, encoder),
)
