"""Convolution with both gradients, and max-pooling's: jdl's functions against lax's, alone, in a loop, under vmap over kernels.

All but those under vmap also against PyTorch's, in both its layouts, where it is installed.

python experiments/benchmarks/convolution.py [alone]     (alone: without the loops, which take lax minutes)
"""

import functools
import importlib
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from _measure import environment, show, side_by_side

from jdl import functional

CASES = [(64, 28, 32, 64, 3, 1), (64, 14, 64, 128, 3, 1), (32, 32, 64, 64, 3, 2), (32, 28, 64, 64, 5, 1)]
TRANSPOSED = [(32, 14, 64, 32, 4, 2), (32, 16, 64, 64, 3, 2), (64, 7, 128, 64, 2, 2)]
DEPTHWISE = [(32, 28, 64, 64, 3, 1), (32, 14, 256, 256, 3, 1), (16, 56, 32, 32, 5, 1), (32, 28, 64, 64, 3, 2)]
SMALL = [(64, 8, 1, 32, 3, 1), (64, 4, 32, 64, 3, 1)]


def lax_conv(x, kernel, *, stride):
    layout = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel, (stride, stride), "SAME", dimension_numbers=layout)


def lax_transpose(x, kernel, *, stride):
    turned = jnp.flip(kernel, (0, 1))
    return jax.lax.conv_transpose(x, turned, (stride, stride), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))


def lax_depthwise(x, kernel, *, stride):
    layout = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(
        x, kernel, (stride, stride), "SAME", dimension_numbers=layout, feature_group_count=x.shape[-1]
    )


def lax_pool(x):
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")


def gradients(conv, stride, x, kernel):
    return jax.grad(lambda x, kernel: jnp.square(conv(x, kernel, stride=stride)).sum(), (0, 1))(x, kernel)


def in_loop(conv, stride, x, kernel, steps=2):
    def step(carry, _):
        dx, dkernel = gradients(conv, stride, *carry)
        return (x + 1e-9 * dx, kernel + 1e-9 * dkernel), None

    return jax.lax.scan(step, (x, kernel), length=steps)[0]


def arrays(case, members=()):
    batch, size, channels, features, window, _ = case
    first, second = jax.random.split(jax.random.key(0))
    x = jax.random.normal(first, (*members, batch, size, size, channels))
    return x, jax.random.normal(second, (*members, window, window, channels, features)) / window


def pytorch(name, stride, x, kernel, steps):
    """The same in PyTorch, in the layout of images that it has by default and in channels last; nothing if it is not installed."""
    try:
        torch: Any = importlib.import_module("torch")
    except ImportError:
        return {}
    transposed, window = name == "transposed", kernel.shape[0]
    conv = torch.nn.functional.conv_transpose2d if transposed else torch.nn.functional.conv2d
    options = {"padding": (window - stride if transposed else window) // 2, "groups": x.shape[-1] if name == "depthwise" else 1}

    def gradients(x, kernel):
        for _ in range(steps):
            y = conv(x, kernel, stride=stride, **options)
            found = torch.autograd.grad(y.square().sum(), (x, kernel))
        return [gradient.numpy() for gradient in found]

    weights = torch.tensor(np.asarray(kernel)).permute((2, 3, 0, 1) if transposed else (3, 2, 0, 1)).contiguous()
    images = torch.tensor(np.asarray(x)).permute(0, 3, 1, 2)
    layouts = {"PyTorch": images.contiguous(), "PyTorch, last": images}
    return {layout: functools.partial(gradients, x.requires_grad_(), weights.requires_grad_()) for layout, x in layouts.items()}


def compare_to_pytorch(make, name, pair, cases, rounds=5):
    rows = {}
    for case in cases:
        x, kernel = arrays(case)
        kernel = kernel[:, :, :1] if name == "depthwise" else kernel
        contestants = {who: functools.partial(jax.jit(make(conv, case[-1])), x, kernel) for who, conv in pair.items()}
        torchs = pytorch(name, case[-1], x, kernel, steps=2 if make is looped else 1)
        jdl = contestants.pop("jdl")
        rows[describe(case)] = side_by_side(contestants | torchs | {"jdl": jdl}, rounds=rounds)
    return rows


def describe(case):
    batch, size, channels, features, window, stride = case
    return f"{batch} x {size} x {size}, {channels} to {features}, {window}" + f", stride {stride}" * (stride > 1)


def alone(*a):
    return functools.partial(gradients, *a)


def looped(*a):
    return functools.partial(in_loop, *a)


def compare(make, cases, members=(), rounds=5):
    rows = {}
    for case in cases:
        given = arrays(case, members)
        contestants = {}
        for name, conv in {"lax": lax_conv, "jdl": functional.conv}.items():
            contestants[name] = functools.partial(jax.jit(make(functools.partial(conv), case[-1])), *given)
        rows[describe(case)] = side_by_side(contestants, rounds=rounds)
    return rows


def main(loops):
    environment()
    show("8 kernels by vmap", compare(lambda *a: jax.vmap(functools.partial(gradients, *a)), SMALL, members=(8,), rounds=3))
    depthwise = {"lax": lax_depthwise, "jdl": functional.depthwise_conv}
    transposed = {"lax": lax_transpose, "jdl": functional.conv_transpose}
    full = {"lax": lax_conv, "jdl": functional.conv}
    for name, pair, cases in (("full", full, CASES), ("depthwise", depthwise, DEPTHWISE), ("transposed", transposed, TRANSPOSED)):
        show(f"{name}, forward and gradients, alone", compare_to_pytorch(alone, name, pair, cases))
        if loops:
            show(f"{name}, two steps in a loop", compare_to_pytorch(looped, name, pair, cases, rounds=1))
    x = jax.random.normal(jax.random.key(0), (64, 28, 28, 32))
    pools = {"lax": lax_pool, "jdl": lambda x: functional.max_pool(x, 2)}
    pools = {name: jax.jit(jax.grad(lambda x, pool=pool: jnp.square(pool(x)).sum())) for name, pool in pools.items()}
    contestants = {name: functools.partial(gradient, x) for name, gradient in pools.items()}
    show("gradient of max-pooling", {"64 x 28 x 28 x 32, window 2": side_by_side(contestants, rounds=15)})


if __name__ == "__main__":
    main(loops="alone" not in sys.argv[1:])
