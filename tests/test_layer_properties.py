"""The properties that every layer has: each is one test over the table of layers."""

import dataclasses
import functools
import gc
import json
import re
from contextlib import contextmanager
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P
from layer_table import GOLDEN, LAYERS, shapes
from rows._row import Row
from tolerances import assert_close, assert_equal

from jdl import layers as L
from jdl.functional import _check
from jdl.layer import Layer


def of_row(row: Row, *values, name: str = "", marks=()):
    """A parameter set of a row."""
    return pytest.param(row, *values, id=row.name + name, marks=marks)


rows = pytest.mark.parametrize("row", [of_row(row) for row in LAYERS])
costly_rows = pytest.mark.parametrize("row", [of_row(row, marks=() if row.often else (pytest.mark.slow,)) for row in LAYERS])
modes = pytest.mark.parametrize("train", [True, False], ids=["train", "evaluate"])


class Compiled:
    """A row's layer, as it is and compiled: all properties share the compilations."""

    def __init__(self, row: Row):
        self.layer = row.make()
        self.jitted = Layer(jax.jit(self.layer.init), jax.jit(self.layer.apply, static_argnames="train"))
        self.gradient = jax.jit(jax.grad(self.loss))
        self.on_one_device = jax.jit(self.evaluated)
        self.outcomes = jax.jit(self.all_outcomes)

    def all_outcomes(self, halves, state, half_inputs, key):
        """What the properties of all rows compare, as one program, since each costs far more to compile than to run.

        All are of the same numbers, so that what is alike in training and in evaluation is compiled once.
        """
        params, inputs = as_floats((halves, half_inputs), "float32")

        def one(*sample):
            return self.layer.apply(params, state, *(jnp.expand_dims(x, 0) for x in sample))[0][0]

        def trained(params, inputs):
            return self.layer.apply(params, state, *inputs, key=jax.random.clone(key), train=True)

        return {
            "batch": self.layer.apply(params, state, *inputs)[0],
            "samples": jax.vmap(one)(*inputs),
            "half": trained(halves, half_inputs),
            "single": trained(params, inputs),
        }

    def loss(self, weights, rest, key):
        """A scalar in training whose derivatives are generic. `weights` has a gradient: params, and inputs if they are floats."""
        params, *inputs = weights
        state, fixed = rest
        output, _ = self.layer.apply(params, state, *(inputs or fixed), key=jax.random.clone(key), train=True)
        return jnp.sin(output + jnp.cos(jnp.arange(output.size)).reshape(output.shape).astype(output.dtype)).sum()

    def evaluated(self, params, state, *inputs):
        """The gradient with respect to params, and the output, in evaluation."""

        def loss(params):
            output, _ = self.layer.apply(params, state, *inputs)
            return jnp.square(output).sum(), output

        return jax.grad(loss, has_aux=True)(params)


compiled = functools.cache(Compiled)


@dataclasses.dataclass
class Case:
    """A layer with generic values of everything it takes."""

    row: Row
    rng: np.random.Generator
    key: jax.Array

    def __post_init__(self):
        self.compiled = compiled(self.row)
        self.layer, self.jitted, self.loss = self.compiled.layer, self.compiled.jitted, self.compiled.loss
        self.inputs = self.row.sample(self.rng)
        params, state = jax.eval_shape(self.layer.init, self.fresh(), *self.inputs)
        self.params, self.state = jax.tree.map(self.param, params), jax.tree.map(self.positive, state)

    def fresh(self, use: int = 0) -> jax.Array:
        """A key that nothing has used, the same each time."""
        return jax.random.clone(jax.random.fold_in(self.key, use))

    def keys(self, number: int) -> jax.Array:
        """The keys of the first uses, as one array."""
        return jax.vmap(lambda use: jax.random.fold_in(self.key, use))(jnp.arange(number))

    def param(self, a: jax.ShapeDtypeStruct) -> np.ndarray:
        """Generic, such that activations don't saturate; scales and the like are positive, since some divide by them."""
        return self.rng.normal(scale=0.4, size=a.shape).astype(a.dtype) if a.ndim > 1 else self.positive(a)

    def positive(self, a: jax.ShapeDtypeStruct) -> np.ndarray:
        """As states are if they are floats, since some are variances; those that count start at 0."""
        return (
            self.rng.uniform(0.3, 1.5, a.shape).astype(a.dtype)
            if jnp.issubdtype(a.dtype, jnp.inexact)
            else np.zeros(a.shape, a.dtype)
        )

    def normal(self, tree: Any) -> Any:
        """A tree like this one, of normal numbers."""
        return jax.tree.map(lambda a: self.rng.normal(size=a.shape).astype(a.dtype), tree)

    def moved(self, tree: Any) -> Any:
        """The tree, changed so that variances stay positive, and activations don't saturate."""
        return jax.tree.map(lambda a, noise: a + np.asarray(0.3, a.dtype) * np.abs(noise), onto_host(tree), self.normal(tree))

    def apply(self, params, state, *inputs, train=False, use=0, layer=None):
        return (layer or self.jitted).apply(params, state, *inputs, key=self.fresh(use), train=train)

    def halves(self):
        """Inputs in half precision, and params where inputs can't be."""
        return self.params if self.row.floats else cast(self.params, "bfloat16"), self.state, cast(self.inputs, "bfloat16")

    def outcomes(self, use=0):
        """What the layer gives for a batch and its samples, and in training for halves and the same numbers in single precision."""
        return onto_host(self.compiled.outcomes(*self.halves(), self.fresh(use)))

    @property
    def weights(self):
        return self.params, *(self.inputs if self.row.floats else ())

    @property
    def rest(self):
        return self.state, self.inputs


@pytest.fixture
def case(row, rng, key):
    return Case(row, rng, key)


def onto_host(tree):
    """NumPy's arrays, with which arithmetic compiles nothing."""
    return jax.tree.map(np.asarray, tree)


def as_floats(tree, dtype):
    return jax.tree.map(lambda a: a.astype(dtype) if jnp.issubdtype(a.dtype, jnp.inexact) else a, tree)


def cast(tree, dtype):
    return as_floats(onto_host(tree), dtype)


def dot(a, b):
    return sum(jax.tree.leaves(jax.tree.map(jnp.vdot, a, b)))


def stack(trees):
    return jax.tree.map(lambda *arrays: np.stack(arrays), *map(onto_host, trees))


@costly_rows
@modes
def test_jit_equals_no_jit(case, train):
    assert_close(
        case.apply(case.params, case.state, *case.inputs, train=train),
        case.apply(case.params, case.state, *case.inputs, train=train, layer=case.layer),
    )


@costly_rows
def test_init_is_the_same_eagerly_compiled_and_mapped(case):
    keys = jax.random.split(case.fresh(), 2)
    one_by_one = [case.jitted.init(key, *case.inputs) for key in keys]
    assert_close(case.layer.init(jax.random.clone(keys[0]), *case.inputs), one_by_one[0])
    mapped = jax.jit(jax.vmap(case.layer.init, in_axes=(0, *(None for _ in case.inputs))))
    assert_close(mapped(jax.random.clone(keys), *case.inputs), stack(one_by_one))


@rows
def test_vmap_over_samples_equals_a_batch(case):
    found = case.outcomes()
    assert_close(found["samples"], found["batch"])


@costly_rows
def test_vmap_over_params_equals_a_loop(case):
    members = [case.moved((case.params, case.state)) for _ in range(3)]
    loop = [case.apply(*pair, *case.inputs, train=True, use=i) for i, pair in enumerate(members)]

    @jax.jit
    def mapped(stacked, keys, *inputs):
        return jax.vmap(lambda pair, key: case.layer.apply(*pair, *inputs, key=key, train=True))(stacked, keys)

    assert_close(mapped(stack(members), case.keys(3), *case.inputs), stack(loop))


@costly_rows
def test_all_modes_of_differentiation_say_what_finite_differences_say(case):
    with jax.enable_x64(True):
        weights, rest = cast((case.weights, case.rest), "float64")
        direction, rest = case.normal(weights), (rest, case.fresh())
        both = jax.value_and_grad(case.loss)
        compiled_both = jax.jit(both)

        @jax.jit
        def in_forward(weights, direction, *rest):
            return jax.jvp(lambda weights: both(weights, *rest), (weights,), (direction,))[1]

        @jax.jit
        def in_reverse(weights, direction, *rest):
            return jax.value_and_grad(lambda weights: dot(both(weights, *rest)[1], direction))(weights)

        def moved(step):
            return compiled_both(jax.tree.map(lambda w, d: w + step * d, weights, direction), *rest)

        step = 1e-7  # so small that no kink or tie lies within it
        differences = jax.tree.map(lambda a, b: (a - b) / (2 * step), *onto_host((moved(step), moved(-step))))
        derivatives = in_reverse(weights, direction, *rest)
        assert_close(derivatives, in_forward(weights, direction, *rest))
        assert_close(derivatives, differences, scale=100)


@costly_rows
def test_vmap_of_gradient_equals_a_loop(case):
    members = [case.moved(case.weights) for _ in range(2)]
    loop = [case.compiled.gradient(weights, case.rest, case.fresh(i)) for i, weights in enumerate(members)]
    mapped = jax.jit(jax.vmap(jax.grad(case.loss), in_axes=(0, None, 0)))
    assert_close(mapped(stack(members), case.rest, case.keys(2)), stack(loop), scale=10)


@rows
def test_bfloat16_in_bfloat16_out(case):
    inputs = cast(case.inputs, "bfloat16")
    made = jax.eval_shape(case.layer.init, case.key, *inputs)
    assert all(a.dtype == "float32" for a in jax.tree.leaves(made)), "half precision must cost no precision of weights"
    found = case.outcomes()
    (output, new), (expected, expected_state) = found["half"], found["single"]
    params = case.params if case.row.floats else cast(case.params, "bfloat16")
    assert output.dtype == jax.eval_shape(case.layer.apply, params, case.state, *inputs)[0].dtype == "bfloat16"
    assert_close(output, expected.astype("bfloat16"), scale=3)
    assert_close(cast(new, "bfloat16"), cast(expected_state, "bfloat16"), scale=3)


@rows
def test_no_key_is_used_twice(case):
    assert jax.config.jax_debug_key_reuse  # with it, the compiled functions raise if they use a key twice
    case.outcomes()


def test_a_key_used_twice_is_seen(key):
    with pytest.raises(jax.errors.KeyReuseError):
        jax.jit(lambda key: jax.random.normal(key) + jax.random.normal(key))(key)


@rows
def test_a_layer_that_does_not_draw_needs_no_key(case):
    without = functools.partial(case.layer.apply, train=True)
    if case.row.draws:
        with pytest.raises(ValueError, match=r"needs a key in training; write model\.apply\("):
            jax.eval_shape(without, case.params, case.state, *case.inputs)
    else:
        jax.eval_shape(without, case.params, case.state, *case.inputs)
        drawn = jax.make_jaxpr(functools.partial(case.layer.apply, train=True))(
            case.params, case.state, *case.inputs, key=case.fresh()
        )
        assert "random_bits" not in str(drawn)


@pytest.mark.parametrize("row", [of_row(row) for row in LAYERS if row.draws])
def test_training_draws_by_the_key(case):
    one, same = (case.outcomes(use=1)["single"][0] for _ in range(2))
    assert_equal(one, same)
    assert any((one != case.outcomes(use=i)["single"][0]).any() for i in range(2, 22))  # two keys may draw the same, not twenty


@contextmanager
def checking_leaks():
    """A check collects garbage at each function it traces: only through what is new, since all that other tests left is a lot."""
    gc.freeze()
    try:
        with jax.checking_leaks():
            yield
    finally:
        gc.unfreeze()


@costly_rows
def test_no_tracer_leaks(row, rng, key):
    layer = row.make()  # a new one, so that nothing is cached

    def program(keys, *inputs):
        params, state = layer.init(keys[0], *inputs)

        def loss(params):
            output, new = layer.apply(params, state, *inputs, key=keys[1], train=True)
            return output.sum(), new

        return jax.grad(loss, has_aux=True)(params)

    args = jax.random.split(key), *row.sample(rng)
    with checking_leaks():
        jax.eval_shape(program, *args)


def test_a_leak_is_seen():
    kept = []
    with pytest.raises(Exception, match="Leaked trace"), checking_leaks():
        jax.eval_shape(lambda x: kept.append(x + 1), 1.0)


@costly_rows
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

    assert_close(scanned(case.params, case.state, case.keys(steps), stack(batches)), (state, stack(outputs)))


@costly_rows
def test_remat_keeps_the_gradient(case):
    remat = jax.jit(jax.grad(jax.checkpoint(case.loss)))
    assert_close(remat(case.weights, case.rest, case.fresh()), case.compiled.gradient(case.weights, case.rest, case.fresh()))


@costly_rows
def test_shard_map_over_the_batch(case):
    mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:4])
    in_specs = P(), P(), *(P("data") for _ in case.inputs)  # params are the same everywhere, so their gradient is summed
    sharded = jax.jit(jax.shard_map(case.compiled.evaluated, mesh=mesh, in_specs=in_specs, out_specs=(P(), P("data"))))
    args = case.params, case.state, *case.inputs
    assert_close(sharded(*args), case.compiled.on_one_device(*args), scale=10)


@costly_rows
def test_pmap_over_the_batch(case):
    def summed(*args):
        gradient, output = case.compiled.evaluated(*args)
        return jax.lax.psum(gradient, "data"), output

    parts = tuple(x.reshape(4, 1, *x.shape[1:]) for x in case.inputs)
    in_axes = None, None, *(0 for _ in parts)
    pmapped = jax.pmap(summed, axis_name="data", in_axes=in_axes, out_axes=(None, 0), devices=jax.devices()[:4])
    gradient, output = pmapped(case.params, case.state, *parts)
    joined = output.reshape(-1, *output.shape[2:])
    assert_close((gradient, joined), case.compiled.on_one_device(case.params, case.state, *case.inputs), scale=10)


@rows
@modes
def test_structure_is_stable(case, train):
    apply = functools.partial(case.layer.apply, train=train)
    output, state = jax.eval_shape(apply, case.params, case.state, *case.inputs, key=case.fresh())
    assert state == jax.eval_shape(lambda state: state, case.state)  # structure, shapes and dtypes
    made = jax.eval_shape(case.layer.init, case.fresh(), *case.inputs)
    assert not any(a.weak_type for a in jax.tree.leaves((made, output, state))), "a weak type makes the second call compile again"
    nodes = [*made]
    for node in nodes:  # nested dicts of arrays, nothing else, and none is empty
        assert all(isinstance(name, str) and not (isinstance(child, dict) and not child) for name, child in node.items())
        assert all(type(child) is dict or isinstance(child, jax.ShapeDtypeStruct) for child in node.values())
        nodes += [child for child in node.values() if type(child) is dict]


@rows
def test_names_and_shapes_are_golden(row):
    golden = json.loads(GOLDEN.read_text())
    hint = "if that is meant, run `python tests/layer_table.py` and look at the diff"
    assert list(golden) == [row.name for row in LAYERS], hint
    assert golden[row.name] == shapes(row), hint


@functools.cache
def nested(row: Row):
    """A model with the row's layer two levels down, and the shapes of its params and state."""

    def around(**layer):
        return L.compose(**layer)(lambda net, *inputs: getattr(net, *layer)(*inputs))

    model = around(block=around(inner=row.make()))
    return model, jax.eval_shape(model.init, jax.random.key(0), *row.inputs)


@pytest.mark.parametrize("row, wrong, message, misfit", [
    of_row(row, wrong, message, misfit, name=f"-{_check.describe(wrong)}") for row in LAYERS for wrong, message, misfit in row.bad()
])  # fmt: skip
def test_wrong_inputs_are_named_with_their_path(row, wrong, message, misfit, key):
    model, made = nested(row)

    def check(call):
        with pytest.raises((ValueError, TypeError), match=message) as caught:
            call()
        notes = "\n".join(caught.value.__notes__)
        assert 'in layer "block/inner' in notes
        off = [_check.describe(x) for x, right in zip(wrong, row.inputs, strict=True) if x != right]
        if 'in layer "block/inner/' in notes and not all(x in notes for x in off):  # it has inputs of its own
            off = [x for x in re.findall(r"\w+\[[\d, ]*\]", notes) if x in str(caught.value)][:1] or off
        assert all(x in notes for x in off)

    if not misfit:
        check(lambda: jax.eval_shape(model.init, key, *wrong))
    for train in (True, False):
        check(lambda: jax.eval_shape(functools.partial(model.apply, train=train), *made, *wrong, key=key))  # noqa: B023


@pytest.mark.parametrize("row", [of_row(row) for row in LAYERS if len(row.inputs) > 1])
def test_rows_of_several_inputs_have_wrong_ones_in_each_place(row):
    assert all(any(wrong[i] != x for wrong, *_ in row.bad()) for i, x in enumerate(row.inputs))


@contextmanager
def compilations():
    """A list that grows with everything that JAX traces or compiles."""
    seen = []

    def listen(event, seconds, **kwargs):
        if event.startswith("/jax/core/compile/"):
            seen.append(event)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield seen
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


@costly_rows
def test_second_call_compiles_nothing(case):
    _, state = case.apply(case.params, case.state, *case.inputs, train=True, use=1)
    inputs, key = case.row.sample(case.rng), case.fresh(2)
    with compilations() as seen:
        case.jitted.apply(case.params, state, *inputs, key=key, train=True)
    assert not seen


def test_compilations_are_seen():
    with compilations() as seen:
        jax.jit(lambda x: x + 1)(1.0)
    assert seen
