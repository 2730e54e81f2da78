"""What resizes, moves and regroups the entries of images, and what PyTorch calls it."""

import itertools

import jax.numpy as jnp

from jdl import functional as F
from parity._case import Case


def _channels_first(x):
    return x.permute(0, x.ndim - 1, *range(1, x.ndim - 1))


def _channels_last(x):
    return x.permute(0, *range(2, x.ndim), 1)


def _images(name, ours, theirs, x=(2, 5, 4, 3)) -> Case:
    """A function of images, `theirs` in PyTorch's layout."""
    return Case(name, {"x": x}, ours, lambda torch, x: _channels_last(theirs(torch.nn.functional, _channels_first(x))))


def _unfold(torch, x):  # PyTorch joins places, and lets channels change slowest
    patches = torch.nn.functional.unfold(_channels_first(x), (3, 2), dilation=(1, 2), padding=(1, 2), stride=(2, 1))
    return patches.reshape(2, 3, 6, 3, 6).permute(0, 3, 4, 2, 1).reshape(2, 3, 6, 18)


def _fold(torch, patches):
    joined = patches.reshape(2, 3, 6, 6, 3).permute(0, 4, 3, 1, 2).reshape(2, 18, 18)
    geometry = {"dilation": (1, 2), "padding": (1, 2), "stride": (2, 1)}
    return _channels_last(torch.nn.functional.fold(joined, (5, 4), (3, 2), **geometry))


GEOMETRY = {"stride": (2, 1), "padding": ((1, 1), (2, 2)), "dilation": (1, 2)}
SHUFFLES = (
    Case("unfold", {"x": (2, 5, 4, 3)}, lambda x: F.unfold(x, (3, 2), **GEOMETRY), _unfold),
    Case("fold", {"patches": (2, 3, 6, 18)}, lambda patches: F.fold(patches, (5, 4), (3, 2), **GEOMETRY), _fold),
    _images("pixel_shuffle", lambda x: F.pixel_shuffle(x, 2), lambda nn, x: nn.pixel_shuffle(x, 2), (2, 2, 3, 8)),
    _images("pixel_unshuffle", lambda x: F.pixel_unshuffle(x, 2), lambda nn, x: nn.pixel_unshuffle(x, 2), (2, 4, 6, 2)),
    Case(
        "channel_shuffle",
        {"x": (2, 3, 2, 6)},
        lambda x: F.channel_shuffle(x, 3),
        lambda torch, x: _channels_last(torch.nn.ChannelShuffle(3)(_channels_first(x))),
    ),
)


def _resize(name, size, method, theirs, antialias=False, x=(2, 5, 4, 2)) -> Case:
    flags = {} if theirs == "nearest-exact" else {"align_corners": False, "antialias": antialias}
    ours = lambda x: F.resize(x, size, method=method, antialias=antialias)
    return _images(name, ours, lambda nn, x: nn.interpolate(x, size, mode=theirs, **flags), x)


def _upsample(method, theirs, x=(2, 3, 4, 2), **flags) -> Case:
    ours = lambda x: F.upsample(x, 2, method=method)
    return _images(f"upsample_{theirs}", ours, lambda nn, x: nn.interpolate(x, scale_factor=2, mode=theirs, **flags), x)


RESIZES = (
    _resize("resize_nearest", (3, 7), "nearest", "nearest-exact"),
    _resize("resize_bilinear", (3, 7), "bilinear", "bilinear"),
    _resize("resize_bilinear_antialias", (3, 7), "bilinear", "bilinear", True),
    _resize("resize_bicubic", (3, 7), "bicubic", "bicubic"),
    _resize("resize_bicubic_antialias", (3, 7), "bicubic", "bicubic", True),
    _resize("resize_linear", (7,), "bilinear", "linear", x=(2, 5, 2)),
    _resize("resize_trilinear", (3, 2, 5), "bilinear", "trilinear", x=(2, 2, 3, 4, 2)),
    _upsample("nearest", "nearest"),
    _upsample("bilinear", "bilinear"),
    _upsample("bicubic", "bicubic", antialias=True),
)


def _pad(mode, theirs, padding=((1, 2), (3, 0)), x=(2, 4, 5, 2), **value) -> Case:
    widths = [width for pair in reversed(padding) for width in pair]  # from the last axis
    ours = lambda x: F.pad(x, padding, mode=mode, **value)
    return _images(f"pad_{theirs}_{len(padding)}d", ours, lambda nn, x: nn.pad(x, widths, mode=theirs, **value), x)


PADS = (
    _pad("zeros", "constant", value=1.5),
    *(_pad(mode, theirs) for mode, theirs in [("circular", "circular"), ("reflect", "reflect"), ("replicate", "replicate")]),
    _pad("reflect", "reflect", ((1, 2), (1, 0), (0, 2)), (2, 3, 2, 4, 2)),
)


def _affine_grid(name, theta, size, align_corners) -> Case:
    shape = theta[0], 1, *size
    theirs = lambda torch, theta: torch.nn.functional.affine_grid(theta, shape, align_corners)
    return Case(name, {"theta": theta}, lambda theta: F.affine_grid(theta, size, align_corners=align_corners), theirs)


def _grid_sample(name, method, x, places) -> Case:
    """All modes at once, side by side."""
    modes = [
        {"padding_mode": mode, "align_corners": aligned}
        for mode, aligned in itertools.product(("zeros", "border", "reflection"), (False, True))
    ]

    def theirs(torch, x, grid):
        x = _channels_first(x)
        return torch.stack([_channels_last(torch.nn.functional.grid_sample(x, grid, method, **mode)) for mode in modes])

    ours = lambda x, grid: jnp.stack([F.grid_sample(x, grid, method=method, **mode) for mode in modes])
    return Case(f"grid_sample_{name}", {"x": x, "grid": (2, *places, len(places))}, ours, theirs)


GRIDS = (
    _affine_grid("affine_grid_2d", (2, 2, 3), (3, 4), False),
    _affine_grid("affine_grid_2d_aligned", (2, 2, 3), (3, 4), True),
    _affine_grid("affine_grid_3d", (2, 3, 4), (2, 3, 4), False),
    _grid_sample("nearest", "nearest", (2, 4, 3, 2), (3, 4)),
    _grid_sample("bilinear", "bilinear", (2, 4, 3, 2), (3, 4)),
    _grid_sample("bicubic", "bicubic", (2, 4, 3, 2), (3, 4)),
    _grid_sample("trilinear", "bilinear", (2, 3, 2, 4, 2), (2, 2, 3)),
    _grid_sample("nearest_3d", "nearest", (2, 3, 2, 4, 2), (2, 2, 3)),
)

CASES = SHUFFLES + RESIZES + PADS + GRIDS
