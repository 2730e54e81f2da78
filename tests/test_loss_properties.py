"""What every loss promises, whatever it computes: each property is one test over the table of losses."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from loss_rows._row import SAMPLES, Row
from loss_table import LOSSES
from tolerances import assert_close

WHERE = np.array([True, False, True, True, False, False])
COUNTS = np.array([1, 0, 2, 3, 1, 0])
ALL, NONE = np.ones(SAMPLES, bool), np.zeros(SAMPLES, bool)


def over(rows, *marks):
    """A test over rows."""
    return pytest.mark.parametrize("row", [pytest.param(row, id=row.name, marks=marks) for row in rows])


every, smooth, alone = over(LOSSES), over(row for row in LOSSES if row.smooth), over(row for row in LOSSES if row.alone)
crowded, slowly = over(row for row in LOSSES if not row.alone), over(LOSSES, pytest.mark.slow)


class Compiled:
    """What properties ask of a loss, as few programs."""

    def __init__(self, row: Row):
        self.row = row
        self.program = jax.jit(self.all_of)
        self.totals = jax.jit(lambda *given: {by: row.loss(*given, reduction=by) for by in ("mean", "sum")})
        self.gradient = jax.jit(jax.value_and_grad(lambda *given: row.loss(*given)))

    def everything(self, predictions, targets, where=ALL, counts=ALL, direction=None):
        """All of this by one program, in float64, on the host."""
        direction = jax.tree.map(np.zeros_like, predictions) if direction is None else direction
        with jax.enable_x64(True):
            return onto_host(self.program(predictions, targets, where, counts.astype("float64"), direction))

    def all_of(self, predictions, targets, where, weights, direction):
        """Values and totals, totals with `where` and with weights, and derivatives of the mean with both."""
        loss = self.row.loss
        found = {
            "none": loss(predictions, targets, reduction="none"),
            **{by: loss(predictions, targets, reduction=by) for by in ("mean", "sum")},
            "where": {by: loss(predictions, targets, where=where, reduction=by) for by in ("mean", "sum")},
            "weights": {by: loss(predictions, targets, weights=weights, reduction=by) for by in ("mean", "sum")},
        }
        if self.row.smooth:
            mean = lambda predictions: loss(predictions, targets, where=where, weights=weights)
            found["gradient"] = jax.grad(mean)(predictions)
            found["slope"] = jax.jvp(mean, (predictions,), (direction,))[1]
        return found


compiled = functools.cache(Compiled)


def onto_host(tree):
    return jax.tree.map(np.asarray, tree)


def at(tree, index):
    return jax.tree.map(lambda a: np.asarray(a)[index], tree)


def each(share, a):
    """A number for each sample, as an array that broadcasts to `a`."""
    return share.reshape(-1, *[1] * (a.ndim - 1))


def floats(tree, dtype="float32"):
    """The tree with its floating-point arrays in one dtype."""
    return jax.tree.map(lambda x: x.astype(dtype) if jnp.issubdtype(getattr(x, "dtype", int), jnp.floating) else x, tree)


def test_names_are_unique():
    assert len({row.name for row in LOSSES}) == len(LOSSES)


def assert_near(found, row, predictions, targets, limit):
    """That values and totals are those of the reference."""
    expected = row.reference(predictions, targets)
    assert found["none"].shape == expected.shape
    for actual, wanted in ((found["none"], expected), (found["sum"], expected.sum()), (found["mean"], expected.mean())):
        np.testing.assert_allclose(actual, wanted, rtol=limit, atol=limit * max(1.0, np.abs(expected).max()))


@every
def test_values_are_those_of_the_reference(row, rng):
    given = row.sample(rng)
    found = compiled(row).everything(*given)
    assert_near(found, row, *given, 1e-9 if found["none"].dtype == "float64" else 3e-5)  # what only counts is float32 always


@slowly
def test_values_in_single_precision(row, rng):
    given = row.sample(rng)
    found = {**compiled(row).totals(*floats(given)), "none": row.loss(*floats(given), reduction="none")}
    assert_near(found, row, *given, 3e-5)


@smooth
def test_gradient_is_that_of_finite_differences(row, rng):
    predictions, targets = row.sample(rng)
    direction = jax.tree.map(lambda x: rng.normal(size=x.shape), predictions)
    moved = lambda amount: jax.tree.map(lambda x, d: x + amount * d, predictions, direction)
    here, ahead, behind = (compiled(row).everything(moved(step), targets, ALL, ALL, direction) for step in (0, 1e-6, -1e-6))
    along = sum(np.vdot(g, d) for g, d in zip(jax.tree.leaves(here["gradient"]), jax.tree.leaves(direction)))
    difference = (float(ahead["mean"]) - float(behind["mean"])) / 2e-6
    np.testing.assert_allclose([here["slope"], along], [difference] * 2, rtol=1e-6, atol=1e-7)


@alone
def test_where_and_weights_count_samples(row, rng):
    """What counts and how often decides the totals, and samples that don't count have no influence."""
    predictions, targets = row.sample(rng)
    found = compiled(row).everything(predictions, targets, WHERE, COUNTS)
    mix = lambda a, b: np.where(each(WHERE, a), a, b)
    others = jax.tree.map(mix, (predictions, targets), row.sample(rng))
    assert_close(compiled(row).everything(*others, WHERE, COUNTS)["where"], found["where"])
    values = np.asarray(found["none"], np.float64)
    for name, share in (("where", WHERE), ("weights", COUNTS)):
        total = (values * each(share, values)).sum()
        mean = total / (share.sum() * values[0].size)
        np.testing.assert_allclose([found[name]["mean"], found[name]["sum"]], [mean, total], rtol=1e-6)


@crowded
def test_where_is_slicing(row, rng):
    given = row.sample(rng)
    found = compiled(row).everything(*given, WHERE)["where"]
    assert_close(floats(found), compiled(row).totals(*floats(at(given, WHERE))), scale=3.0)


@every
def test_nothing_counts_as_0(row, rng):
    predictions, targets = row.sample(rng)
    for where, counts in ((NONE, ALL), (ALL, NONE)):
        found = compiled(row).everything(predictions, targets, where, counts)
        assert found["where" if counts.any() else "weights"] == {"mean": 0, "sum": 0}
        assert all((g == 0).all() for g in jax.tree.leaves(found.get("gradient", {})))


@every
def test_half_precision_is_widened(row, rng):
    predictions, targets = floats(row.sample(rng))
    value = jax.eval_shape(row.loss, floats(predictions, jnp.bfloat16), targets)
    assert value.dtype == jnp.float32 and value.shape == () and not value.weak_type


@slowly
def test_half_precision_costs_only_that_of_inputs(row, rng):
    predictions, targets = floats(row.sample(rng))
    half = floats(predictions, jnp.bfloat16)
    assert_close(compiled(row).totals(half, targets), compiled(row).totals(floats(half), targets))


@slowly
def test_compiled_equals_eager(row, rng):
    given = floats(row.sample(rng))
    assert_close(compiled(row).totals(*given)["mean"], row.loss(*given))


@slowly
def test_mapped_equals_a_loop(row, rng):
    several = [floats(row.sample(rng)) for _ in range(2)]
    mapped = jax.jit(jax.vmap(row.loss))(*jax.tree.map(lambda *a: np.stack(a), *several))
    assert_close(mapped, np.stack([compiled(row).totals(*one)["mean"] for one in several]), scale=3.0)


@smooth
def test_extreme_inputs_give_finite_numbers(row):
    for predictions, targets in row.extremes:
        found = compiled(row).gradient(*floats((predictions, targets)))
        assert all(np.isfinite(x).all() for x in jax.tree.leaves(found)), (predictions, targets)


@every
def test_bad_input(row):
    for arguments, message in row.wrong:
        with pytest.raises((ValueError, TypeError), match=message):
            row.loss(*floats(arguments))
    predictions, targets = floats(row.sample(np.random.default_rng(0)))
    with pytest.raises(ValueError, match="reduction must be"):
        jax.eval_shape(functools.partial(row.loss, reduction="avg"), predictions, targets)
    with pytest.raises(ValueError, match="where must have"):
        jax.eval_shape(row.loss, predictions, targets, where=jax.ShapeDtypeStruct((5,), bool))
