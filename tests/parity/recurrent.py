"""Recurrent networks as PyTorch computes them."""

import jax
import jax.numpy as jnp
import numpy as np

from jdl import functional
from jdl import layers as L
from parity._case import Case

IN, FEATURES, TIME = 3, 4, 5


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


def run(torch, module, values, x, carry=None, lengths=None, **options):
    layer = module(x.shape[-1], FEATURES, batch_first=True, dtype=torch.float64, **options)
    both, batch_first = torch.nn.utils.rnn, {"batch_first": True}
    x = x if lengths is None else both.pack_padded_sequence(x, lengths, enforce_sorted=False, **batch_first)
    y, end = torch.func.functional_call(layer, values, (x, carry) if carry is not None else (x,))
    y = y if lengths is None else both.pad_packed_sequence(y, total_length=TIME, **batch_first)[0]
    return flat(torch.cat, y, end)


def flat(concatenate, y, end):
    """The outputs, and the carry after them."""
    return concatenate([a.reshape(-1) for a in (y, *(end if isinstance(end, tuple) else (end,)))])


def simple(torch, x, **arrays):
    return run(torch, torch.nn.RNN, weights(arrays, ""), x)


def rectified(torch, x, carry, **arrays):
    return run(torch, torch.nn.RNN, weights(arrays, ""), x, carry[None], nonlinearity="relu")


def lstm(torch, x, h, c, lengths=None, **arrays):
    return run(torch, torch.nn.LSTM, weights(arrays, ""), x, (h[None], c[None]), lengths)


def our_lstm(x, h, c, kernel, recurrent, bias, lengths=None):
    return flat(jnp.concatenate, *functional.lstm(x, kernel, recurrent, bias, carry=(h, c), lengths=lengths))


def projected(torch, x, projection, **arrays):
    return run(torch, torch.nn.LSTM, weights(arrays, "") | {"weight_hr_l0": projection.T}, x, proj_size=2)


def gru_weights(torch, arrays, end="", suffix=""):
    second = torch.cat([torch.zeros(2 * FEATURES, dtype=torch.float64), arrays["recurrent_bias" + end]])
    return weights(arrays, end, suffix=suffix, second_bias=second)


def gru(torch, x, **arrays):
    return run(torch, torch.nn.GRU, gru_weights(torch, arrays), x)


def gru_both_ways(torch, x, carry, lengths, **arrays):
    values = gru_weights(torch, arrays) | gru_weights(torch, arrays, "_back", "_reverse")
    return run(torch, torch.nn.GRU, values, x, carry, lengths, bidirectional=True)


def our_gru_both_ways(x, carry, lengths, **arrays):
    params = [[arrays[name + end] for name in ("kernel", "recurrent", "bias", "recurrent_bias")] for end in ("", "_back")]
    ahead, end = functional.gru(x, *params[0], carry=carry[0], lengths=lengths)
    back, start = functional.gru(x, *params[1], carry=carry[1], lengths=lengths, reverse=True)
    return flat(jnp.concatenate, jnp.concatenate([ahead, back], -1), (end, start))


def stacked(torch, x, **arrays):
    values = {}
    for layer, direction, suffix in ((0, "", ""), (0, "_back", "_reverse"), (1, "", ""), (1, "_back", "_reverse")):
        values |= weights(arrays, f"{layer}{direction}", layer, suffix)
    return run(torch, torch.nn.LSTM, values, x, num_layers=2, bidirectional=True)


def our_stacked(x, **arrays):
    def params(end):
        return {"kernel": arrays["kernel" + end], "recurrent_kernel": arrays["recurrent" + end], "bias": arrays["bias" + end]}

    def both():
        return L.bidirectional(*(L.recurrent(L.lstm_cell(FEATURES), reverse=reverse) for reverse in (False, True)))

    tree = {str(i): {"forward": params(f"{i}"), "backward": params(f"{i}_back")} for i in range(2)}
    y, carries = L.recurrent_stack(both(), both()).apply(tree, {}, x)[0]
    ends = tuple(jnp.stack([one[i] for pair in carries for one in pair]) for i in range(2))  # h and c, as PyTorch stacks them
    return flat(jnp.concatenate, y, ends)


def ours(function, **options):
    def call(x, kernel, recurrent, bias, **arrays):
        return flat(jnp.concatenate, *function(x, kernel, recurrent, bias, **arrays, **options))

    return call


X = {"x": (2, TIME, IN)}
LENGTHS = {"x": (3, TIME, IN), "lengths": np.array([3, TIME, 1])}
CARRIES = {"h": (2, FEATURES), "c": (2, FEATURES)}
LOWER, UPPER = ({**shapes(4, size, end=f"{i}"), **shapes(4, size, end=f"{i}_back")} for i, size in enumerate((IN, 2 * FEATURES)))
BOTH = {name: shape for end in ("", "_back") for name, shape in {**shapes(3, end=end), "recurrent_bias" + end: (FEATURES,)}.items()}

CASES = (
    Case("rnn", X | shapes(1), ours(functional.rnn), simple),
    Case("rnn_rectified", X | {"carry": (2, FEATURES)} | shapes(1), ours(functional.rnn, activation=jax.nn.relu), rectified),
    Case("lstm", X | CARRIES | shapes(4), our_lstm, lstm),
    Case("lstm_of_lengths", LENGTHS | {"h": (3, FEATURES), "c": (3, FEATURES)} | shapes(4), our_lstm, lstm),
    Case("lstm_projected", X | {"projection": (FEATURES, 2)} | shapes(4, outputs=2), ours(functional.lstm), projected),
    Case("gru", X | {"recurrent_bias": (FEATURES,)} | shapes(3), ours(functional.gru), gru),
    Case("gru_of_lengths_both_ways", LENGTHS | {"carry": (2, 3, FEATURES)} | BOTH, our_gru_both_ways, gru_both_ways),
    Case("lstm_bidirectional_stacked", X | LOWER | UPPER, our_stacked, stacked),
)
