"""The properties that every layer has: each is one test over the table of layers."""

import dataclasses
import functools
import json
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P
from layer_table import GOLDEN, LAYERS, Row, shapes
from tolerances import assert_close

from jdl import layers as L
from jdl.layer import Layer

rows = pytest.mark.parametrize("row", LAYERS, ids=lambda row: row.name)
modes = pytest.mark.parametrize("train", [True, False], ids=["train", "evaluate"])


@functools.cache
def compiled(row: Row) -> tuple[Layer, Layer]:
    """A row's layer, as it is and compiled: all properties share the compilations."""
    layer = row.make()
    return layer, Layer(jax.jit(layer.init), jax.jit(layer.apply, static_argnames="train"))


@dataclasses.dataclass
class Case:
    """A layer with generic values of everything it takes."""

    row: Row
    rng: np.random.Generator
    key: jax.Array

    def __post_init__(self):
        self.layer, self.jitted = compiled(self.row)
        self.inputs = self.row.sample(self.rng)
        self.params, self.state = self.moved(self.jitted.init(self.fresh(), *self.inputs))

    def fresh(self, use: int = 0) -> jax.Array:
        """A key that nothing has used, the same each time."""
        return jax.random.clone(jax.random.fold_in(self.key, use))

    def normal(self, tree: Any) -> Any:
        """A tree like this one, of normal numbers."""
        return jax.tree.map(lambda a: jnp.asarray(self.rng.normal(size=a.shape), a.dtype), tree)

    def moved(self, tree: Any) -> Any:
        """The tree, changed so that no bias is 0 and no scale is 1; variances stay positive."""
        return jax.tree.map(lambda a, noise: a + jnp.abs(noise), tree, self.normal(tree))

    def apply(self, params, state, *inputs, train=False, use=0, layer=None):
        return (layer or self.jitted).apply(params, state, *inputs, key=self.fresh(use), train=train)

    def loss(self, weights, rest, key=None, train=True):
        """A scalar whose derivatives of every order are generic. `weights` is what has a gradient: params, and inputs if they are floats."""
        params, *inputs = weights
        state, fixed = rest
        key = None if key is None else jax.random.clone(key)
        output, _ = self.layer.apply(params, state, *(inputs or fixed), key=key, train=train)
        return jnp.sin(output + jnp.cos(jnp.arange(output.size)).reshape(output.shape).astype(output.dtype)).sum()

    @property
    def weights(self):
        return self.params, *(self.inputs if self.row.floats else ())

    @property
    def rest(self):
        return self.state, self.inputs


@pytest.fixture
def case(row, rng, key):
    return Case(row, rng, key)


def cast(tree, dtype):
    return jax.tree.map(lambda a: a.astype(dtype) if jnp.issubdtype(a.dtype, jnp.inexact) else a, tree)


def dot(a, b):
    return sum(jax.tree.leaves(jax.tree.map(jnp.vdot, a, b)))


def member(tree, i):
    return jax.tree.map(lambda a: a[i], tree)


def stack(trees):
    return jax.tree.map(lambda *arrays: jnp.stack(arrays), *trees)


@rows
@modes
def test_jit_equals_no_jit(case, train):
    assert_close(
        case.apply(case.params, case.state, *case.inputs, train=train),
        case.apply(case.params, case.state, *case.inputs, train=train, layer=case.layer),
    )


@rows
def test_init_is_the_same_eagerly_compiled_and_mapped(case):
    keys = jax.random.split(case.fresh(), 2)
    one_by_one = [case.jitted.init(key, *case.inputs) for key in keys]
    assert_close(case.layer.init(jax.random.clone(keys[0]), *case.inputs), one_by_one[0])
    mapped = jax.jit(jax.vmap(case.layer.init, in_axes=(0, *(None for _ in case.inputs))))
    assert_close(mapped(jax.random.clone(keys), *case.inputs), stack(one_by_one))


@rows
def test_vmap_over_samples_equals_a_batch(case):
    def one(params, state, *inputs):
        output, _ = case.layer.apply(params, state, *(x[None] for x in inputs))
        return output[0]

    mapped = jax.jit(jax.vmap(one, in_axes=(None, None, *(0 for _ in case.inputs))))
    assert_close(mapped(case.params, case.state, *case.inputs), case.apply(case.params, case.state, *case.inputs)[0])


@rows
def test_vmap_over_params_equals_a_loop(case):
    members = [case.moved((case.params, case.state)) for _ in range(3)]
    loop = [case.apply(*pair, *case.inputs, train=True, use=i) for i, pair in enumerate(members)]

    @jax.jit
    def mapped(stacked, keys, *inputs):
        return jax.vmap(lambda pair, key: case.layer.apply(*pair, *inputs, key=key, train=True))(stacked, keys)

    keys = jnp.stack([case.fresh(i) for i in range(3)])
    assert_close(mapped(stack(members), keys, *case.inputs), stack(loop))


def in_float64(case):
    """Weights, a direction to move them in, and the rest, in float64."""
    weights, rest = cast((case.weights, case.rest), "float64")
    return weights, case.normal(weights), rest


STEP = 1e-7  # of finite differences: small, so that no kink or tie lies within it


def moved_by(weights, direction, step):
    return jax.tree.map(lambda w, d: w + step * d, weights, direction)


@rows
def test_gradient_is_what_finite_differences_say(case):
    with jax.enable_x64(True):
        weights, direction, rest = in_float64(case)

        @jax.jit
        def slopes(weights, direction, *rest):
            gradient = jax.grad(case.loss)(weights, *rest)
            ends = [case.loss(moved_by(weights, direction, step), *rest) for step in (STEP, -STEP)]
            return dot(gradient, direction), (ends[0] - ends[1]) / (2 * STEP)

        assert_close(*slopes(weights, direction, rest, case.fresh()), scale=10)


@rows
def test_all_modes_of_differentiation_agree(case):
    with jax.enable_x64(True):
        weights, direction, rest = in_float64(case)

        @jax.jit
        def derivatives(weights, direction, *rest):
            gradient = lambda weights: jax.grad(case.loss)(weights, *rest)
            slope = dot(gradient(weights), direction)
            forward = jax.jvp(lambda weights: case.loss(weights, *rest), (weights,), (direction,))[1]
            curvature = jax.grad(lambda weights: dot(gradient(weights), direction))(weights)
            forward_over_reverse = jax.jvp(gradient, (weights,), (direction,))[1]
            ends = [gradient(moved_by(weights, direction, step)) for step in (STEP, -STEP)]
            differences = jax.tree.map(lambda a, b: (a - b) / (2 * STEP), *ends)
            return (slope, forward), (curvature, forward_over_reverse), (curvature, differences)

        firsts, seconds, against_differences = derivatives(weights, direction, rest, case.fresh())
        assert_close(*firsts)
        assert_close(*seconds)
        assert_close(*against_differences, scale=100)


@rows
def test_vmap_of_gradient_equals_a_loop(case):
    members = [case.moved(case.weights) for _ in range(2)]
    loop = [gradient_of(case)(weights, case.rest, case.fresh(i)) for i, weights in enumerate(members)]
    mapped = jax.jit(jax.vmap(jax.grad(case.loss), in_axes=(0, None, 0)))
    assert_close(mapped(stack(members), case.rest, jnp.stack([case.fresh(i) for i in range(2)])), stack(loop), scale=10)


@functools.cache
def _gradient(row, train):
    """Shared by tests; the loss of a case depends on its row alone."""
    layer, _ = compiled(row)
    blank = object.__new__(Case)
    blank.layer = layer
    return jax.jit(jax.grad(functools.partial(blank.loss, train=train)))


def gradient_of(case, train=True):
    return _gradient(case.row, train)


@rows
@modes
def test_bfloat16_in_bfloat16_out(case, train):
    inputs = cast(case.inputs, "bfloat16")
    params, state = case.layer.init(case.fresh(), *inputs)
    assert all(a.dtype == "float32" for a in jax.tree.leaves((params, state))), "half precision must cost no precision of weights"
    params = case.params if case.row.floats else cast(case.params, "bfloat16")
    output, new = case.apply(params, case.state, *inputs, train=train)
    expected, expected_state = case.apply(case.params, case.state, *cast(inputs, "float32"), train=train)
    assert output.dtype == "bfloat16"
    assert_close(output, expected.astype("bfloat16"), scale=3)
    assert_close(cast(new, "bfloat16"), cast(expected_state, "bfloat16"), scale=3)


@rows
def test_no_key_is_used_twice(case):
    def program(key, *inputs):
        init_key, key = jax.random.split(key)
        params, state = case.layer.init(init_key, *inputs)
        return case.layer.apply(params, state, *inputs, key=key, train=True)

    jax.jit(program)(case.fresh(), *case.inputs)  # jax_debug_key_reuse is on


@rows
def test_training_draws_if_the_layer_draws(case):
    one, same, other = (case.apply(case.params, case.state, *case.inputs, train=True, use=i)[0] for i in (1, 1, 2))
    assert_close(one, same, scale=0)
    assert bool((one != other).any()) == case.row.draws
    if case.row.draws:
        with pytest.raises(ValueError, match=r"needs a key in training; write model\.apply\("):
            case.layer.apply(case.params, case.state, *case.inputs, train=True)
    else:
        assert_close(case.layer.apply(case.params, case.state, *case.inputs, train=True)[0], one)


@rows
def test_no_tracer_leaks(row, rng, key):
    layer = row.make()  # a new one, so that nothing is cached

    def program(keys, *inputs):
        params, state = layer.init(keys[0], *inputs)

        def loss(params):
            output, new = layer.apply(params, state, *inputs, key=keys[1], train=True)
            return output.sum(), new

        return jax.grad(loss, has_aux=True)(params)

    with jax.checking_leaks():
        jax.eval_shape(program, jax.random.split(key), *row.sample(rng))


@rows
def test_scan_equals_a_loop(case):
    steps = 3
    batches = [case.row.sample(case.rng) for _ in range(steps)]
    state, outputs = case.state, []
    for i, batch in enumerate(batches):
        output, state = case.apply(case.params, state, *batch, train=True, use=i)
        outputs.append(output)

    @jax.jit
    def scanned(params, state, keys, batches):
        def step(state, own):
            key, batch = own
            return case.layer.apply(params, state, *batch, key=key, train=True)[::-1]

        return jax.lax.scan(step, state, (keys, batches))

    assert_close(scanned(case.params, case.state, jnp.stack([case.fresh(i) for i in range(steps)]), stack(batches)),
                 (state, stack(outputs)))  # fmt: skip


@rows
def test_remat_keeps_the_gradient(case):
    remat = jax.jit(jax.grad(jax.checkpoint(case.loss)))
    assert_close(remat(case.weights, case.rest, case.fresh()), gradient_of(case)(case.weights, case.rest, case.fresh()))


@rows
def test_shard_map_over_the_batch(case):
    mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:4])
    batch = tuple(P("data") for _ in case.inputs)

    def local(params, state, *inputs):
        def loss(params):
            output, _ = case.layer.apply(params, state, *inputs)
            return jnp.square(output).sum(), output

        return jax.grad(loss, has_aux=True)(params)  # params are the same everywhere, so their gradient is summed over "data"

    sharded = jax.shard_map(local, mesh=mesh, in_specs=(P(), P(), *batch), out_specs=(P(), P("data")))
    assert_close(*(jax.jit(f)(case.params, case.state, *case.inputs) for f in (sharded, local)), scale=10)


@rows
def test_pmap_over_the_batch(case):
    def local(params, state, *inputs):
        def loss(params):
            output, _ = case.layer.apply(params, state, *inputs)
            return jnp.square(output).sum(), output

        return jax.grad(loss, has_aux=True)(params)

    def summed(*args):
        gradient, output = local(*args)
        return jax.lax.psum(gradient, "data"), output

    parts = tuple(x.reshape(4, 1, *x.shape[1:]) for x in case.inputs)
    in_axes = (None, None, *(0 for _ in parts))
    pmapped = jax.pmap(summed, axis_name="data", in_axes=in_axes, out_axes=(None, 0), devices=jax.devices()[:4])
    gradient, output = pmapped(case.params, case.state, *parts)
    joined = jax.tree.map(lambda a: a.reshape(-1, *a.shape[2:]), output)
    assert_close((gradient, joined), jax.jit(local)(case.params, case.state, *case.inputs), scale=10)


@rows
@modes
def test_structure_is_stable(case, train):
    apply = functools.partial(case.layer.apply, train=train)
    output, state = jax.eval_shape(apply, case.params, case.state, *case.inputs, key=case.fresh())
    assert state == jax.eval_shape(lambda state: state, case.state)  # structure, shapes and dtypes
    for tree in case.layer.init(case.fresh(), *case.inputs):
        assert not any(jax.typeof(a).weak_type for a in jax.tree.leaves(tree)), "a weak type makes the second call compile again"
        nodes = [tree]
        for node in nodes:
            assert type(node) is dict or isinstance(node, jax.Array), "nested dicts of arrays, nothing else"
            nodes += node.values() if type(node) is dict else ()
            assert all(isinstance(name, str) and child != {} for name, child in node.items()) if type(node) is dict else True
    assert not any(a.weak_type for a in jax.tree.leaves((output, state)))


@rows
def test_names_and_shapes_are_golden(row):
    golden = json.loads(GOLDEN.read_text())
    assert golden.keys() == golden_now().keys(), "if that is meant, run `python -m tests.layer_table` and look at the diff"
    assert golden[row.name] == golden_now()[row.name], "if that is meant, run `python -m tests.layer_table` and look at the diff"


@functools.cache
def golden_now():
    return shapes()


@pytest.mark.parametrize("row, wrong, message, misfit", [
    pytest.param(row, wrong, message, misfit, id=f"{row.name}-{wrong.dtype}{list(wrong.shape)}")
    for row in LAYERS for misfit, cases in ((False, row.wrong), (True, row.misfits)) for wrong, message in cases
])  # fmt: skip
@modes
def test_wrong_inputs_are_named_with_their_path(row, wrong, message, misfit, train, key):
    model = L.chain(block=L.chain(inner=row.make()))

    def check(call):
        with pytest.raises((ValueError, TypeError), match=message) as caught:
            call()
        notes = "\n".join(caught.value.__notes__)
        assert 'in layer "block/inner' in notes and f"{wrong.dtype}{list(wrong.shape)}" in notes

    if not misfit:
        check(lambda: model.init(key, wrong))
    params, state = jax.eval_shape(model.init, key, *row.inputs)
    check(lambda: jax.eval_shape(functools.partial(model.apply, train=train), params, state, wrong, key=key))


@rows
def test_second_call_compiles_nothing(case):
    _, state = case.apply(case.params, case.state, *case.inputs, train=True, use=1)
    inputs, key = case.row.sample(case.rng), case.fresh(2)
    with jax.no_tracing():
        case.jitted.apply(case.params, state, *inputs, key=key, train=True)


def test_no_tracing_sees_a_compilation(key):
    with pytest.raises(RuntimeError), jax.no_tracing():
        jax.jit(lambda x: x + 1)(1.0)
