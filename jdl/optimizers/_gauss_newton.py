"""Steps with a curvature that is never negative: Gauss-Newton, and the natural gradient."""

from collections.abc import Callable
from typing import Any

import jax
import optax
from jax.scipy.sparse.linalg import cg

from jdl.curvature import fisher_vector_product, gauss_newton_vector_product
from jdl.functional import _check
from jdl.functional._numbers import widen
from jdl.optimizers._search import BACKTRACKING, along, nothing


def gauss_newton(
    predict: Callable[[Any], Any],
    loss: Callable[[Any], jax.Array],
    *,
    damping: float | jax.Array = 1e-3,
    iterations: int = 50,
    tolerance: float | jax.Array = 1e-4,
    linesearch: optax.GradientTransformationExtraArgs | None = BACKTRACKING,
) -> optax.GradientTransformationExtraArgs:
    """Steps of `-(J^T H J + damping)^-1 g` with the generalised Gauss-Newton matrix, see `curvature.gauss_newton_vector_product`.

    The matrix can't be had from the loss's value alone, so model and loss come apart, as functions that hold their data. A step
    on other data is that of an optimizer made with other functions: these are not in its state, and making it costs nothing.

    Args:
      predict: `params -> predictions`, on the data of this step.
      loss: `predictions -> scalar`, convex.
      damping: added to the matrix's diagonal, at least 0; may be traced.
      iterations: most products in one step, for the solution by conjugate gradients.
      tolerance: of the residual relative to the gradient, in [0, 1]; may be traced.
      linesearch: scales the direction; by default backtracking from 1, halving. None takes the whole direction.

    Returns:
      An Optax transformation; its updates are to be added to params as they are.

    Raises:
      ValueError: if a number is out of range.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses, optimizers
      >>> x, y = jnp.linspace(0.0, 1.0, 9), jnp.exp(-2 * jnp.linspace(0.0, 1.0, 9))
      >>> predict, loss = lambda rate: jnp.exp(-rate * x), lambda predictions: losses.mean_squared_error(predictions, y)
      >>> optimizer = optimizers.gauss_newton(predict, loss, damping=0.0)
      >>> found = optimizers.minimize(lambda rate: loss(predict(rate)), optimizer, 0.5, steps=20)
      >>> found.params.round(2).item()
      2.0

    Source: Martens, "Deep learning via Hessian-free optimization", https://www.cs.toronto.edu/~jmartens/docs/Deep_HessianFree.pdf.
    """
    product = lambda params, v: gauss_newton_vector_product(predict, loss, params, v)
    return _preconditioned("gauss_newton", product, damping, iterations, tolerance, linesearch)


def natural_gradient(
    predict: Callable[[Any], Any],
    divergence: Callable[[Any, Any], jax.Array],
    *,
    damping: float | jax.Array = 1e-3,
    iterations: int = 50,
    tolerance: float | jax.Array = 1e-4,
    linesearch: optax.GradientTransformationExtraArgs | None = BACKTRACKING,
) -> optax.GradientTransformationExtraArgs:
    """Steps of `-(F + damping)^-1 g` with the Fisher information `F` of the predictive distribution.

    `curvature.fisher_vector_product` says what it is. The step is that of steepest descent where distance is the change of what is
    predicted, whatever the parameters are. As in `gauss_newton`, the functions hold their data.

    Args:
      predict: `params -> predictions`, the distributions' parameters, such as logits, on the data of this step.
      divergence: `(predictions, others) -> scalar`, the Kullback-Leibler divergence from the first to the second, summed or
        averaged over samples as the loss is.
      damping: added to the matrix's diagonal, at least 0; may be traced.
      iterations: most products in one step, for the solution by conjugate gradients.
      tolerance: of the residual relative to the gradient, in [0, 1]; may be traced.
      linesearch: scales the direction; by default backtracking from 1, halving. None takes the whole direction; chained with
        `optax.scale(0.1)`, a tenth of it.

    Returns:
      An Optax transformation; its updates are to be added to params as they are.

    Raises:
      ValueError: if a number is out of range.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import losses, optimizers
      >>> x, labels = jnp.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]]), jnp.array([0, 1, 1])
      >>> predict = lambda kernel: x @ kernel
      >>> def divergence(logits, others):
      ...     return losses.cross_entropy(others, jax.nn.softmax(logits)) - losses.cross_entropy(logits, jax.nn.softmax(logits))
      >>> loss = lambda kernel: losses.cross_entropy(predict(kernel), labels) + 0.01 * (kernel**2).sum()
      >>> optimizer = optimizers.natural_gradient(predict, divergence, damping=0.02)
      >>> optimizers.minimize(loss, optimizer, jnp.zeros((2, 2)), steps=30, tolerance=1e-4).converged.item()
      True

    Source: Amari, "Natural Gradient Works Efficiently in Learning", https://doi.org/10.1162/089976698300017746.
    """
    product = lambda params, v: fisher_vector_product(predict, divergence, params, v)
    return _preconditioned("natural_gradient", product, damping, iterations, tolerance, linesearch)


def _preconditioned(
    name: str,
    product: Callable[[Any, Any], Any],
    damping: float | jax.Array,
    iterations: int,
    tolerance: float | jax.Array,
    linesearch: optax.GradientTransformationExtraArgs | None,
) -> optax.GradientTransformationExtraArgs:
    """Minus the solution of `(product + damping) p = gradient`, as far as the line search says."""
    _check.within(name, 0, float("inf"), damping=damping)
    _check.within(name, 0, 1, tolerance=tolerance)
    _check.positive(name, iterations=iterations)

    def update(gradient: Any, state: optax.EmptyState, params: Any = None, **extra: Any):
        del extra

        def damped(v: Any) -> Any:
            curved = jax.tree.map(widen, product(params, optax.tree.cast_like(v, params)))
            return optax.tree.add_scale(curved, damping, v)

        limit: Any = tolerance  # may be traced, which the annotation of cg leaves out
        solution, _ = cg(damped, jax.tree.map(widen, gradient), tol=limit, maxiter=iterations)
        return optax.tree.cast_like(optax.tree.scale(-1, solution), gradient), state

    return along(nothing, update, linesearch)
