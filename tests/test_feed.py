"""Data that stay on the host."""

import threading

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import jdl
from jdl import checkpoint, losses, train
from jdl import layers as L

X = np.linspace(-1, 1, 45, dtype=np.float32).reshape(-1, 1)
OBJECTIVE = train.objective(L.chain(L.dense(3), L.batch_norm(), jnp.tanh, L.dropout(0.1), L.dense(1)), losses.mean_squared_error)
RUN = train.run(train.step(OBJECTIVE, optax.sgd(0.05)), batch_size=8)


def host(read=None, **changes):
    given = {"read": read or (lambda indices: (X[indices], 2 - X[indices])), "size": 45, "batch_size": 8, "ahead": 3}
    return jdl.HostData(**given | changes)


def fit(data, key, **options):
    return jdl.fit(RUN, data, key, **{"epochs": 3, "progress": False} | options)


@pytest.fixture(scope="module")
def straight():
    """The run over the same arrays on the device."""
    return fit((X, 2 - X), jax.random.key(3))


@pytest.mark.parametrize("seconds", [0.0, 1000.0])
def test_it_is_the_run_over_arrays_on_the_device(straight, monkeypatch, seconds):
    """To the bit, however steps are cut into chunks, and samples into windows: here of 3 and 2 batches."""
    monkeypatch.setattr("jdl.loop._drive._CHUNK", seconds)
    train_state, history = fit(host(), jax.random.key(3))
    chex.assert_trees_all_equal(train_state.params, straight[0].params)
    np.testing.assert_array_equal(history["train/loss"], straight[1]["train/loss"])


def test_an_interrupted_run_goes_on_with_the_samples_that_come_next(straight, tmp_path):
    """In the middle of a window, and of an epoch."""

    def interrupt(event):
        if event.kind == "checkpoint" and event.step == 7:
            raise KeyError("stop")

    plan = checkpoint.every(steps=7)
    with pytest.raises(KeyError, match="stop"):
        fit(host(), jax.random.key(3), folder=tmp_path, checkpoint=plan, callbacks=[interrupt])
    assert checkpoint.steps(tmp_path / "checkpoints")[-1].step == 7
    train_state, history = fit(host(), jax.random.key(3), folder=tmp_path, checkpoint=plan)
    chex.assert_trees_all_equal(train_state.params, straight[0].params)
    np.testing.assert_array_equal(history["train/loss"], straight[1]["train/loss"])

    other = host(lambda indices: (X[indices], 1 - X[indices]))
    with pytest.raises(FileExistsError, match="its data have other values"):
        fit(other, jax.random.key(3), folder=tmp_path, checkpoint=plan)


def test_the_next_samples_are_read_while_the_device_works(key):
    """By one thread of its own, each once an epoch, and none that no step takes."""
    seen, threads = [], []

    def read(indices):
        seen.append(indices)
        threads.append(threading.current_thread().name)
        return X[indices], 2 - X[indices]

    fit(host(read), key, epochs=2)
    assert all(name.startswith("jdl data") for name in threads[2:])  # the first two are looks at the data
    assert [len(indices) for indices in seen[2:]] == [24, 16, 24, 16]
    epochs = [np.concatenate(seen[2:4]), np.concatenate(seen[4:])]
    assert all(len(set(epoch.tolist())) == 40 and epoch.dtype == np.int32 for epoch in epochs)
    assert (epochs[0] != epochs[1]).any()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (host(size=0), r"fit: data\.size must be a positive integer, got 0"),
        (host(ahead=0.5), r"fit: data\.ahead must be a positive integer, got 0\.5"),
        (host(size=7), r"fit: data\.batch_size 8 is larger than data\.size 7"),
        (host(batch_size=4), r"run: batch_size is 8, the data come in batches \(float32\[1, 4, 1\], float32\[1, 4, 1\]\)"),
        (host(lambda indices: (X, X)), r"fit: data\.read was given 8 indices, and gave \(float32\[45, 1\], float32\[45, 1\]\)"),
        (
            host(lambda indices: (X[indices], X[indices].astype(np.float16 if len(indices) == 24 else np.float32))),
            r"fit: data\.read gave samples \(float32\[1\], float16\[1\]\), and before that \(float32\[1\], float32\[1\]\)",
        ),
    ],
)
def test_bad_data(key, data, message):
    with pytest.raises(ValueError, match=message):
        fit(data, key)


def test_one_order_is_for_one_key(key):
    with pytest.raises(ValueError, match="HostData is read in the order of one key, got several"):
        fit(host(), jax.random.split(key, 2))
    with pytest.raises(TypeError, match="sweep: data must be arrays, got HostData"):
        jdl.sweep(lambda: RUN, host(), epochs=1)


def test_an_error_of_read_says_where(key):
    def read(indices):
        if len(indices) == 24:
            raise OSError("no such file: 17.png")
        return X[indices], X[indices]

    with pytest.raises(OSError, match=r"17\.png") as raised:
        fit(host(read), key)
    assert raised.value.__notes__[0].startswith("fit: raised by data.read for 24 indices from ")
