"""What counts as equal, by dtype and backend: the one place where tests get tolerances from."""

import jax
import jax.numpy as jnp
import numpy as np

_CPU = {"float64": 1e-7, "float32": 3e-5, "bfloat16": 4e-2, "float16": 4e-3}
_ACCELERATOR = _CPU | {"float32": 4e-3}  # products in TF32


def tolerance(dtype) -> float:
    """Relative to the largest entry of an array; 0 for integers."""
    return (_CPU if jax.default_backend() == "cpu" else _ACCELERATOR).get(jnp.dtype(dtype).name, 0.0)


def assert_close(actual, expected, scale=1.0):
    """Trees of one structure, with arrays of one shape and dtype, and values as close as their dtype allows, times `scale`."""
    assert jax.tree.structure(actual) == jax.tree.structure(expected)
    for (path, a), b in zip(jax.tree.leaves_with_path(actual), jax.tree.leaves(expected)):
        where = jax.tree_util.keystr(path)
        assert (a.shape, a.dtype) == (b.shape, b.dtype), where
        wide = np.complex128 if np.issubdtype(a.dtype, np.complexfloating) else np.float64
        a, b, limit = np.asarray(a, wide), np.asarray(b, wide), scale * tolerance(a.dtype)
        finite = np.abs(b[np.isfinite(b)])
        np.testing.assert_allclose(a, b, rtol=limit, atol=limit * max(1.0, finite.max(initial=0.0)), err_msg=where)


def assert_equal(actual, expected):
    """Like `assert_close`, to the bit."""
    assert_close(actual, expected, scale=0.0)
