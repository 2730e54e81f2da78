"""What a deep decoder costs before it runs: time and memory to initialise it, and time to compile 96 blocks against 2.

python experiments/benchmarks/transformer.py [depth width vocabulary]
"""

import resource
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
from _measure import environment

from jdl import layers as L
from jdl import models

MEBIBYTE = 2**20


def decoder(depth, width, vocabulary):
    block = L.transformer_block(L.attention(width // 64, causal=True), L.mlp([4 * width, width], activation=jax.nn.gelu))
    return models.transformer_decoder(depth, block, embedding=L.embedding(vocabulary, width), positions=L.embedding(1024, width))


def resident():
    """MiB of this process that are in memory."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / MEBIBYTE


def initialise(depth, width, vocabulary):
    """In a process of its own: seconds of wall and of all cores, and the peak of memory over what was there, by that of params."""
    tokens = jax.ShapeDtypeStruct((1, 8), "int32")
    decoder(2, 64, 100).init(jax.random.key(0), tokens)  # which brings up the backend and the compiler
    model, before = decoder(depth, width, vocabulary), resident()
    start, used = time.perf_counter(), time.process_time()
    params = jax.block_until_ready(model.init(jax.random.key(0), tokens)[0])
    seconds, used = time.perf_counter() - start, time.process_time() - used
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before
    size = sum(a.nbytes for a in jax.tree.leaves(params)) / MEBIBYTE
    print(f"initialised in {seconds:.1f} s ({used:.1f} s of cores), params {size:.0f} MiB, peak {peak / size:.2f} times as much")


def seconds_to_compile(depth, width, vocabulary):
    """Of the gradient of a loss, traced, lowered and compiled."""
    model, tokens = decoder(depth, width, vocabulary), jax.ShapeDtypeStruct((1, 128), "int32")
    params, state = jax.eval_shape(model.init, jax.random.key(0), tokens)

    def loss(params, tokens):
        return jnp.square(model.apply(params, state, tokens)[0][0]).mean()

    start = time.perf_counter()
    jax.jit(jax.grad(loss)).lower(params, tokens).compile()
    return time.perf_counter() - start


def main(depth=12, width=768, vocabulary=50_000):
    environment()
    subprocess.run([sys.executable, __file__, "initialise", *map(str, (depth, width, vocabulary))], check=True)
    seconds_to_compile(1, width, vocabulary)  # which compiles what both have
    taken = [[seconds_to_compile(blocks, width, vocabulary) for blocks in (2, 96)] for _ in range(3)]
    few, many = (sorted(seconds)[1] for seconds in zip(*taken))
    print(f"gradient compiled in {few:.1f} s for 2 blocks, {many:.1f} s for 96: {many / few:.2f} times as long")


if __name__ == "__main__":
    if sys.argv[1:2] == ["initialise"]:
        initialise(*map(int, sys.argv[2:]))
    else:
        main(*map(int, sys.argv[1:]))
