"""The compiled programs of `fit`: one that takes steps until an epoch is over, and one that evaluates."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from jdl.loop._digest import digest as digest_of
from jdl.loop._members import OWN, SHARED, by_device, put
from jdl.train import Run, TrainState


class Programs(NamedTuple):
    """What is lowered for a run, and not compiled yet.

    Attributes:
      zeros: the sums of metrics of no steps.
      measured: abstract values that evaluation gives, by name.
      digest: of what the program that takes steps computes; it tells runs with other models, optimizers or settings apart.
      compile: gives `advance(train_state, sums, data, limit) -> (train_state, sums, look)` and
        `measure(train_state) -> metrics`.
      hyperparameters: what the program takes as arguments, so that they are not in its digest.
    """

    zeros: dict[str, Any]
    measured: dict[str, Any]
    digest: Callable[[], str]
    compile: Callable[[], tuple[Callable, Callable]]
    hyperparameters: Any = None


def programs(
    run: Run, evaluate: Callable[..., Any] | None, train_state: TrainState, data: Any, mesh: Mesh | None = None
) -> Programs:
    """Lowers what `fit` runs; with a mesh, each of its devices runs its members."""
    shapes = jax.eval_shape(lambda train_state: run.advance(train_state, data, 1)[1], train_state)
    zeros = jax.tree.map(lambda m: np.zeros(m.shape[:-1], m.dtype), shapes)
    advance, measure = _until_epoch_ends(run), lambda evaluate, train_state: evaluate(train_state)
    whole = jax.jit(advance)
    if mesh is not None:
        zeros = put(zeros, mesh, OWN)
        advance = by_device(advance, mesh, (OWN, OWN, SHARED, SHARED), (OWN, OWN, SHARED))
        measure = by_device(measure, mesh, (SHARED, OWN), OWN)
    traced = jax.jit(advance, donate_argnums=0).trace(train_state, zeros, data, 1)
    advance = traced.lower()
    # of all members, on however many devices they are
    digest = lambda: digest_of((traced if mesh is None else whole.trace(train_state, zeros, data, 1)).jaxpr)
    if evaluate is None:
        return Programs(zeros, {}, digest, functools.cache(lambda: (advance.compile(), lambda train_state: {})))
    evaluate = _as_tree(evaluate)
    measure = jax.jit(measure).lower(evaluate, train_state)
    compiled = functools.cache(lambda: (advance.compile(), functools.partial(measure.compile(), evaluate)))
    return Programs(zeros, measure.out_info, digest, compiled)


def of_members(evaluate: Callable[..., Any], *, exact: bool = False) -> jax.tree_util.Partial:
    """The evaluation of all members, by `vmap`, or one after the other if `exact`."""

    def measure(evaluate: Callable[..., Any], train_state: TrainState) -> dict[str, jax.Array]:
        return jax.lax.map(evaluate, train_state) if exact else jax.vmap(evaluate)(train_state)

    return jax.tree_util.Partial(measure, _as_tree(evaluate))


def _as_tree(evaluate: Callable[..., Any]) -> jax.tree_util.Partial:
    """So that data in it pass through `jit` as arguments."""
    return evaluate if isinstance(evaluate, jax.tree_util.Partial) else jax.tree_util.Partial(evaluate)


def _until_epoch_ends(run: Run) -> Callable[..., tuple[TrainState, Any, Any]]:
    """A program that takes steps until the epoch is over, at most `limit`: one compilation, whatever the length of a chunk.

    Metrics are summed over the epoch in the program, across chunks: so no sum depends on how the epoch was cut. Members keep one
    pace: so each device counts for itself, where members are on several. Steps are counted before the loop: on CPUs, one whose
    condition looks at the train state takes 4% longer.
    """

    def advance(train_state: TrainState, sums: dict[str, Any], data: Any, limit: Any):
        epoch = train_state.epoch.max()
        steps = jnp.minimum(limit, run.left(train_state, data).max())

        def one(_, carry):
            train_state, sums = carry
            train_state, metrics = run.advance(train_state, data, 1)
            return train_state, jax.tree.map(lambda s, m: s + m.sum(-1), sums, metrics)

        train_state, sums = jax.lax.fori_loop(0, steps, one, (train_state, sums))
        over = (train_state.epoch.max() > epoch).astype(jnp.int32)
        look = jnp.stack([over, steps, train_state.position.max(), train_state.step.max()])  # one array is fetched faster than four
        return train_state, sums, look

    return advance


def abstract(init: Callable[[jax.Array, Any], TrainState], key: jax.Array, data: Any) -> TrainState:
    """A first train state without values, over the devices that `init` lays it on, which only making it tells."""
    if jax.device_count() == 1:
        return jax.eval_shape(init, key, data)

    def one(a: jax.Array) -> jax.ShapeDtypeStruct:
        sharding = a.sharding if len(a.sharding.device_set) > 1 else None
        return jax.ShapeDtypeStruct(a.shape, a.dtype, sharding=sharding)

    return jax.tree.map(one, init(key, data))


def owned(train_state: TrainState) -> TrainState:
    """A first train state as the program hands it on: no leaf twice, since a buffer can be donated only once, and no weak types."""
    seen: set[int] = set()

    def own(a: jax.Array) -> jax.Array:
        if id(a) in seen:
            return a.copy()
        seen.add(id(a))
        return jnp.asarray(a, a.dtype) if getattr(a, "weak_type", False) else a

    return jax.tree.map(own, train_state)


def bytes_planned(programs: Programs) -> int:
    """What the larger of the two programs takes: arguments, results that take no argument's place, and all between."""
    advance, measure = programs.compile()
    return max(map(program_bytes, (advance, getattr(measure, "func", None))))


def program_bytes(compiled: Any) -> int:
    """What a compiled program takes; 0 if XLA doesn't say."""
    plan = compiled.memory_analysis() if hasattr(compiled, "memory_analysis") else None
    if plan is None:
        return 0
    return plan.argument_size_in_bytes + plan.output_size_in_bytes + plan.temp_size_in_bytes - plan.alias_size_in_bytes
