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
STEPS, LAX_STEPS = 8, 2  # in a loop; lax's take seconds each
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


def in_loop(conv, stride, x, kernel, steps):
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


def beside_pytorch(name, convs, case):
    """Seconds of each, alone."""
    x, kernel = operands(name, case)
    programs = {
        who: functools.partial(jax.jit(functools.partial(gradients, conv, case[-1])), x, kernel) for who, conv in convs.items()
    }
    ours = programs.pop("jdl")
    return side_by_side(programs | pytorch(name, case[-1], x, kernel, steps=1) | {"jdl": ours})


def beside_pytorch_in_loops(name, convs, case):
    x, kernel = operands(name, case)
    program = lambda who, steps: jax.jit(functools.partial(in_loop, convs[who], case[-1], steps=steps))
    return steps_of(program, (x, kernel), pytorch(name, case[-1], x, kernel, STEPS))


def steps_of(program, given, others):
    """Seconds of a step of each; lax, which takes seconds for it, has few, and no turns."""
    reference = side_by_side({"lax": functools.partial(program("lax", LAX_STEPS), *given)}, rounds=1)
    taken = side_by_side(others | {"jdl": functools.partial(program("jdl", STEPS), *given)})
    return {"lax": reference["lax"] / LAX_STEPS} | {who: seconds / STEPS for who, seconds in taken.items()}


def operands(name, case):
    x, kernel = arrays(case)
    return x, kernel[:, :, :1] if name == "depthwise" else kernel


def under_vmap(case):
    given = arrays(case, members=(8,))
    program = lambda conv: jax.jit(jax.vmap(functools.partial(gradients, conv, case[-1])))
    return side_by_side(
        {"lax": functools.partial(program(lax_conv), *given), "jdl": functools.partial(program(functional.conv), *given)}
    )


def under_vmap_in_loops(case):
    convs = {"lax": lax_conv, "jdl": functional.conv}
    program = lambda who, steps: jax.jit(jax.vmap(functools.partial(in_loop, convs[who], case[-1], steps=steps)))
    return steps_of(program, arrays(case, members=(8,)), {})


def describe(case):
    batch, size, channels, features, window, stride = case
    return f"{batch} x {size} x {size}, {channels} to {features}, {window}" + f", stride {stride}" * (stride > 1)


def table(title, measure, cases):
    show(title, {describe(case): measure(case) for case in cases})


def main(loops):
    environment()
    table("8 kernels by vmap, alone", under_vmap, SMALL)
    if loops:
        table("8 kernels by vmap, a step in a loop", under_vmap_in_loops, SMALL)
    kinds = {
        "full": ({"lax": lax_conv, "jdl": functional.conv}, CASES),
        "depthwise": ({"lax": lax_depthwise, "jdl": functional.depthwise_conv}, DEPTHWISE),
        "transposed": ({"lax": lax_transpose, "jdl": functional.conv_transpose}, TRANSPOSED),
    }
    for name, (convs, cases) in kinds.items():
        table(f"{name}, forward and gradients, alone", functools.partial(beside_pytorch, name, convs), cases)
        if loops:
            table(f"{name}, a step in a loop", functools.partial(beside_pytorch_in_loops, name, convs), cases)
    x = jax.random.normal(jax.random.key(0), (64, 28, 28, 32))
    pools = {"lax": lax_pool, "jdl": lambda x: functional.max_pool(x, 2)}
    pools = {name: jax.jit(jax.grad(lambda x, pool=pool: jnp.square(pool(x)).sum())) for name, pool in pools.items()}
    contestants = {name: functools.partial(gradient, x) for name, gradient in pools.items()}
    show("gradient of max-pooling", {"64 x 28 x 28 x 32, window 2": side_by_side(contestants, rounds=15)})


if __name__ == "__main__":
    main(loops="alone" not in sys.argv[1:])
