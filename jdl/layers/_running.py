"""Running statistics, which batch norms share, and their exact recomputation."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._batch_norm import Mapped, statistics
from jdl.layer import Layer, derive

Batch = tuple[jax.Array, jax.Array, Any]  # mean, variance, number of samples


@dataclasses.dataclass(frozen=True)
class Running:
    """How a norm takes statistics of batches and averages them, as state `mean` and `variance`, and `count` with `debias`.

    `recompute_statistics` adds `batches`: while it is there, all batches since it was 0 weigh the same.
    """

    name: str
    momentum: float | jax.Array
    mapped: Mapped
    unbiased: bool = False
    debias: bool = False

    def __post_init__(self):
        _check.within(self.name, 0, 1, momentum=self.momentum)

    def init(self, x: Any) -> dict:
        x = _check.floating(self.name, x)
        _check.rank(self.name, x, range(2, 65), "(batch, ..., features)")
        shape, wide = x.shape[-1:], jnp.promote_types(x.dtype, jnp.float32)
        state = {"mean": jnp.zeros(shape, wide), "variance": jnp.ones(shape, wide)}
        return state | ({"count": jnp.zeros((), wide)} if self.debias else {})

    def check(self, state: dict, x: Any) -> jax.Array:
        x = _check.floating(self.name, x)
        _check.rank(self.name, x, range(2, 65), "(batch, ..., features)")
        if state["mean"].shape != x.shape[-1:]:
            raise ValueError(f"{self.name}: statistics are of {state['mean'].size} features, x is {_check.describe(x)}")
        return x

    def statistics(self, x: jax.Array, mask: Any) -> tuple[tuple[jax.Array, jax.Array], Batch]:
        """Mean and biased variance of a batch, and what running statistics are to average."""
        mean, variance, samples = statistics(self.name, x, mask, self.mapped)
        unbiased = variance * _bessel(samples, variance.dtype) if self.unbiased else variance
        return (mean, variance), (mean, unbiased, samples)

    def by_ghosts(self, normalise: Callable[..., jax.Array], size: int, x: jax.Array, mask: Any) -> tuple[jax.Array, Batch]:
        """Every `size` samples normalised by themselves, and the mean of their statistics, weighted by how much counts."""
        if len(x) % size:
            raise ValueError(f"{self.name}: {_check.describe(x)} can't be split into ghost batches of {size}")

        def one(x, mask):
            own, (mean, variance, samples) = self.statistics(x, mask)
            return normalise(x, *own), mean, variance, jnp.asarray(samples)

        split = lambda a: jnp.reshape(a, (-1, size, *jnp.shape(a)[1:]))
        y, mean, variance, samples = jax.vmap(one)(split(x), None if mask is None else split(mask))
        share = (samples / jnp.maximum(samples.sum(), 1)).astype(mean.dtype)
        average = lambda a: (jnp.expand_dims(share, 1) * a).sum(0)
        return y.reshape(x.shape), (average(mean), average(variance), samples.sum())

    def move(self, state: dict, batch: Batch) -> dict:
        """The state after one more batch; a batch of which nothing counts leaves it as it is."""
        mean, variance, samples = batch
        sizes, keep, share = {}, self.momentum, 1 - self.momentum
        for name, decay in (("count", self.momentum), ("batches", 1)):
            if name in state:  # how many batches the average holds
                sizes[name] = (decay * state[name] + 1).astype(state[name].dtype)
                keep, share = 1 - 1 / sizes[name], 1 / sizes[name]
        mix = lambda old, new: (keep * old + share * new).astype(old.dtype)
        new = {"mean": mix(state["mean"], mean), "variance": mix(state["variance"], variance)} | sizes
        return new if isinstance(samples, int) else jax.tree.map(lambda new, old: jnp.where(samples > 0, new, old), new, state)


def _bessel(samples: Any, dtype: Any) -> Any:
    if isinstance(samples, int):
        return samples / max(samples - 1, 1)
    return (samples / jnp.maximum(samples - 1, 1)).astype(dtype)


def recompute_statistics(
    model: Layer, params: dict, state: dict, *batches: Any, key: jax.Array | None = None, **named: Any
) -> dict:
    """Replaces the running statistics of every batch norm in a model by their average over batches, each weighing the same.

    After weights were averaged, or changed in any way that leaves statistics behind, these become exact again. The model runs in
    training mode, as one `lax.scan`; any other state that it has goes on as in training.

    Args:
      model: a Layer.
      params: its params.
      state: its state.
      *batches: the model's inputs, `(steps, batch, ...)` each.
      key: a typed key, where the model draws in training.
      **named: inputs by keyword, likewise.

    Returns:
      The new state.

    Raises:
      ValueError: if there are no batches.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> batches, model = jnp.arange(6.0).reshape(3, 2, 1), L.chain(L.batch_norm())
      >>> params, state = model.init(jax.random.key(0), batches[0])
      >>> L.recompute_statistics(model, params, state, batches)["0"]["mean"].round(4).tolist()
      [2.5]

    Source: Izmailov et al., "Averaging Weights Leads to Wider Optima and Better Generalization", https://arxiv.org/abs/1803.05407.
    """
    given = jax.tree.leaves((batches, named))
    if not given or min(len(x) for x in given) == 0:
        raise ValueError("recompute_statistics: there are no batches")

    def step(state, own):
        step, inputs, named = own
        subkey = None if key is None else derive(key, "recompute_statistics", step)
        return model.apply(params, state, *inputs, key=subkey, train=True, **named)[1], None

    counting = _of_norms(state, lambda norm: norm | {"batches": jnp.zeros(norm["mean"].shape[:-1], norm["mean"].dtype)})
    counted = jax.lax.scan(step, counting, (jnp.arange(len(given[0])), batches, named))[0]
    return _of_norms(counted, lambda norm: {name: x for name, x in norm.items() if name != "batches"})


def _of_norms(state: dict, change: Callable[[dict], dict]) -> dict:
    """The state with every batch norm's own changed: they alone have a mean and a variance."""
    if not any(isinstance(state.get(name, {}), dict) for name in ("mean", "variance")):
        return change(state)
    return {name: _of_norms(child, change) if isinstance(child, dict) else child for name, child in state.items()}
