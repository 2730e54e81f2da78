"""Capsules against loops in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tolerances import assert_close

from jdl import functional, losses
from jdl import layers as L


def squashed(x):
    length = np.sqrt((x**2).sum(-1, keepdims=True))
    return x * length / (1 + length**2)


def routed(votes, routings):
    """The paper's procedure, a part at a time."""
    parts, count, _ = votes.shape
    logits = np.zeros((parts, count))
    for _ in range(routings):
        shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        v = squashed(np.stack([sum(shares[p, c] * votes[p, c] for p in range(parts)) for c in range(count)]))
        logits = logits + np.array([[votes[p, c] @ v[c] for c in range(count)] for p in range(parts)])
    return v


@pytest.mark.parametrize("routings", [1, 2, 3])
def test_a_layer_is_the_procedure(routings, rng, key):
    layer, x = L.capsules(3, 4, routings=routings), rng.normal(size=(2, 5, 6)).astype("float32")
    params, state = layer.init(key, x)
    params = {"kernel": rng.normal(size=params["kernel"].shape).astype("float32")}
    y, _ = jax.jit(layer.apply)(params, state, x)
    votes = np.einsum("bpi,picw->bpcw", x.astype("float64"), params["kernel"])
    assert_close(y, np.stack([routed(one, routings) for one in votes]).astype("float32"))


def test_routing_goes_where_votes_agree(rng):
    """All parts point one way for the first capsule, and anywhere for the second, which takes part of their votes at first."""
    votes = rng.normal(size=(1, 20, 2, 4)).astype("float32")
    votes[:, :, 0] = [1, 0, 0, 0]
    lengths = lambda routings: np.linalg.norm(functional.dynamic_routing(votes, routings=routings), axis=-1)[0]
    assert lengths(3)[0] > lengths(1)[0]


def test_squash(rng):
    x = rng.normal(size=(3, 4, 2))
    assert_close(functional.squash(x.astype("float32")), squashed(x).astype("float32"))
    assert_close(functional.squash(x.swapaxes(1, 2).astype("float32"), axis=1), squashed(x).swapaxes(1, 2).astype("float32"))
    huge, tiny = np.float32([[3e30, 4e30]]), np.float32([[3e-30, 4e-30]])
    assert_close(functional.squash(huge), np.float32([[0.6, 0.8]]))
    for extreme in (huge, tiny, 0 * tiny):
        assert np.isfinite(jax.jacobian(functional.squash)(extreme)).all()
    y = functional.squash(jnp.full((1, 8), 30, "float16"))
    assert y.dtype == "float16" and abs(np.linalg.norm(y) - 1) < 1e-2


def test_kernels_have_a_matrix_for_every_part(key):
    """Whose variance is that of its own fan-in."""
    params, _ = L.capsules(40, 20).init(key, jnp.ones((1, 6, 50)))
    variances = params["kernel"].var((1, 2, 3))
    assert params["kernel"].shape == (6, 50, 40, 20)
    np.testing.assert_allclose(variances, np.full(6, 1 / 50), rtol=0.05)


def test_several_classes_may_be_there():
    lengths = jnp.array([[0.95, 0.5, 0.3, 0.0]])
    found = losses.capsule_margin(lengths, jnp.array([[1.0, 1.0, 0.0, 0.0]]), reduction="none")
    assert_close(found, np.float32([0.4**2 + 0.5 * 0.2**2]))


@pytest.mark.parametrize("call, error, message", [
    (lambda: functional.squash(jnp.ones(3), axis=1), ValueError, "squash: axis must be one of x, got 1 for float32"),
    (lambda: functional.squash(jnp.ones(3, int)), TypeError, "squash: x must be"),
    (lambda: functional.dynamic_routing(jnp.ones((2, 3, 4))), ValueError, r"votes must be \(batch, parts, capsules, width\)"),
    (lambda: losses.capsule_margin(jnp.ones((2, 3)), jnp.array([0, 1]), present=1.5), ValueError, "present must be"),
])  # fmt: skip
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()
