"""Activations and what PyTorch calls them."""

import numpy as np

from jdl import functional as F
from parity._case import Case

X = {"x": (4, 3, 5)}

CASES = (
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
