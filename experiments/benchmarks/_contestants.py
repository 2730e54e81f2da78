"""One epoch of a small perceptron on a table, with Adam, as each library's users write it: what `run.py` compares."""

import os
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from jdl import layers as L
from jdl import losses, train

BATCH = 32
WIDTHS = 8, 64, 64, 1
RATE = 1e-3

Epoch = Callable[[], Any]
Table = tuple[np.ndarray, np.ndarray]


def jdl_run(members: int = 0) -> train.Run:
    """The run of one network, or of a population."""
    model = L.chain(*(layer for width in WIDTHS[1:-1] for layer in (L.dense(width), jax.nn.relu)), L.dense(WIDTHS[-1]))
    step = train.step(train.objective(model, losses.mean_squared_error), optax.adam(RATE))
    run = train.run(step, batch_size=BATCH)
    return train.population(run) if members else run


def with_jdl(table: Table, members: int = 0) -> Epoch:
    key = jax.random.split(jax.random.key(0), members) if members else jax.random.key(0)
    return compiled_epoch(jdl_run(members), jax.tree.map(jnp.asarray, table), BATCH, key)


def compiled_epoch(run: train.Run, data: Any, batch_size: int, key: jax.Array) -> Epoch:
    """An epoch after the other, in one program each."""
    advance = jax.jit(run.advance, static_argnums=2, donate_argnums=0)
    train_state = jax.tree.map(lambda a: a.copy(), run.init(key, data))  # no buffer twice, as each is donated

    def epoch():
        nonlocal train_state
        train_state, metrics = advance(train_state, data, len(data[1]) // batch_size)
        return metrics

    return epoch


def _plain():
    """Params, optimizer and step by hand."""
    rng = np.random.default_rng(0)
    shapes = pairwise(WIDTHS)
    params = [{"w": jnp.asarray(rng.normal(0, i**-0.5, (i, o)), jnp.float32), "b": jnp.zeros(o)} for i, o in shapes]
    optimizer = optax.adam(RATE)

    def loss(params, x, y):
        for layer in params[:-1]:
            x = jax.nn.relu(x @ layer["w"] + layer["b"])
        return jnp.mean((x @ params[-1]["w"] + params[-1]["b"] - y) ** 2)

    def step(carry, x, y):
        params, state = carry
        value, gradient = jax.value_and_grad(loss)(params, x, y)
        updates, state = optimizer.update(gradient, state, params)
        return (optax.apply_updates(params, updates), state), value

    return (params, optimizer.init(params)), step


def with_scan(table: Table) -> Epoch:
    x, y = map(jnp.asarray, table)
    carry, step = _plain()
    key = jax.random.key(0)

    @jax.jit
    def run(carry, key):
        order = jax.random.permutation(key, len(x))[: len(x) // BATCH * BATCH].reshape(-1, BATCH)
        return jax.lax.scan(lambda carry, rows: step(carry, x[rows], y[rows]), carry, order)

    def epoch():
        nonlocal carry, key
        key, own = jax.random.split(key)
        carry, values = run(carry, own)
        return values

    return epoch


def with_loop(table: Table) -> Epoch:
    x, y = map(jnp.asarray, table)
    carry, step = _plain()
    update = jax.jit(lambda carry, x, y, rows: step(carry, x[rows], y[rows]), donate_argnums=0)
    return _a_step_at_a_time(update, carry, x, y)


def with_torch(table: Table, *, fused: bool = False) -> Epoch:
    """On one thread, as it is faster so: threads would wait for each other at each of many small operations."""
    import torch  # pyright: ignore[reportMissingImports]

    x, y = map(torch.from_numpy, table)
    sizes = pairwise(WIDTHS)
    layers = [layer for i, o in sizes for layer in (torch.nn.Linear(i, o), torch.nn.ReLU())]
    return torch_epoch(torch.nn.Sequential(*layers[:-1]), torch.nn.functional.mse_loss, x, y, BATCH, threads=1, fused=fused)


def torch_epoch(model: Any, loss: Callable, x: Any, y: Any, batch_size: int, *, threads: int, fused: bool = False) -> Epoch:
    """The loop of PyTorch's tutorials, with the data in memory already."""
    import torch  # pyright: ignore[reportMissingImports]

    optimizer = torch.optim.Adam(model.parameters(), RATE, fused=fused)

    def epoch():
        torch.set_num_threads(threads)
        order = torch.randperm(len(x))[: len(x) // batch_size * batch_size].view(-1, batch_size)
        for rows in order:
            optimizer.zero_grad()
            loss(model(x[rows]), y[rows]).backward()
            optimizer.step()

    return epoch


def with_nnx(table: Table) -> Epoch:
    from flax import nnx

    x, y = map(jnp.asarray, table)
    rngs = nnx.Rngs(0)
    layers = [layer for i, o in pairwise(WIDTHS) for layer in (nnx.Linear(i, o, rngs=rngs), nnx.relu)]
    model = nnx.Sequential(*layers[:-1])
    optimizer = nnx.Optimizer(model, optax.adam(RATE), wrt=nnx.Param)

    @nnx.jit
    def update(model, optimizer, x, y, rows):
        value, gradient = nnx.value_and_grad(lambda model: jnp.mean((model(x[rows]) - y[rows]) ** 2))(model)
        optimizer.update(model, gradient)
        return value

    rng = np.random.default_rng(0)

    def epoch():
        for rows in _batches(rng, len(x)):
            value = update(model, optimizer, x, y, rows)
        return value

    return epoch


def with_equinox(table: Table) -> Epoch:
    import equinox as eqx  # pyright: ignore[reportMissingImports]

    x, y = map(jnp.asarray, table)
    model = eqx.nn.MLP(WIDTHS[0], WIDTHS[-1], WIDTHS[1], len(WIDTHS) - 2, key=jax.random.key(0))
    optimizer = optax.adam(RATE)
    carry = model, optimizer.init(eqx.filter(model, eqx.is_array))

    @eqx.filter_jit
    def update(carry, x, y, rows):
        model, state = carry
        value, gradient = eqx.filter_value_and_grad(lambda model: jnp.mean((jax.vmap(model)(x[rows]) - y[rows]) ** 2))(model)
        updates, state = optimizer.update(gradient, state, model)
        return (eqx.apply_updates(model, updates), state), value

    return _a_step_at_a_time(update, carry, x, y)


def with_keras(table: Table) -> Epoch:
    os.environ["KERAS_BACKEND"] = "jax"
    import keras  # pyright: ignore[reportMissingImports]

    hidden = [keras.layers.Dense(width, "relu") for width in WIDTHS[1:-1]]
    model = keras.Sequential([keras.Input(WIDTHS[:1]), *hidden, keras.layers.Dense(WIDTHS[-1])])
    model.compile(keras.optimizers.Adam(RATE), "mean_squared_error")
    return lambda: model.fit(*table, batch_size=BATCH, verbose=0)  # pyright: ignore


def _a_step_at_a_time(update: Callable, carry: Any, x: jax.Array, y: jax.Array) -> Epoch:
    rng = np.random.default_rng(0)

    def epoch():
        nonlocal carry
        for rows in _batches(rng, len(x)):
            carry, value = update(carry, x, y, rows)
        return value

    return epoch


def _batches(rng: np.random.Generator, size: int) -> np.ndarray:
    """The rows of every batch of an epoch, in a new order."""
    return rng.permutation(size)[: size // BATCH * BATCH].astype(np.int32).reshape(-1, BATCH)
