"""Attention of sequences that are split over devices is that of whole ones."""

import functools

import jax
import numpy as np

from jdl import functional, parallel

P = jax.P
BATCH, TIME, MEMORY, HEADS, KV_HEADS, WIDTH = 2, 8, 12, 4, 2, 3


def test_every_option_gives_values_and_gradients_of_the_plain_one(rng):
    """In double precision: masks of keys and of each query, rows that see nothing, windows, positions, biases, caps, sinks."""
    normal = lambda *shape: rng.normal(size=shape)
    arrays = {
        "query": normal(BATCH, TIME, HEADS, WIDTH),
        "keys": normal(BATCH, MEMORY, KV_HEADS, WIDTH),
        "values": normal(BATCH, MEMORY, KV_HEADS, WIDTH + 1),
        "bias": normal(1, HEADS, TIME, MEMORY),
        "sinks": normal(HEADS),
        "soft_cap": np.float64(0.7),
    }
    mask = rng.random((BATCH, 1, TIME, MEMORY)) < 0.5
    mask[0, 0, 3] = False
    positions = rng.permutation(TIME).reshape(1, -1), rng.permutation(MEMORY).reshape(1, -1) - 1
    weights = normal(BATCH, TIME, HEADS, WIDTH + 1)
    cases = [
        ((), {}),
        ((), {"causal": True, "mask": rng.random((BATCH, MEMORY)) < 0.6}),
        (("bias", "sinks", "soft_cap"), {"mask": mask, "causal": True, "window": 3, "positions": positions}),
    ]

    @functools.partial(jax.jit, static_argnums=0)
    def found(backend, arrays):
        def loss(arrays, options):
            y = functional.attention(*(arrays[name] for name in ("query", "keys", "values")), **options, backend=backend)
            return (weights * y).sum(), y

        results = []
        for names, options in cases:
            total = lambda arrays: loss(arrays, options | {name: arrays[name] for name in names})
            results.append(jax.value_and_grad(total, has_aux=True)(arrays))
        return results

    with jax.enable_x64(True):
        spread = found(parallel.ring_attention(parallel.mesh("data=2,sequence=4")), arrays)
        jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-12, atol=1e-12), spread, found("xla", arrays))
