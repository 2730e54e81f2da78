"""What every loss promises, whatever it computes: each property is one test over the table of losses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from loss_rows._row import Row
from loss_table import LOSSES
from tolerances import assert_close

every = pytest.mark.parametrize("row", LOSSES, ids=[row.name for row in LOSSES])
smooth = pytest.mark.parametrize("row", [row for row in LOSSES if row.smooth], ids=[row.name for row in LOSSES if row.smooth])
WHERE = np.array([True, False, True, True, False, False])
COUNTS = np.array([1, 0, 2, 3, 1, 0])


def at(tree, index):
    return jax.tree.map(lambda a: a[index], tree)


def value_and_gradient(row: Row, predictions, targets, **named):
    """Of the mean, for all floating-point predictions."""
    return jax.jit(jax.value_and_grad(lambda predictions: row.loss(predictions, targets, **named)))(predictions)


def test_names_are_unique():
    assert len({row.name for row in LOSSES}) == len(LOSSES)


@every
@pytest.mark.parametrize("dtype, limit", [("float32", 3e-5), ("float64", 1e-9)], ids=["float32", "float64"])
def test_values_are_those_of_the_reference(row, rng, dtype, limit):
    with jax.enable_x64(dtype == "float64"):
        predictions, targets = row.sample(rng, dtype)
        values = row.loss(predictions, targets, reduction="none")
        total, mean = (row.loss(predictions, targets, reduction=reduction) for reduction in ("sum", "mean"))
    wide = jax.tree.map(lambda x: np.asarray(x, np.float64) if x.dtype.kind == "f" else np.asarray(x), (predictions, targets))
    expected = row.reference(*wide)
    assert values.shape == expected.shape
    limit = limit if values.dtype == dtype else 3e-5  # what only counts is float32 always
    for actual, wanted in ((values, expected), (total, expected.sum()), (mean, expected.mean())):
        np.testing.assert_allclose(actual, wanted, rtol=limit, atol=limit * max(1.0, np.abs(expected).max()))


@smooth
def test_gradient_is_that_of_finite_differences(row, rng):
    with jax.enable_x64(True):
        predictions, targets = row.sample(rng, "float64")
        mean = jax.jit(lambda predictions: row.loss(predictions, targets))
        direction = jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape)), predictions)
        moved = lambda amount: jax.tree.map(lambda x, d: x + amount * d, predictions, direction)
        _, slope = jax.jit(lambda p, d: jax.jvp(mean, (p,), (d,)))(predictions, direction)
        gradient = jax.jit(jax.grad(mean))(predictions)
        along = sum(jnp.vdot(g, d) for g, d in zip(jax.tree.leaves(gradient), jax.tree.leaves(direction)))
        differences = (mean(moved(1e-6)) - mean(moved(-1e-6))) / 2e-6
    np.testing.assert_allclose([slope, along], [differences] * 2, rtol=1e-6, atol=1e-7)


@every
def test_compiled_mapped_and_in_half_precision(row, rng):
    predictions, targets = row.sample(rng)
    eager = row.loss(predictions, targets)
    assert_close(jax.jit(row.loss)(predictions, targets), eager)
    several = [row.sample(rng) for _ in range(2)]
    mapped = jax.jit(jax.vmap(row.loss))(*jax.tree.map(lambda *a: jnp.stack(a), *several))
    assert_close(mapped, jnp.stack([row.loss(*one) for one in several]), scale=3.0)
    half = jax.tree.map(lambda x: x.astype(jnp.bfloat16) if x.dtype.kind == "f" else x, predictions)
    value = row.loss(half, targets)
    again = row.loss(jax.tree.map(lambda x: x.astype(jnp.float32) if x.dtype == jnp.bfloat16 else x, half), targets)
    assert value.dtype == jnp.float32
    assert_close(value, again)


@every
def test_where_is_slicing(row, rng):
    predictions, targets = row.sample(rng)
    for reduction in ("mean", "sum"):
        sliced = row.loss(at(predictions, WHERE), at(targets, WHERE), reduction=reduction)
        assert_close(row.loss(predictions, targets, where=jnp.asarray(WHERE), reduction=reduction), sliced, scale=3.0)


@pytest.mark.parametrize("row", [row for row in LOSSES if row.alone], ids=[row.name for row in LOSSES if row.alone])
def test_weights_are_repetition(row, rng):
    predictions, targets = row.sample(rng)
    repeated = jax.tree.map(lambda a: jnp.repeat(a, COUNTS, 0), (predictions, targets))
    for reduction in ("mean", "sum"):
        weighted = row.loss(predictions, targets, weights=jnp.asarray(COUNTS), reduction=reduction)
        assert_close(weighted, row.loss(*repeated, reduction=reduction), scale=3.0)


@every
def test_nothing_counts_as_0(row, rng):
    predictions, targets = row.sample(rng)
    spoilt = jax.tree.map(lambda x: jnp.full_like(x, jnp.nan) if x.dtype.kind == "f" else x, predictions)
    nothing = jnp.zeros(WHERE.shape)
    for named in ({"where": nothing.astype(bool)}, {"weights": nothing}):
        assert row.loss(predictions, targets, **named) == 0
        if row.smooth:
            _, gradient = value_and_gradient(row, predictions, targets, **named)
            assert all((g == 0).all() for g in jax.tree.leaves(gradient))
    if row.alone:
        assert row.loss(spoilt, targets, where=nothing.astype(bool)) == 0


@smooth
def test_extreme_inputs_give_finite_numbers(row):
    for predictions, targets in row.extremes:
        value, gradient = value_and_gradient(row, predictions, targets)
        assert jnp.isfinite(value) and all(jnp.isfinite(g).all() for g in jax.tree.leaves(gradient)), (predictions, targets)


@every
def test_bad_input(row):
    for arguments, message in row.wrong:
        with pytest.raises((ValueError, TypeError), match=message):
            row.loss(*arguments)
    predictions, targets = row.sample(np.random.default_rng(0))
    with pytest.raises(ValueError, match="reduction must be"):
        row.loss(predictions, targets, reduction="avg")
    with pytest.raises(ValueError, match="where must have"):
        row.loss(predictions, targets, where=jnp.ones(5, bool))
