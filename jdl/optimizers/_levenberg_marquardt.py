"""Non-linear least squares."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from jdl.functional import _check
from jdl.functional._flat import flat
from jdl.functional._numbers import divisor
from jdl.optimizers._search import along


class LevenbergMarquardtState(NamedTuple):
    """What one step of `levenberg_marquardt` leaves to the next.

    Attributes:
      damping: of the next step.
      growth: what damping is multiplied by if that step is refused.
    """

    damping: jax.Array
    growth: jax.Array


def levenberg_marquardt(
    residuals: Callable[[Any], Any], *, damping: float | jax.Array = 1e-3
) -> optax.GradientTransformationExtraArgs:
    """Minimises a sum of squares `sum r(params)^2` by steps `p` of `(J^T J + damping D) p = -J^T r`.

    `J` is the Jacobian of the residuals `r`, `D` the diagonal of `J^T J`. A step that doesn't lower the sum is refused (the update
    is 0) and damping grows; one that lowers it as the linear model says makes damping smaller. For small problems: it computes
    the whole Jacobian, and solves by a QR decomposition.

    Args:
      residuals: `params -> residuals`, a tree of arrays. Gradient and value that `update` is given are not looked at; they
        should be those of the sum of squares or a multiple of it.
      damping: of the first step, above 0; may be traced.

    Returns:
      An Optax transformation; its updates are to be added to params as they are.

    Raises:
      ValueError: if `damping` is a negative number.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import optimizers
      >>> x = jnp.linspace(0.0, 1.0, 9)
      >>> residuals = lambda w: w["scale"] * jnp.exp(w["rate"] * x) - 3 * jnp.exp(-2 * x)
      >>> optimizer, start = optimizers.levenberg_marquardt(residuals), {"scale": 1.0, "rate": 0.0}
      >>> found = optimizers.minimize(lambda w: (residuals(w) ** 2).sum(), optimizer, start, steps=30, tolerance=1e-4)
      >>> found.params["rate"].round(2).item(), found.params["scale"].round(2).item()
      (-2.0, 3.0)

    Source: Marquardt, "An Algorithm for Least-Squares Estimation of Nonlinear Parameters", https://doi.org/10.1137/0111030; the
    rule for damping, Madsen, Nielsen and Tingleff, "Methods for Non-Linear Least Squares Problems",
    https://www2.imm.dtu.dk/pubdb/edoc/imm3215.pdf.
    """
    _check.within("levenberg_marquardt", 0, float("inf"), damping=damping)

    def init(params: Any) -> LevenbergMarquardtState:
        dtype = flat(params)[0].dtype
        return LevenbergMarquardtState(jnp.asarray(damping, dtype), jnp.asarray(2, dtype))

    def update(gradient: Any, state: LevenbergMarquardtState, params: Any = None, **extra: Any):
        del extra
        vector, at = flat(params)
        of = lambda vector: flat(residuals(at(vector)))[0]
        errors, jacobian = of(vector), jax.jacfwd(of)(vector)
        scale = jnp.linalg.norm(jacobian, axis=0)
        scale = divisor(scale)
        ridge = jnp.sqrt(state.damping).astype(vector.dtype) * jnp.diag(scale)
        q, r = jnp.linalg.qr(jnp.concatenate([jacobian, ridge]))
        step = -jax.scipy.linalg.solve_triangular(r, errors @ q[: errors.size])
        promised = (errors**2).sum() - ((errors + jacobian @ step) ** 2).sum()
        gain = ((errors**2).sum() - (of(vector + step) ** 2).sum()) / jnp.where(promised > 0, promised, 1)
        taken = (gain > 0) & (promised > 0)
        less = jnp.maximum(1 / 3, 1 - (2 * gain - 1) ** 3)
        grown = LevenbergMarquardtState(state.damping * state.growth, 2 * state.growth)
        eased = LevenbergMarquardtState(state.damping * less, jnp.full_like(state.growth, 2))
        state = jax.tree.map(lambda yes, no: jnp.where(taken, yes, no).astype(no.dtype), eased, grown)
        return flat(gradient)[1](jnp.where(taken, step, 0)), state

    return along(init, update)
