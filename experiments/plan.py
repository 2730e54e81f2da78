"""A run past one machine, planned on this one: a decoder of 7 billion parameters over 256 devices, compiled and never run.

python experiments/plan.py                  (about half a minute, and half a GB of memory, on 2 cores)
python experiments/plan.py --mesh data=256

Devices are fake and shapes abstract: nothing is allocated. What is printed is what XLA's compiler for CPUs makes of the step; those
for GPUs and TPUs split it by the same rules, and then overlap and merge more. `docs/plan.md` reads the figures.
"""

import dataclasses
import importlib.metadata
import math
import platform
import time
from datetime import date
from typing import Any

import jax
import jax.numpy as jnp
import optax
import rich
import tyro
from rich.table import Table

import jdl
from jdl import functional, losses, models, parallel, train
from jdl import layers as L


@dataclasses.dataclass(frozen=True)
class Config:
    """Compiles one training step of a decoder for devices that aren't there."""

    mesh: str = "data=32,model=8"
    """Axes and sizes: parameters are fully sharded over `data`, after tensors are split over `model`, if there is one."""
    blocks: int = 32
    """How many; they are compiled once."""
    width: int = 4096
    """Features of a token; heads have 128."""
    hidden: int = 11_008
    """Width inside the gated MLP."""
    vocabulary: int = 32_000
    """Tokens that there are."""
    length: int = 4096
    """Tokens in a sample."""
    samples: int = 256
    """In a batch, over all devices."""
    dtype: str = "float16"
    """Of activations; the compiler for CPUs widens bfloat16, which has the same size, before it is sent."""


def decoder(config: Config) -> jdl.Layer:
    attention = L.attention(config.width // 128, causal=True, rope=functional.rope, bias=False)
    block = L.remat(L.transformer_block(attention, L.swiglu(config.hidden), norm=L.rms_norm()))
    parts = {"embedding": L.embedding(config.vocabulary, config.width), "norm": L.rms_norm()}
    head = L.dense(config.vocabulary, bias=False)
    return L.precision(models.transformer_decoder(config.blocks, block, head=head, **parts), config.dtype)


def lowered(config: Config) -> tuple[Any, Any, jax.stages.Lowered]:
    """Train state and batch, abstract and placed, and the step for them."""
    mesh = parallel.mesh(config.mesh)
    rules = parallel.fully_sharded("data", beneath=parallel.tensor_parallel("model") if "model" in mesh.shape else ())
    objective = train.objective(decoder(config), lambda out, labels: losses.cross_entropy(out[0], labels))
    step = parallel.over(train.step(objective, optax.adam(1e-4)), mesh, rules)
    tokens = jax.ShapeDtypeStruct((config.samples, config.length), jnp.int32)
    batch = parallel.place((tokens, tokens), mesh, jax.P("data"))
    train_state = parallel.place(jax.eval_shape(step.init, jax.random.key(0), (tokens, tokens)), mesh, rules)
    return train_state, batch, jax.jit(step.update, donate_argnums=0).lower(train_state, batch)


def memory(train_state: Any, batch: Any, compiled: jax.stages.Compiled) -> Table:
    """What a device holds: between steps, by the shardings; and within one, by XLA's analysis."""
    found: Any = compiled.memory_analysis()
    table = Table("on each device", "GB")
    table.columns[1].justify = "right"
    rows = {"parameters": train_state.params, "optimizer state": train_state.optimizer_state, "batch": batch}
    for name, tree in rows.items():
        table.add_row(name, f"{parallel.explain(tree).bytes / 1e9:.3f}")
    table.add_section()
    table.add_row("what the step takes, by XLA", f"{found.argument_size_in_bytes / 1e9:.3f}")
    table.add_row("what it makes in place of that", f"{found.alias_size_in_bytes / 1e9:.3f}")
    table.add_row("and needs besides, at its peak", f"{found.temp_size_in_bytes / 1e9:.3f}")
    return table


def operations(config: Config, parameters: int) -> float:
    """Floating-point operations of a step, whose backward pass computes the forward one again, and costs two more.

    Two for each token and parameter; and for each pair of tokens, in each of attention's two products, two for each feature.
    """
    tokens = config.samples * config.length
    forward = 2 * parameters * tokens + 4 * config.blocks * config.width * config.length * tokens
    return 4 * forward


def main(config: Config) -> None:
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", math.prod(int(part.split("=")[1]) for part in config.mesh.split(",")))
    versions = " ".join(f"{name} {importlib.metadata.version(name)}" for name in ("jax", "jaxlib", "jdl"))
    print(f"{date.today()}, {versions}, Python {platform.python_version()}; {config}")

    start = time.perf_counter()
    train_state, batch, step = lowered(config)
    middle = time.perf_counter()
    compiled = step.compile()
    seconds = middle - start, time.perf_counter() - middle
    parameters = sum(a.size for a in jax.tree.leaves(train_state.params))

    print(parallel.explain(train_state.params))
    rich.print(memory(train_state, batch, compiled), parallel.collectives(compiled))
    print(f"{parameters:,} parameters; lowered in {seconds[0]:.1f} s, compiled in {seconds[1]:.1f} s")
    each = operations(config, parameters) / jax.device_count()
    print(f"{config.samples * config.length:,} tokens a step, {each:.4g} operations on each of {jax.device_count()} devices")


if __name__ == "__main__":
    main(tyro.cli(Config))
