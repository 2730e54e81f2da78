"""Blocks on one device after the other give what they give on one."""

import functools

import jax
import jax.numpy as jnp
import numpy as np

from jdl import layers as L
from jdl import parallel

P = jax.P
BLOCK = L.residual(L.chain(L.layer_norm(), L.mlp([6, 4], activation=jnp.tanh)))
pipeline = functools.partial(parallel.pipeline, microbatches=3)


def devices(text):
    """A mesh on as many of the eight devices as it needs."""
    size = np.prod([int(part.split("=")[1]) for part in text.split(",")])
    return parallel.mesh(text, devices=jax.devices()[:size])


def test_values_and_gradients_are_those_of_repeat(rng, key):
    """With data parallel at the same time, and a batch that micro-batches don't divide."""
    x, y = rng.normal(size=(2, 16, 4)).astype("float32")
    mesh = devices("data=2,stage=4")
    plain, piped = L.repeat(BLOCK, 8), pipeline(BLOCK, 8, mesh=mesh)
    params, state = plain.init(key, x)
    made, _ = piped.init(jax.random.clone(key), x)
    jax.tree.map(np.testing.assert_array_equal, made, params)
    loss = lambda layer: lambda params, x: ((layer.apply(params, state, x)[0] - y) ** 2).sum()
    expected = jax.jit(jax.value_and_grad(loss(plain), (0, 1)))(params, x)
    placed = parallel.place(params, mesh, P("stage")), parallel.place(x, mesh, P("data"))
    found = jax.jit(jax.value_and_grad(loss(piped), (0, 1)))(*placed)
    jax.tree.map(functools.partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5), found, expected)
