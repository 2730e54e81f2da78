"""Differential equations against closed forms and SciPy: orders, tolerances, gradients, members with steps of their own."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
from jax.sharding import AxisType
from jax.sharding import PartitionSpec as P
from tolerances import assert_close, assert_equal

from jdl import debug, functional
from jdl import layers as L
from jdl.layer import Layer

ORDERS = {"euler": 1, "midpoint": 2, "heun": 2, "rk4": 4, "dormand_prince": 5}


def spiral(y, t):
    """Of `y = y0 exp((0.3 + i) (t - cos(t)))`, up to what `y0` is."""
    return jax.tree.map(lambda y: (0.3 + 1j) * (1 + jnp.sin(t)) * y, y)


@pytest.mark.parametrize("times", [(0.3, 1.1, 2.0), (2.0, 0.5, 1.2)], ids=["ahead", "back_and_ahead"])
@pytest.mark.parametrize("method", ORDERS)
def test_order_of_convergence(rng, method, times):
    way = np.array(times) - np.cos(times)
    with jax.enable_x64(True):
        start = {"a": jnp.asarray(rng.uniform(0.5, 2, (2, 3)) + 0j), "b": jnp.asarray(rng.uniform(0.5, 2) + 0j)}
        right = jax.tree.map(lambda y: np.multiply.outer(np.exp((0.3 + 1j) * (way - way[0])), y), start)
        errors = []
        for steps in (32, 64):
            found = jax.jit(lambda y, steps=steps: functional.odeint(spiral, y, times, method=method, steps=steps))(start)
            errors.append(max(jax.tree.leaves(jax.tree.map(lambda a, b: np.abs(a - b).max(), found, right))))
    assert abs(np.log2(errors[0] / errors[1]) - ORDERS[method]) < 0.3


def hunt(y, t, rates):
    prey, hunters = y
    return jnp.stack([prey * (rates[0] - rates[1] * hunters), hunters * (rates[2] * jnp.sin(t) ** 2 + prey * rates[3] - 1)])


def test_adaptive_steps_are_as_accurate_as_scipy():
    times, start, rates = np.array([0.0, 0.1, 2.5, 4.0]), np.array([1.1, 0.9]), np.array([0.6, 0.8, 0.7, 0.9])
    with jax.enable_x64(True):
        field = lambda y, t: hunt(y, t, rates)
        solve = jax.jit(functools.partial(functional.adaptive_odeint, field), static_argnames="max_steps")
        for ahead in (times, -times):
            again = scipy.integrate.solve_ivp(
                lambda t, y: np.asarray(field(y, t)), ahead[[0, -1]], start, "DOP853", ahead, rtol=1e-12, atol=1e-12
            )
            taken = []
            for tolerance in (1e-4, 1e-9):
                found, steps = solve(start, ahead, rtol=tolerance, atol=tolerance, max_steps=200)
                np.testing.assert_allclose(found, again.y.T, rtol=100 * tolerance)
                assert steps[0] == 0 and (np.diff(steps) > 0).all()
                taken.append(steps[-1])
            assert taken[0] < taken[1] / 3


def test_derivatives_are_those_of_the_closed_form(rng):
    """In reverse, in forward, and twice, to all that it depends on: `y = y0 exp(-rate (t - t0))`."""
    times, y0, rate = np.array([0.2, 1.0, -0.5]), rng.uniform(0.5, 2, 3), rng.uniform(0.5, 2, 3)

    def right(y0, rate, times):
        return jnp.expand_dims(y0, 0) * jnp.exp(-jnp.outer(times - times[0], rate))

    def fixed(y0, rate, times):
        return functional.odeint(lambda y, t: -rate * y, y0, times, method="dormand_prince", steps=100)

    def adaptive(y0, rate, times):
        return functional.adaptive_odeint(lambda y, t: -rate * y, y0, times, rtol=1e-11, atol=1e-13, max_steps=300)[0]

    def derivatives(function):
        scalar = lambda *given: jnp.sin(function(*given)).sum()
        ahead, back = jax.jacfwd(function, (0, 1, 2)), jax.jacrev(function, (0, 1, 2))
        return jax.jit(lambda *given: (ahead(*given), back(*given), jax.hessian(scalar, (0, 1, 2))(*given)))(y0, rate, times)

    with jax.enable_x64(True):
        for function in (fixed, adaptive):
            assert_close(derivatives(function), derivatives(right))


def brake(y, t, rate):
    """Nothing for long, and then `y' = -rate y^9`; a step that doesn't expect it overflows."""
    return -rate * jax.nn.sigmoid(t - 5000) * y**9


def test_members_take_steps_of_their_own():
    """Some have steps refused, which overflow, one never gets to the end; none changes another's values or gradients."""
    rates, times = np.array([1.0, 0.0, 3e-3, -1.0]), (0.0, 3000.0, 8000.0)

    def solve(rate, y0):
        y, steps = functional.adaptive_odeint(lambda y, t: brake(y, t, rate), y0, times, rtol=1e-7, atol=1e-9, max_steps=300)
        return y[-1], (y, steps)

    with jax.enable_x64(True):
        both, y0 = jax.value_and_grad(solve, argnums=1, has_aux=True), np.ones(4)
        mapped = jax.vmap(both)
        (_, (y, steps)), gradient = together = jax.jit(mapped)(rates, y0)
        alone = jax.jit(both)
        for i, rate in enumerate(rates):
            (_, found), back = alone(rate, 1.0)
            assert_close(((y[i], steps[i]), gradient[i]), (found, back))
        mesh = jax.make_mesh((4,), ("data",), axis_types=(AxisType.Auto,), devices=jax.devices()[:4])
        assert_close(jax.jit(jax.shard_map(mapped, mesh=mesh, in_specs=P("data"), out_specs=P("data")))(rates, y0), together)
    assert len(set(steps[:, 2].tolist())) == len(rates)
    right = (1 + 8 * rates[:3] * 3000) ** (-1 / 8)
    np.testing.assert_allclose(y[:3, 2], right, rtol=1e-4)
    np.testing.assert_allclose(gradient[:3], right**9, rtol=1e-4)
    np.testing.assert_array_equal(np.isnan(y), [[False] * 3] * 3 + [[False, False, True]])
    assert steps[3, 2] == 301


def test_a_time_that_is_not_reached_is_told():
    solve = lambda y: functional.adaptive_odeint(lambda y, t: y**2, y, (0.0, 0.5, 2.0))[0]
    layer = L.adaptive_neural_ode(lambda y, t: y**2, times=(0.0, 0.5, 2.0))
    y = jnp.array([0.1, 1.0])
    says = r"times must be reached in 64 steps, found 2.0 at index \[2\]"
    for told in (lambda: solve(y), lambda: debug.checked(jax.vmap(solve))(y), lambda: debug.checked(jax.grad(solve_last))(y)):
        with pytest.raises(ValueError, match=f"adaptive_odeint: {says}"):
            told()
    with pytest.raises(ValueError, match=f"adaptive_neural_ode: {says}"):
        debug.checked(lambda y: layer.apply({}, {}, y)[0])(y)
    assert_close(debug.checked(solve)(y / 4), jax.jit(solve)(y / 4))
    np.testing.assert_array_equal(jnp.isnan(jax.jit(solve)(y)).any(1), [False, False, True])


def solve_last(y):
    return functional.adaptive_odeint(lambda y, t: y**2, y, (0.0, 0.5, 2.0))[0][-1].sum()


def test_nothing_moves_where_the_field_or_the_way_is_zero():
    for field, times in ((lambda y, t: 0 * y, (0.0, 1.0)), (lambda y, t: y, (1.0, 1.0))):
        solve = lambda y, field=field, times=times: functional.adaptive_odeint(field, y, times)[0]
        for y in (jnp.zeros(2), jnp.ones(2)):
            assert_equal(solve(y), jnp.stack([y, y]))
            assert_equal(jax.jit(jax.jacrev(solve))(y), jnp.stack([jnp.eye(2), jnp.eye(2)]))


@pytest.mark.parametrize("solve, most", [
    (lambda field, y, steps: functional.odeint(field, y, (0.0, 1.0), steps=steps), 1),
    (lambda field, y, steps: functional.adaptive_odeint(field, y, (0.0, 1.0), max_steps=steps)[0], 2),  # and the outputs
], ids=["fixed", "adaptive"])  # fmt: skip
def test_the_backward_pass_keeps_no_more_than_states(solve, most):
    y, kernel = np.ones((64, 8), "float32"), np.ones((8, 8), "float32")

    def needs(steps):
        loss = lambda kernel: solve(lambda y, t: jnp.tanh(jnp.sin(y @ kernel) @ kernel), y, steps)[-1].sum()
        return jax.jit(jax.grad(loss)).lower(kernel).compile().memory_analysis().temp_size_in_bytes

    assert needs(110) - needs(10) < 1.1 * 100 * most * y.nbytes


def counting():
    def apply(params, state, y, t, gain=1.0, *, key=None, train=False):
        draw = jax.random.normal(key, y.shape) if train else 1.0
        return gain * draw * jnp.ones_like(y), {"calls": state["calls"] + 1}

    return Layer(lambda key, y, t, gain=1.0: ({}, {"calls": jnp.int32(0)}), apply)


def test_state_goes_from_call_to_call_and_one_call_is_one_field(key):
    y, fixed = jnp.zeros(3), [L.neural_ode(counting(), steps=steps, method="heun") for steps in (1, 4)]
    _, state = fixed[0].init(key, y)
    ends = [jax.jit(layer.apply, static_argnames="train")({}, state, y, key=key, train=True) for layer in fixed]
    assert_close(ends[0][0], ends[1][0])
    assert [new["calls"] for _, new in ends] == [2, 8]
    adaptive = L.adaptive_neural_ode(counting(), times=(0.0, 2.0), all_times=True)
    end, new = jax.jit(adaptive.apply, static_argnames="train")({}, state, y, 3.0, key=key, train=True)
    assert_close(end, jnp.stack([y, 6 * ends[0][0]]))
    assert new["calls"] % 6 == 0 and new["calls"] > 0
    assert_close(adaptive.apply({}, state, y, times=(0.0, 1.0, 0.5))[0], jnp.outer(jnp.array([0, 1, 0.5]), jnp.ones(3)))


def test_times_may_be_mapped():
    layer = L.neural_ode(lambda y, t: {"y": -y["y"]}, method="dormand_prince")
    ends = jnp.array([0.5, 1.0, -1.0])
    found = jax.jit(jax.vmap(lambda end: layer.apply({}, {}, {"y": jnp.ones(2)}, times=(0.0, end))[0]["y"]))(ends)
    assert_close(found, jnp.outer(jnp.exp(-ends), jnp.ones(2)))


Y = jnp.ones(2)


@pytest.mark.parametrize("call, error, message", [
    (lambda: functional.odeint(lambda y, t: y, Y, 1.0), ValueError, r"odeint: times must be two or more real .* got 1.0"),
    (lambda: functional.adaptive_odeint(jnp.add, Y, jnp.ones((2, 2))), ValueError, r"\(times,\), got float32\[2, 2\]"),
    (lambda: functional.odeint(lambda y, t: y[0], Y, (0.0, 1.0)), ValueError, r"must give float32\[2\], as y is, got float32\[\]"),
    (lambda: functional.adaptive_odeint(lambda y, t: (y, y), Y, (0, 1)), ValueError, r"as y is, got \(float32\[2\], float"),
    (lambda: functional.odeint(jnp.add, jnp.ones(2, int), (0, 1)), TypeError, "odeint: y0 must be a floating-point array"),
    (lambda: functional.odeint(jnp.add, Y, (0, 1), method="rk5"), ValueError, "odeint: method must be euler, .* got 'rk5'"),
    (lambda: L.neural_ode(3), TypeError, "neural_ode: field must be a Layer or a function"),
])  # fmt: skip
def test_wrong_arguments_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()
