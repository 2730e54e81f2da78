"""Negative log-likelihoods of real values: the network says a distribution, and the loss how unlikely the target was."""

import math
from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional import _check
from jdl.functional._reduce import Reduction, reduce
from jdl.losses._arguments import FLOOR, align, at_least, floating, outputs
from jdl.losses._gamma_ratio import log1p_ratio, log_gamma_ratio


def gaussian_nll(
    predictions: tuple[jax.Array, jax.Array],
    targets: jax.Array,
    *,
    epsilon: float | jax.Array = 1e-6,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Negative log-likelihood of a Gaussian: `(log(2 pi variance) + (target - mean)^2 / variance) / 2`.

    Args:
      predictions: `(mean, variance)`, each of the shape of `targets`; floating point.
      targets: real values; nothing is broadcast.
      epsilon: variances that are smaller count as it, with the gradient of it; at least 0, may be traced.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` an array like `targets`; of float32 at least.

    Raises:
      TypeError: if predictions are not a tuple of two floating-point arrays.
      ValueError: if shapes differ, or `epsilon` is negative.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> f"{losses.gaussian_nll((jnp.zeros(2), jnp.array([1.0, 4.0])), jnp.array([1.0, 2.0])):.3f}"
      '1.766'

    Source: Nix and Weigend, "Estimating the mean and variance of the target probability distribution",
    https://doi.org/10.1109/ICNN.1994.374138.
    """
    _, values = _gaussian("gaussian_nll", predictions, targets, epsilon)
    return reduce("gaussian_nll", values, where, weights, reduction)


def beta_nll(
    predictions: tuple[jax.Array, jax.Array],
    targets: jax.Array,
    *,
    beta: float | jax.Array = 0.5,
    epsilon: float | jax.Array = 1e-6,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """The Gaussian negative log-likelihood times `variance^beta`, where that factor counts as a constant in gradients.

    With `gaussian_nll` a network may give up on samples by saying that they vary much, which makes their gradients small; this
    gives them back. With `beta` 0 it is `gaussian_nll`, with 1 the gradient of the mean is that of the squared error.

    Args:
      predictions: `(mean, variance)`, each of the shape of `targets`; floating point.
      targets: real values; nothing is broadcast.
      beta: in [0, 1]; may be traced.
      epsilon: variances that are smaller count as it, with the gradient of it; at least 0, may be traced.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` an array like `targets`; of float32 at least.

    Raises:
      TypeError: if predictions are not a tuple of two floating-point arrays.
      ValueError: if shapes differ, or a value is out of range.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> f"{losses.beta_nll((jnp.zeros(2), jnp.array([1.0, 4.0])), jnp.array([1.0, 2.0])):.3f}"
      '2.822'

    Source: Seitzer et al., "On the Pitfalls of Heteroscedastic Uncertainty Estimation with Probabilistic Neural Networks",
    https://arxiv.org/abs/2203.09168.
    """
    _check.within("beta_nll", 0, 1, beta=beta)
    variance, values = _gaussian("beta_nll", predictions, targets, epsilon)
    return reduce("beta_nll", jax.lax.stop_gradient(variance**beta) * values, where, weights, reduction)


def laplace_nll(
    predictions: tuple[jax.Array, jax.Array],
    targets: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Negative log-likelihood of a Laplace distribution: `log(2 scale) + |target - location| / scale`.

    Args:
      predictions: `(location, scale)`, each of the shape of `targets`; floating point. Scales below 1e-6 count as 1e-6, with the
        gradient of it.
      targets: real values; nothing is broadcast.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` an array like `targets`; of float32 at least.

    Raises:
      TypeError: if predictions are not a tuple of two floating-point arrays.
      ValueError: if shapes differ.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.laplace_nll((jnp.zeros(2), jnp.array([0.5, 0.5])), jnp.array([0.0, -1.0]), reduction="none").tolist()
      [0.0, 2.0]
    """
    (location, scale), targets = outputs("laplace_nll", ("location", "scale"), predictions, targets)
    scale = at_least(scale, FLOOR)
    return reduce("laplace_nll", jnp.log(2 * scale) + jnp.abs(targets - location) / scale, where, weights, reduction)


def student_t_nll(
    predictions: tuple[jax.Array, jax.Array, jax.Array],
    targets: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Negative log-likelihood of Student's t: a Gaussian whose heavy tails bear outliers, the better the fewer degrees of freedom.

    With `z = (target - location) / scale` and `n` degrees of freedom it is
    `log(scale) + log(n pi) / 2 + log(gamma(n / 2) / gamma((n + 1) / 2)) + (n + 1) / 2 log(1 + z^2 / n)`.

    Args:
      predictions: `(degrees_of_freedom, location, scale)`, each of the shape of `targets`; floating point. Degrees of freedom and
        scales below 1e-6 count as 1e-6, with the gradient of it.
      targets: real values; nothing is broadcast.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` an array like `targets`; of float32 at least.

    Raises:
      TypeError: if predictions are not a tuple of three floating-point arrays.
      ValueError: if shapes differ.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> f"{losses.student_t_nll((jnp.ones(1), jnp.zeros(1), jnp.ones(1)), jnp.ones(1)):.3f}"
      '1.838'
    """
    names = "degrees_of_freedom", "location", "scale"
    (degrees, location, scale), targets = outputs("student_t_nll", names, predictions, targets)
    degrees, scale = at_least(degrees, FLOOR), at_least(scale, FLOOR)
    square = jnp.square((targets - location) / scale)
    tail = 0.5 * (square * log1p_ratio(square / degrees) + jnp.log1p(square / degrees))
    constant = 0.5 * math.log(2 * math.pi) - log_gamma_ratio(jnp.full_like(degrees, 0.5), 2 / degrees)
    return reduce("student_t_nll", constant + jnp.log(scale) + tail, where, weights, reduction)


def mixture_density_nll(
    predictions: tuple[jax.Array, jax.Array, jax.Array],
    targets: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Negative log-likelihood of a mixture of Gaussians: `-log sum_k softmax(logits)_k N(target; means_k, exp(log_scales_k)^2)`.

    For targets that may lie at several places; features are independent given the component.

    Args:
      predictions: `(logits, means, log_scales)` of shapes (..., components), (..., components, features) and again
        (..., components, features); floating point. Scales below 1e-6 count as 1e-6, with the gradient of it.
      targets: (..., features); nothing is broadcast.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` one number for each vector of features; of float32 at least.

    Raises:
      TypeError: if predictions are not a tuple of three floating-point arrays.
      ValueError: if shapes don't fit.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> logits, means, log_scales = jnp.zeros((1, 2)), jnp.array([[[-5.0], [5.0]]]), jnp.zeros((1, 2, 1))
      >>> f"{losses.mixture_density_nll((logits, means, log_scales), jnp.array([[5.0]])):.3f}"
      '1.612'

    Source: Bishop, "Mixture Density Networks", https://publications.aston.ac.uk/id/eprint/373/.
    """
    name, names = "mixture_density_nll", ("logits", "means", "log_scales")
    arrays, targets = floating(name, names, predictions), _check.array(targets)
    shape = arrays["means"].shape
    wanted = {"logits": shape[:-1], "means": shape, "log_scales": shape, "targets": (*shape[:-2], *shape[-1:])}
    if len(shape) < 2 or {key: x.shape for key, x in (arrays | {"targets": targets}).items()} != wanted:
        takes = "logits (..., components), means and log_scales (..., components, features) and targets (..., features)"
        raise ValueError(f"{name}: takes {takes}, got {_check.describe(tuple(arrays.values()))} and {_check.describe(targets)}")
    (logits, means, log_scales), targets = align(*arrays.values(), targets=targets)
    log_scales = at_least(log_scales, math.log(FLOOR))
    z = (jnp.expand_dims(targets, -2) - means) * jnp.exp(-log_scales)
    each = -(0.5 * (jnp.square(z) + math.log(2 * math.pi)) + log_scales).sum(-1)
    return reduce(name, -jax.nn.logsumexp(jax.nn.log_softmax(logits) + each, -1), where, weights, reduction)


def _gaussian(name: str, predictions: tuple[jax.Array, jax.Array], targets: jax.Array, epsilon: Any) -> tuple[jax.Array, jax.Array]:
    """The variance that counts, and the negative log-likelihood of each target."""
    _check.within(name, 0, float("inf"), epsilon=epsilon)
    (mean, variance), targets = outputs(name, ("mean", "variance"), predictions, targets)
    variance = at_least(variance, jnp.asarray(epsilon, variance.dtype))
    return variance, 0.5 * (jnp.log(2 * math.pi * variance) + jnp.square(targets - mean) / variance)
