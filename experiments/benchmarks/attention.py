"""Attention: the memory that it takes in chunks, and the time of a block of a transformer beside PyTorch.

python experiments/benchmarks/attention.py [length]     (PyTorch is left out where it is not installed; 4096 takes 4 GB)
"""

import functools
import importlib
import importlib.util
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import rich
from _measure import environment, show, side_by_side
from rich.table import Table

from jdl import functional
from jdl import layers as L

HEADS, WIDTH, STEPS = 4, 256, 8


def memory(length, heads=8, width=64):
    """Prints bytes beyond arguments and results of causal attention and of its gradient, in chunks and at once."""
    shape = jax.ShapeDtypeStruct((1, length, heads, width), jnp.float32)
    table = Table(f"causal attention, length {length}, {heads} heads of {width}: memory", "at once, MB", "in chunks, MB", "ratio")
    for name, derive in {"forward": lambda f: f, "gradient": lambda f: jax.grad(lambda *x: f(*x).sum(), (0, 1, 2))}.items():
        megabytes = []
        for backend in ("xla", "chunked"):
            attention = functools.partial(functional.attention, causal=True, backend=backend)
            program = jax.jit(derive(attention)).lower(shape, shape, shape).compile()
            analysis = program.memory_analysis()
            megabytes.append(analysis.temp_size_in_bytes / 1e6 if analysis else np.nan)
        table.add_row(name, *(f"{m:.0f}" for m in megabytes), f"{megabytes[0] / megabytes[1]:.1f}")
    rich.print(table)


def block_of_jdl(x, activation):
    """Steps of the forward pass, and of the gradients of params and x, in one program each."""
    function = {"relu": jax.nn.relu, "gelu": functools.partial(jax.nn.gelu, approximate=False)}[activation]
    block = L.transformer_block(L.attention(HEADS), L.mlp([4 * WIDTH, WIDTH], activation=function))
    params, state = block.init(jax.random.key(0), x)
    forward = lambda params, x: block.apply(params, state, x)[0][0]
    gradients = jax.grad(lambda params, x: jnp.square(forward(params, x)).sum(), (0, 1))

    def in_loop(change):
        def step(given, _):
            return jax.tree.map(lambda a, by: a + 1e-9 * by, given, change(*given)), None

        return functools.partial(jax.jit(lambda *given: jax.lax.scan(step, given, length=STEPS)[0]), params, x)

    unchanged = jax.tree.map(jnp.zeros_like, params)
    return {"forward": in_loop(lambda params, x: (unchanged, forward(params, x))), "forward and gradient": in_loop(gradients)}


def block_of_torch(x, activation):
    """The same in PyTorch."""
    torch: Any = importlib.import_module("torch")
    block = torch.nn.TransformerEncoderLayer(WIDTH, HEADS, 4 * WIDTH, 0.0, activation, batch_first=True, norm_first=True)
    given = torch.tensor(np.asarray(x))

    def forward():
        with torch.no_grad():
            block.train()  # in evaluation PyTorch has another, fused, path for inference alone
            for _ in range(STEPS):
                y = block(given)
        return y.numpy()

    def gradient():
        for _ in range(STEPS):
            x = given.clone().requires_grad_()
            found = torch.autograd.grad(block(x).square().sum(), (x, *block.parameters()))
        return [g.numpy() for g in found]

    return {"forward": forward, "forward and gradient": gradient}


def main(length=4096):
    environment()
    memory(length)
    x = jax.random.normal(jax.random.key(1), (16, 128, WIDTH))
    makers = {"jdl": block_of_jdl} | ({"PyTorch": block_of_torch} if importlib.util.find_spec("torch") else {})
    rows = {}
    for activation in ("relu", "gelu"):
        contestants = {who: make(x, activation) for who, make in makers.items()}
        for name in ("forward", "forward and gradient"):
            rows[f"{name}, {activation}"] = side_by_side({who: calls[name] for who, calls in contestants.items()}, rounds=15)
    show(f"block, 16 x 128 x 256, 4 heads, {STEPS} steps", rows)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
