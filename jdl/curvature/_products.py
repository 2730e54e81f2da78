"""Products of curvature matrices with vectors, for about the price of two gradients and without the matrix."""

from collections.abc import Callable
from typing import Any

import jax


def hessian_vector_product(function: Callable[[Any], jax.Array], params: Any, tangent: Any) -> Any:
    """The Hessian of a function times a vector, `H v`, by forward over reverse differentiation.

    Args:
      function: `params -> scalar`.
      params: a tree of arrays, where the Hessian is taken.
      tangent: the vector, a tree like `params`.

    Returns:
      A tree like `params`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import curvature
      >>> cube = lambda params: (params["w"] ** 3).sum()
      >>> curvature.hessian_vector_product(cube, {"w": jnp.array([1.0, 2.0])}, {"w": jnp.array([1.0, 10.0])})["w"].tolist()
      [6.0, 120.0]

    Source: Pearlmutter, "Fast Exact Multiplication by the Hessian", https://doi.org/10.1162/neco.1994.6.1.147.
    """
    return jax.jvp(jax.grad(function), (params,), (tangent,))[1]


def gauss_newton_vector_product(predict: Callable[[Any], Any], loss: Callable[[Any], jax.Array], params: Any, tangent: Any) -> Any:
    """The generalised Gauss-Newton matrix times a vector, `J^T H J v`: `J` is of the predictions, `H` the loss's Hessian in them.

    It is the Hessian of `loss(predict(params))` without the curvature of the model itself, so it is positive semi-definite wherever
    the loss is convex in the predictions.

    Args:
      predict: `params -> predictions`, a tree of arrays.
      loss: `predictions -> scalar`.
      params: a tree of arrays.
      tangent: the vector, a tree like `params`.

    Returns:
      A tree like `params`.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import curvature
      >>> predict, loss = lambda w: w**2, lambda predictions: ((predictions - 1.0) ** 2).sum() / 2
      >>> curvature.gauss_newton_vector_product(predict, loss, jnp.array([3.0]), jnp.array([1.0])).tolist()
      [36.0]

    Source: Schraudolph, "Fast Curvature Matrix-Vector Products for Second-Order Gradient Descent",
    https://doi.org/10.1162/08997660260028683.
    """
    predictions, moved = jax.jvp(predict, (params,), (tangent,))
    return jax.vjp(predict, params)[1](hessian_vector_product(loss, predictions, moved))[0]


def fisher_vector_product(
    predict: Callable[[Any], Any], divergence: Callable[[Any, Any], jax.Array], params: Any, tangent: Any
) -> Any:
    """The Fisher information matrix of a predictive distribution times a vector, `J^T F J v`.

    The Fisher matrix `F` in the predictions is the Hessian of the Kullback-Leibler divergence to a second distribution, at the
    second equal to the first; it depends on no targets. For a loss that is the negative log-likelihood of an exponential family in
    its natural parameters (cross-entropy of logits, squared error) this is the Gauss-Newton matrix.

    Args:
      predict: `params -> predictions`, the distributions' parameters, such as logits.
      divergence: `(predictions, others) -> scalar`, the Kullback-Leibler divergence from the first to the second, summed or
        averaged over samples as the loss is.
      params: a tree of arrays.
      tangent: the vector, a tree like `params`.

    Returns:
      A tree like `params`.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import curvature
      >>> def divergence(logits, others):
      ...     difference = jax.nn.log_softmax(logits) - jax.nn.log_softmax(others)
      ...     return (jax.nn.softmax(logits) * difference).sum()
      >>> logits, tangent = jnp.zeros(2), jnp.array([1.0, 0.0])
      >>> curvature.fisher_vector_product(lambda logits: logits, divergence, logits, tangent).tolist()
      [0.25, -0.25]

    Source: Martens, "New Insights and Perspectives on the Natural Gradient Method", https://arxiv.org/abs/1412.1193.
    """
    predictions = jax.lax.stop_gradient(predict(params))
    return gauss_newton_vector_product(predict, lambda others: divergence(predictions, others), params, tangent)
