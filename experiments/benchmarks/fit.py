"""`jdl.fit` with progress, logs and checkpoints written meanwhile, against the bare compiled run.

python experiments/benchmarks/fit.py [epochs, 60 if not given] [rounds, 7 if not given]

At most 1.05 is wanted. The bare run is `run.advance`, an epoch in one program; both are compiled before the clock starts, as the
seconds of a history are without compilation.
"""

import io
import sys
import tempfile
import time
from pathlib import Path

import jax
import numpy as np
import optax
from _measure import environment, show

import jdl
from jdl import checkpoint, losses, report, train
from jdl import layers as L

sys.path.append(str(Path(__file__).parents[1]))
import digits


def bare(advance, train_state, data, epochs):
    """Seconds of the compiled run alone."""
    start = time.perf_counter()
    for _ in range(epochs):
        train_state, _ = advance(train_state, data, len(data[1]) // 64)
    jax.block_until_ready(train_state)
    return time.perf_counter() - start


def whole(run, data, epochs):
    """Seconds of all epochs under `fit`, from the first step to the last record."""
    logs = [report.csv_log("metrics.csv"), report.tensorboard_log("tensorboard")]
    plan = checkpoint.every(seconds=2)
    out, sys.stdout = sys.stdout, io.StringIO()
    try:
        with tempfile.TemporaryDirectory() as folder:
            _, history = jdl.fit(run, data, jax.random.key(0), epochs=epochs, folder=folder, checkpoint=plan, callbacks=logs)
    finally:
        sys.stdout = out
    return float(history["seconds"][-1])


def main(epochs: int = 60, rounds: int = 7):
    data, _ = digits.load()
    data = jax.tree.map(jax.numpy.asarray, data)
    mlp = L.chain(L.flatten, L.dense(256), jax.nn.relu, L.dense(256), jax.nn.relu, L.dense(10))
    environment()
    rows = {}
    for name, model in {"MLP": mlp, "digits network": digits.network(0.5)}.items():
        run = train.run(train.step(train.objective(model, losses.cross_entropy), optax.adam(1e-3)), batch_size=64)
        advance = jax.jit(run.advance, static_argnums=2, donate_argnums=0)
        start = lambda run=run: jax.tree.map(lambda a: a.copy(), run.init(jax.random.key(0), data))
        bare(advance, start(), data, 1)
        whole(run, data, 1)
        taken = [(whole(run, data, epochs), bare(advance, start(), data, epochs)) for _ in range(rounds)]
        rows[name] = {"fit": np.array([one for one, _ in taken]), "run.advance": np.array([other for _, other in taken])}
    show(f"{epochs} epochs of digits, {len(data[1]) // 64} steps of 64", rows)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
