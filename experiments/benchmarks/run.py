"""An epoch of training under jdl's compiled run, alone and many networks at once, against others; all take turns in one process.

python experiments/benchmarks/run.py [perceptron, populations, digits: all if not given]

What is not installed is left out; `docs/benchmarks.md` says how to install it. Of each contestant the fastest round counts, by the
clock and by the time that all its threads had on a core: what else runs on a machine can stretch the former by any factor.
"""

import importlib.util
import sys
import time
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import rich
from _contestants import (
    Epoch,
    compiled_epoch,
    torch_epoch,
    with_equinox,
    with_jdl,
    with_keras,
    with_loop,
    with_nnx,
    with_scan,
    with_torch,
)
from _measure import environment
from rich.table import Table

from jdl import layers as L
from jdl import losses, train

MEMBERS = 8, 32, 128


def table() -> tuple[np.ndarray, np.ndarray]:
    """Of the size of the California housing prices' training part."""
    x = np.random.default_rng(0).normal(size=(16_512, 8)).astype(np.float32)
    return x, np.sin(x[:, :1]) + x[:, 1:2] * x[:, 2:3]


def perceptron() -> None:
    """An epoch of 516 steps of 32."""
    data = table()
    contestants = {
        "jdl, run.advance": lambda: with_jdl(data),
        "plain JAX, one lax.scan": lambda: with_scan(data),
        "plain JAX, a step at a time": lambda: with_loop(data),
        "Keras (JAX), fit": lambda: with_keras(data),
        "Equinox, filter_jit": lambda: with_equinox(data),
        "PyTorch, eager": lambda: with_torch(data),
        "PyTorch, eager, fused Adam": lambda: with_torch(data, fused=True),
        "Flax NNX, nnx.jit": lambda: with_nnx(data),
    }
    epochs = {name: make() for name, make in contestants.items() if _installed(name)}
    show("perceptron 8-64-64-1, an epoch of 516 steps of 32", fastest(epochs, 9))


def populations() -> None:
    """The same for many at once, and for one in the same rounds."""
    data = table()
    seconds = fastest({1: with_jdl(data)} | {members: with_jdl(data, members) for members in MEMBERS}, 3)
    show("the perceptron, members at once: milliseconds per member", {str(n): taken / n for n, taken in seconds.items()})


def digits() -> None:
    """An epoch of 22 steps of 64, on images of the size of scikit-learn's digits."""
    rng = np.random.default_rng(0)
    images, labels = rng.normal(size=(1_437, 8, 8, 1)).astype(np.float32), rng.integers(0, 10, 1_437)
    model = L.chain(L.conv(32, 3), jax.nn.relu, L.max_pool(2), L.conv(64, 3), jax.nn.relu, L.max_pool(2), L.flatten, L.dense(10))
    run = train.run(train.step(train.objective(model, losses.cross_entropy), optax.adam(1e-3)), batch_size=64)
    data, key = (jnp.asarray(images), jnp.asarray(labels, jnp.int32)), jax.random.key(0)
    contestants = {"jdl, run.advance": compiled_epoch(run, data, 64, key)}
    many = compiled_epoch(train.population(run), data, 64, jax.random.split(key, 16))
    if _installed("PyTorch, eager"):
        for threads in (1, 2):
            contestants[f"PyTorch, eager, threads: {threads}"] = with_torch_convolutions(images, labels, threads)
    seconds = fastest(contestants | {"jdl, 16 members at once, each": many}, 5)
    seconds["jdl, 16 members at once, each"] /= 16
    show("digits, convolutions: an epoch of 22 steps of 64", seconds)


def with_torch_convolutions(images: np.ndarray, labels: np.ndarray, threads: int) -> Epoch:
    import torch  # pyright: ignore[reportMissingImports]
    from torch import nn  # pyright: ignore[reportMissingImports]

    front = nn.Conv2d(1, 32, 3, padding="same"), nn.ReLU(), nn.MaxPool2d(2)
    back = nn.Conv2d(32, 64, 3, padding="same"), nn.ReLU(), nn.MaxPool2d(2)
    model = nn.Sequential(*front, *back, nn.Flatten(), nn.Linear(256, 10))
    x = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
    return torch_epoch(model, nn.functional.cross_entropy, x, torch.from_numpy(labels), 64, threads=threads)


def fastest(contestants: Mapping[Any, Epoch], rounds: int) -> dict[Any, np.ndarray]:
    """Seconds by the clock and on all cores together, each of the fastest round, after one to warm up; all take turns."""
    seconds = {name: np.full(2, np.inf) for name in contestants}
    for epoch in contestants.values():
        jax.block_until_ready(epoch())
    for _ in range(rounds):
        for name, epoch in contestants.items():
            start = np.array([time.perf_counter(), time.process_time()])
            jax.block_until_ready(epoch())
            seconds[name] = np.minimum(seconds[name], np.array([time.perf_counter(), time.process_time()]) - start)
    return seconds


def show(title: str, seconds: Mapping[str, np.ndarray]) -> None:
    """Prints milliseconds, and each as a multiple of the first."""
    table = Table("", "ms", "of the first", "ms on cores", "of the first", title=title)
    first = next(iter(seconds.values()))
    for name, taken in seconds.items():
        ratio = taken / first
        table.add_row(name, f"{1e3 * taken[0]:.1f}", f"{ratio[0]:.2f}", f"{1e3 * taken[1]:.1f}", f"{ratio[1]:.2f}")
    rich.print(table)


def _installed(contestant: str) -> bool:
    """Whether a contestant can take part; says so if not."""
    modules = {"Keras": "keras", "Equinox": "equinox", "PyTorch": "torch", "Flax": "flax"}
    module = next((module for name, module in modules.items() if contestant.startswith(name)), "jax")
    if there := importlib.util.find_spec(module) is not None:
        return there
    print(f"left out, as {module} is not installed: {contestant}")
    return False


if __name__ == "__main__":
    environment("of the fastest round")
    for part in sys.argv[1:] or ("perceptron", "populations", "digits"):
        {"perceptron": perceptron, "populations": populations, "digits": digits}[part]()
