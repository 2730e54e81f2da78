"""Convolutions and what PyTorch calls them."""

from jdl import functional as F
from parity._case import Case


def _conv(torch, x, kernel, **geometry):
    y = torch.nn.functional.conv2d(x.permute(0, 3, 1, 2), kernel.permute(3, 2, 0, 1), **geometry)
    return y.permute(0, 2, 3, 1)


def _padded(mode: str) -> Case:
    def theirs(torch, x, kernel):
        x = torch.nn.functional.pad(x.permute(0, 3, 1, 2), (2, 0, 1, 3), mode=mode).permute(0, 2, 3, 1)
        return _conv(torch, x, kernel, stride=(2, 1))

    ours = lambda x, kernel: F.conv(x, kernel, stride=(2, 1), padding=((1, 3), (2, 0)), padding_mode=mode)
    return Case(f"conv_{mode}", {"x": (2, 5, 4, 2), "kernel": (3, 2, 2, 3)}, ours, theirs)


def _solid(name: str, groups: int = 1, **geometry) -> Case:
    def theirs(torch, x, kernel, bias):
        kernel = kernel.movedim((-1, -2), (0, 1))
        return torch.nn.functional.conv3d(x.movedim(-1, 1), kernel, bias, groups=groups, **geometry).movedim(1, -1)

    padding = tuple((p, p) for p in geometry["padding"])
    ours = lambda x, kernel, bias: F.conv(x, kernel, bias, groups=groups, **geometry | {"padding": padding})
    inputs = {"x": (2, 4, 5, 3, 2 * groups), "kernel": (2, 3, 2, 2, 3 * groups), "bias": (3 * groups,)}
    return Case(name, inputs, ours, theirs)


def _transposed(name: str, size: tuple[int, ...], window: tuple[int, ...], groups: int = 1, **geometry) -> Case:
    spatial, channels, features = len(size), 2 * groups, 3 * groups
    padding = geometry.pop("padding", (0,) * spatial)

    def theirs(torch, x, kernel, bias):
        kernel = kernel.reshape(*window, 2, groups, 3).movedim((-2, -3, -1), (0, 1, 2)).reshape(channels, 3, *window)
        transposed = getattr(torch.nn.functional, f"conv_transpose{spatial}d")
        return transposed(x.movedim(-1, 1), kernel, bias, padding=padding, groups=groups, **geometry).movedim(1, -1)

    ours = lambda x, kernel, bias: F.conv_transpose(
        x, kernel, bias, padding=tuple((p, p) for p in padding), groups=groups, **geometry
    )
    return Case(name, {"x": (2, *size, channels), "kernel": (*window, 2, features), "bias": (features,)}, ours, theirs)


CASES = (
    *map(_padded, ("circular", "reflect", "replicate")),
    Case(
        "conv_causal",
        {"x": (2, 6, 2), "kernel": (3, 2, 4)},
        lambda x, kernel: F.conv(x, kernel, padding="CAUSAL", dilation=2),
        lambda torch, x, kernel: torch.nn.functional.conv1d(
            torch.nn.functional.pad(x.permute(0, 2, 1), (4, 0)), kernel.permute(2, 1, 0), dilation=2
        ).permute(0, 2, 1),
    ),
    _solid("conv_3d", stride=(2, 1, 1), padding=(1, 0, 1)),
    _solid("conv_3d_grouped", groups=2, stride=(1, 2, 1), padding=(0, 2, 1), dilation=(2, 1, 3)),
    _transposed("conv_transpose_1d", (5,), (4,), stride=3, padding=(1,), output_padding=2),
    _transposed("conv_transpose_2d", (4, 3), (3, 4), stride=2, padding=(1, 0), output_padding=(1, 0)),
    _transposed("conv_transpose_dilated", (4, 3), (3, 2), stride=(2, 3), padding=(2, 1), output_padding=(1, 2), dilation=(2, 3)),
    _transposed("conv_transpose_grouped", (4, 3), (3, 2), groups=2, stride=2, padding=(1, 1), output_padding=1),
    _transposed("conv_transpose_3d", (3, 2, 3), (2, 3, 3), stride=(2, 1, 3)),
    Case(
        "depthwise_conv",
        {"x": (2, 6, 5, 3), "kernel": (3, 2, 1, 6), "bias": (6,)},
        lambda x, kernel, bias: F.depthwise_conv(x, kernel, bias, stride=(2, 1), padding=2, dilation=(1, 2)),
        lambda torch, x, kernel, bias: _conv(torch, x, kernel, bias=bias, stride=(2, 1), padding=2, dilation=(1, 2), groups=3),
    ),
)
