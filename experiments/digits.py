"""Handwritten digits: a small convolutional network, sixteen seeds at once in one compiled program.

python experiments/digits.py          (about 70 seconds on 2 cores; expect a mean test accuracy of 0.989)

The data are the 1,797 scans of 8 x 8 pixels that come with scikit-learn, split as in its example "Recognizing hand-written digits":
the first half trains, the second half tests, in the order of the file. That example's support vector machine scores 0.969.
"""

import dataclasses
import functools
import json
from datetime import datetime
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import rich
import tyro
from sklearn.datasets import load_digits

import jdl
from jdl import augment, losses, metrics, paths, report, train
from jdl import layers as L


@dataclasses.dataclass(frozen=True)
class Config:
    """Trains a small convolutional network on scikit-learn's digits, many seeds at once."""

    seeds: int = 16
    """How many networks to train, each from a key of its own."""
    epochs: int = 20
    """Passes over the training half."""
    batch_size: int = 64
    """Images in a step."""
    learning_rate: float = 6e-3
    """Peak of a learning rate that warms up for a tenth of the steps, then falls to zero along a cosine."""
    decay: float = 1e-3
    """Weight decay of kernels."""
    smoothing: float = 0.1
    """Share of every label spread over all classes."""
    dropout: float = 0.5
    """Probability of dropping a feature before the last layer."""
    shift: int = 1
    """Largest shift of a training image, in pixels along each axis."""
    key: int = 0
    """The key that all others are split from."""
    folder: Path | None = None
    """Where results go; a new folder under runs/ if not given."""


def load() -> tuple[tuple[jax.Array, jax.Array], tuple[jax.Array, jax.Array]]:
    """Training and test data: images `(n, 8, 8, 1)` in [0, 1] and labels `(n,)`."""
    pixels, target = load_digits(return_X_y=True)
    images = jnp.asarray(pixels.reshape(-1, 8, 8, 1) / 16, jnp.float32)
    labels = jnp.asarray(target, jnp.int32)
    half = len(images) // 2
    return (images[:half], labels[:half]), (images[half:], labels[half:])


def network(dropout: float) -> jdl.Layer:
    return L.chain(
        *(L.conv(32, 3, bias=False), L.batch_norm(), jax.nn.relu, L.max_pool(2)),
        *(L.conv(64, 3, bias=False), L.batch_norm(), jax.nn.relu),
        *(L.flatten, L.dropout(dropout), L.dense(10)),
    )


def main(config: Config) -> float:
    train_data, test_data = load()
    folder = config.folder or Path("runs") / f"digits-{datetime.now():%Y%m%d-%H%M%S}"
    steps = config.epochs * (len(train_data[1]) // config.batch_size)

    model = network(config.dropout)
    loss = functools.partial(losses.cross_entropy, label_smoothing=config.smoothing)
    objective = train.objective(model, loss, metrics={"accuracy": metrics.accuracy})
    rate = optax.warmup_cosine_decay_schedule(0, config.learning_rate, steps // 10, steps)
    kernels = functools.partial(paths.matches, where="**/kernel")
    step = train.step(objective, optax.adamw(rate, weight_decay=config.decay, mask=kernels))
    step = train.augment(step, lambda key, batch: (augment.shift(key, batch[0], config.shift), batch[1]))
    run = train.run(step, batch_size=config.batch_size)
    keys = jax.random.split(jax.random.key(config.key), config.seeds)

    rich.print(jdl.summary(model, train_data[0][: config.batch_size]))
    evaluate = train.evaluate(objective, test_data)
    train_state, history = jdl.fit(run, train_data, keys, epochs=config.epochs, evaluate=evaluate, folder=folder)

    logits = jax.jit(jax.vmap(lambda s: model.apply(s.params, s.state, test_data[0])[0]))(train_state)
    write(folder, config, history, np.asarray(jax.nn.softmax(logits)), test_data)

    accuracy = history["evaluate/accuracy"][-1]
    compiling, running = history["compile_seconds"].item(), history["seconds"][-1]
    results = {name: history[name][-1] for name in ("evaluate/accuracy", "evaluate/loss", "train/accuracy", "train/loss")}
    rich.print(report.table(results, title="after the last epoch"))
    print(f"{compiling:.1f} s compiling, {running:.1f} s running; results are in {folder}")
    summary = f"mean {accuracy.mean():.4f} worst {accuracy.min():.4f} seeds {config.seeds}"
    print(f"test accuracy: {summary} seconds {compiling + running:.0f}")
    return accuracy.mean().item()


def write(folder: Path, config: Config, history: dict, probabilities: np.ndarray, test_data: tuple[jax.Array, jax.Array]) -> None:
    """Leaves the script's arguments, plots and a report beside the metrics."""
    images, labels = map(np.asarray, test_data)
    (folder / "arguments.json").write_text(json.dumps(dataclasses.asdict(config), default=str, indent=2) + "\n")
    for metric in ("loss", "accuracy"):
        curves = report.curves(history, [f"train/{metric}", f"evaluate/{metric}"], title=f"{config.seeds} seeds: mean and range")
        curves.savefig(folder / f"{metric}.png", dpi=150)

    guesses = probabilities.argmax(-1)
    counts = [np.histogram2d(labels, guess, bins=10, range=[(0, 10)] * 2)[0] for guess in guesses]
    report.confusion(counts, title=f"test images, mean of {config.seeds} seeds").savefig(folder / "confusion.png", dpi=150)

    mean = probabilities.mean(0)  # over seeds
    worst = mean[np.arange(len(labels)), labels].argsort()[:24]
    captions = [f"a {labels[i]}, likest {mean[i].argmax()}\nwrong in {(guesses[:, i] != labels[i]).mean():.0%}" for i in worst]
    title = f"test images whose label is least probable; how many of {config.seeds} seeds are wrong"
    report.images(images[worst], captions, title=title).savefig(folder / "mistakes.png", dpi=150)
    report.html(folder)


if __name__ == "__main__":
    main(tyro.cli(Config))
