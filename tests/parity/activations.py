"""Activations and what PyTorch calls them."""

import jax.numpy as jnp
import numpy as np

from jdl import functional as F
from jdl import layers as L
from parity._case import Case

X = {"x": (4, 3, 5)}
WIDE = {"x": np.linspace(-7.7, 8.2, 60, dtype=np.float32).reshape(5, 12)}  # on both sides of every joint
HANDED_ON = {
    "celu": ("celu", {"alpha": 0.5}),
    "elu": ("elu", {"alpha": 0.7}),
    "glu": ("glu", {}),
    "hard_silu": ("hardswish", {}),
    "hard_swish": ("hardswish", {}),
    "hard_tanh": ("hardtanh", {}),
    "leaky_relu": ("leaky_relu", {"negative_slope": 0.2}),
    "log_sigmoid": ("logsigmoid", {}),
    "log_softmax": ("log_softmax", {}),
    "mish": ("mish", {}),
    "relu": ("relu", {}),
    "relu6": ("relu6", {}),
    "selu": ("selu", {}),
    "sigmoid": ("sigmoid", {}),
    "silu": ("silu", {}),
    "soft_sign": ("softsign", {}),
    "softmax": ("softmax", {}),
    "softplus": ("softplus", {}),
    "swish": ("silu", {}),
    "tanh": ("tanh", {}),
}


def _handed_on(x):
    both = [F.gelu(x, approximate=approximate) for approximate in (False, True)]
    every = [getattr(F, name)(x, **options) for name, (_, options) in HANDED_ON.items()]
    return jnp.concatenate([y.ravel() for y in [F.hard_sigmoid(x), *both, *every]])


def _of_torch(torch, x):
    names = torch.nn.functional
    both = [names.gelu(x, approximate=approximate) for approximate in ("none", "tanh")]
    last = {"dim": -1}
    sigmoid = names.relu6(x + 3) / 6  # the gradient of hardsigmoid has a sixth in float32
    every = [getattr(names, name)(x, **options, **(last if "max" in name else {})) for name, options in HANDED_ON.values()]
    return torch.cat([y.flatten() for y in [sigmoid, *both, *every]])


CASES = (
    Case("handed_on", WIDE, _handed_on, _of_torch),
    Case(
        "rrelu_in_evaluation",
        X,
        lambda x: L.rrelu(0.1, 0.4).apply({}, {}, x)[0],
        lambda torch, x: torch.nn.functional.rrelu(x, 0.1, 0.4, training=False),
    ),
    Case("prelu", X | {"slope": (5,)}, F.prelu, lambda torch, x, slope: torch.nn.functional.prelu(x.mT, slope).mT),
    Case("prelu_shared", X | {"slope": ()}, F.prelu, lambda torch, x, slope: torch.nn.functional.prelu(x, slope.reshape(1))),
    Case("hard_shrink", X, lambda x: F.hard_shrink(x, 0.3), lambda torch, x: torch.nn.functional.hardshrink(x, 0.3)),
    Case("soft_shrink", X, lambda x: F.soft_shrink(x, 0.3), lambda torch, x: torch.nn.functional.softshrink(x, 0.3)),
    Case("tanh_shrink", X, F.tanh_shrink, lambda torch, x: torch.nn.functional.tanhshrink(x)),
    Case("threshold", X, lambda x: F.threshold(x, 0.2, -3.0), lambda torch, x: torch.nn.functional.threshold(x, 0.2, -3.0)),
    Case("softmin", X, lambda x: F.softmin(x, axis=1), lambda torch, x: torch.nn.functional.softmin(x, 1)),
    Case(
        "shrink_at_its_limit",
        {"x": np.array([-0.5, 0.0, 0.5])},
        lambda x: F.soft_shrink(x) + F.hard_shrink(x) + F.threshold(x, 0.5, 1.0),
        lambda torch, x: (
            torch.nn.functional.softshrink(x) + torch.nn.functional.hardshrink(x) + torch.nn.functional.threshold(x, 0.5, 1.0)
        ),
    ),
)
