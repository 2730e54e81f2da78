"""Two networks that train each other: GANs that learn eight Gaussians on a ring, all seeds of a loss in one program.

python experiments/gan.py        (some minutes; prints for each loss how far samples are from the data, with an interval over seeds)
"""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
import rich
import tyro

from jdl import Layer, gradients, losses, report, train
from jdl import layers as L
from jdl.layer import derive

LOSSES = {
    "minimax": (losses.minimax_discriminator, losses.minimax_generator),
    "non-saturating": (losses.non_saturating_discriminator, losses.non_saturating_generator),
    "least squares": (losses.least_squares_discriminator, losses.least_squares_generator),
}
NOISE = 8  # inputs of a generator


def ring(key: jax.Array, points: int) -> jax.Array:
    """Points `(points, 2)` of a mixture of eight Gaussians."""
    component, noise = jax.random.split(key)
    angle = jax.random.randint(component, (points,), 0, 8) * (jnp.pi / 4)
    return jnp.stack([jnp.cos(angle), jnp.sin(angle)], 1) + 0.05 * jax.random.normal(noise, (points, 2))


def adversarial(
    generator: Layer, discriminator: Layer, tell: Callable, pass_for_real: Callable, optimizer: optax.GradientTransformation
) -> train.Step:
    """A step of two networks: both follow the gradient of a loss of their own, at once.

    Args:
      generator: from noise to points.
      discriminator: from points to scores.
      tell: the discriminator's loss, of scores of real and of generated points.
      pass_for_real: the generator's, of scores of generated points.
      optimizer: of params `{"generator": ..., "discriminator": ...}`.
    """

    def init(key: jax.Array, batch: jax.Array) -> train.TrainState:
        params = {
            "generator": generator.init(derive(key, "generator"), jnp.zeros((1, NOISE)))[0],
            "discriminator": discriminator.init(derive(key, "discriminator"), batch)[0],
        }
        zero = lambda: jnp.zeros((), jnp.int32)
        return train.TrainState(params, {}, optimizer.init(params), derive(key, "train"), zero(), zero(), zero())

    def update(train_state: train.TrainState, batch: jax.Array) -> tuple[train.TrainState, dict[str, jax.Array]]:
        params, key = train_state.params, derive(train_state.key, "step", train_state.step)
        noise = jax.random.normal(key, (len(batch), NOISE))

        def generators(own):
            fake = generator.apply(own, {}, noise)[0]
            return pass_for_real(discriminator.apply(params["discriminator"], {}, fake)[0]), fake

        def discriminators(own, fake):
            return tell(discriminator.apply(own, {}, batch)[0], discriminator.apply(own, {}, fake)[0])

        (fooling, fake), generator_slope = jax.value_and_grad(generators, has_aux=True)(params["generator"])
        telling, discriminator_slope = jax.value_and_grad(discriminators)(params["discriminator"], fake)
        slopes = {"generator": generator_slope, "discriminator": discriminator_slope}
        updates, optimizer_state = optimizer.update(slopes, train_state.optimizer_state, params)
        new = {"params": optax.apply_updates(params, updates), "optimizer_state": optimizer_state, "step": train_state.step + 1}
        return train_state.replace(**new), {"generator": fooling, "discriminator": telling}

    return train.Step(init, update)


def networks(width: int) -> tuple[Layer, Layer]:
    """A generator and a discriminator."""
    network = lambda out: L.chain(L.dense(width), jax.nn.relu, L.dense(width), jax.nn.relu, L.dense(out))
    return network(2), network(1)


def experiment(key: jax.Array, loss: str, *, width: int, steps: int, learning_rate: float) -> jax.Array:
    """Trains one pair of networks, and returns the squared distance (MMD) of its samples from the data."""
    generator, discriminator = networks(width)
    adam = lambda rate: optax.adam(rate, b1=0.5)
    optimizer = gradients.by_path({"generator/**": adam(learning_rate), "discriminator/**": adam(2 * learning_rate)})
    run = train.run(adversarial(generator, discriminator, *LOSSES[loss], optimizer), batch_size=128)
    data = ring(jax.random.key(0), 4096)
    final, _ = run.advance(run.init(key, data), data, steps)
    noise = jax.random.normal(derive(key, "test"), (1024, NOISE))
    samples, _ = generator.apply(final.params["generator"], {}, noise)
    return losses.maximum_mean_discrepancy(samples, ring(jax.random.key(1), 1024), bandwidths=0.2, unbiased=True)


def main(seeds: int = 8, width: int = 64, steps: int = 3000, learning_rate: float = 5e-4) -> dict[str, jax.Array]:
    """Trains GANs.

    Args:
      seeds: How many pairs of networks for each loss.
      width: Units of their two hidden layers.
      steps: Of training.
      learning_rate: Of the generator; the discriminator's is twice as high.
    """
    distances = {}
    for loss in LOSSES:
        one = functools.partial(experiment, loss=loss, width=width, steps=steps, learning_rate=learning_rate)
        distances[loss] = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(2), seeds))
    rich.print(report.table(distances, title="distance of samples from the data", lower_is_better=""))
    return distances


if __name__ == "__main__":
    tyro.cli(main)
