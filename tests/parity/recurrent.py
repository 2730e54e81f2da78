"""Recurrent networks as PyTorch computes them."""

import jax.numpy as jnp

from jdl import functional
from jdl import layers as L
from parity._case import Case

IN, FEATURES = 3, 4


def shapes(gates, inputs=IN, features=FEATURES, outputs=FEATURES, end=""):
    sizes = {"kernel": (inputs, gates * features), "recurrent": (outputs, gates * features), "bias": (gates * features,)}
    return {name + end: shape for name, shape in sizes.items()}


def weights(arrays, end, layer=0, suffix="", second_bias=None):
    """Weights of one direction of one layer, by the names of PyTorch, which adds two biases."""
    torch_names = {"kernel": "weight_ih", "recurrent": "weight_hh", "bias": "bias_ih"}
    turned = lambda a: a.T if a.ndim == 2 else a
    named = {f"{name}_l{layer}{suffix}": turned(arrays[ours + end]) for ours, name in torch_names.items()}
    bias = arrays["bias" + end]
    return named | {f"bias_hh_l{layer}{suffix}": bias * 0 if second_bias is None else second_bias}


def run(torch, module, values, x, carry=None, **options):
    layer = module(x.shape[-1], FEATURES, batch_first=True, dtype=torch.float64, **options)
    return torch.func.functional_call(layer, values, (x, carry) if carry is not None else (x,))


def simple(torch, x, **arrays):
    return run(torch, torch.nn.RNN, weights(arrays, ""), x)[0]


def lstm(torch, x, h, c, **arrays):
    y, (h, c) = run(torch, torch.nn.LSTM, weights(arrays, ""), x, (h[None], c[None]))
    return torch.cat([y, h.transpose(0, 1), c.transpose(0, 1)], 1)


def our_lstm(x, h, c, kernel, recurrent, bias):
    y, (h, c) = functional.lstm(x, kernel, recurrent, bias, carry=(h, c))
    return jnp.concatenate([y, jnp.stack([h, c], 1)], 1)


def projected(torch, x, projection, **arrays):
    return run(torch, torch.nn.LSTM, weights(arrays, "") | {"weight_hr_l0": projection.T}, x, proj_size=2)[0]


def gru(torch, x, recurrent_bias, **arrays):
    second = torch.cat([torch.zeros(2 * FEATURES, dtype=torch.float64), recurrent_bias])
    return run(torch, torch.nn.GRU, weights(arrays, "", second_bias=second), x)[0]


def stacked(torch, x, **arrays):
    values = {}
    for layer, direction, suffix in ((0, "", ""), (0, "_back", "_reverse"), (1, "", ""), (1, "_back", "_reverse")):
        values |= weights(arrays, f"{layer}{direction}", layer, suffix)
    return run(torch, torch.nn.LSTM, values, x, num_layers=2, bidirectional=True)[0]


def our_stacked(x, **arrays):
    def params(end):
        return {"kernel": arrays["kernel" + end], "recurrent_kernel": arrays["recurrent" + end], "bias": arrays["bias" + end]}

    def both():
        return L.bidirectional(*(L.recurrent(L.lstm_cell(FEATURES), reverse=reverse) for reverse in (False, True)))

    tree = {str(i): {"forward": params(f"{i}"), "backward": params(f"{i}_back")} for i in range(2)}
    return L.recurrent_stack(both(), both()).apply(tree, {}, x)[0][0]


def ours(function, **options):
    return lambda x, kernel, recurrent, bias, **arrays: function(x, kernel, recurrent, bias, **arrays, **options)[0]


X = {"x": (2, 5, IN)}
LOWER, UPPER = ({**shapes(4, size, end=f"{i}"), **shapes(4, size, end=f"{i}_back")} for i, size in enumerate((IN, 2 * FEATURES)))

CASES = (
    Case("rnn", X | shapes(1), ours(functional.rnn), simple),
    Case("lstm", X | {"h": (2, FEATURES), "c": (2, FEATURES)} | shapes(4), our_lstm, lstm),
    Case("lstm_projected", X | {"projection": (FEATURES, 2)} | shapes(4, outputs=2), ours(functional.lstm), projected),
    Case("gru", X | {"recurrent_bias": (FEATURES,)} | shapes(3), ours(functional.gru), gru),
    Case("lstm_bidirectional_stacked", X | LOWER | UPPER, our_stacked, stacked),
)
