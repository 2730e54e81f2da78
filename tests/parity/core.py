"""The core's functions and what PyTorch calls them."""

from jdl import functional as F
from parity._case import Case

CASES = (
    Case(
        "dense",
        {"x": (4, 3, 5), "kernel": (5, 2), "bias": (2,)},
        F.dense,
        lambda torch, x, kernel, bias: torch.nn.functional.linear(x, kernel.T, bias),
    ),
    Case(
        "conv",
        {"x": (2, 7, 6, 4), "kernel": (3, 2, 2, 6), "bias": (6,)},
        lambda x, kernel, bias: F.conv(x, kernel, bias, stride=(2, 1), padding=((1, 1), (2, 2)), dilation=(1, 2), groups=2),
        lambda torch, x, kernel, bias: torch.nn.functional.conv2d(
            x.permute(0, 3, 1, 2), kernel.permute(3, 2, 0, 1), bias, (2, 1), (1, 2), (1, 2), 2
        ).permute(0, 2, 3, 1),
    ),
    Case(
        "layer_norm",
        {"x": (4, 3, 5), "scale": (5,), "bias": (5,)},
        F.layer_norm,
        lambda torch, x, scale, bias: torch.nn.functional.layer_norm(x, (5,), scale, bias),
    ),
    Case(
        "rms_norm",
        {"x": (4, 3, 5), "scale": (5,)},
        lambda x, scale: F.rms_norm(x, scale, epsilon=1e-6),
        lambda torch, x, scale: torch.nn.functional.rms_norm(x, (5,), scale, 1e-6),
    ),
    Case(
        "max_pool",
        {"x": (2, 7, 6, 3)},
        lambda x: F.max_pool(x, (3, 2), stride=(2, 2), padding=((1, 1), (0, 0))),
        lambda torch, x: torch.nn.functional.max_pool2d(x.permute(0, 3, 1, 2), (3, 2), 2, (1, 0)).permute(0, 2, 3, 1),
    ),
    Case(
        "avg_pool",
        {"x": (2, 7, 6, 3)},
        lambda x: F.avg_pool(x, 3, stride=2, padding=1),
        lambda torch, x: torch.nn.functional.avg_pool2d(x.permute(0, 3, 1, 2), 3, 2, 1).permute(0, 2, 3, 1),
    ),
)
