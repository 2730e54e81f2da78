"""Negative log-likelihoods of counts and of positive amounts."""

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln, xlogy

from jdl.functional import _check
from jdl.functional._reduce import Reduction, reduce
from jdl.losses._arguments import FLOOR, at_least, not_negative, outputs, pair
from jdl.losses._gamma_ratio import log1p_ratio, log_gamma_ratio


def poisson_nll(
    log_rates: jax.Array,
    targets: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Negative log-likelihood of a Poisson distribution, from log rates `z`: `exp(z) - target z + log(target!)`.

    Args:
      log_rates: logarithms of the expected counts, floating point, of any shape; above 40 they count as 40, with the gradient of
        it, as their rates would overflow.
      targets: counts, or other values of at least 0, of the same shape; nothing is broadcast.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` an array like `log_rates`; of float32 at least.

    Raises:
      TypeError: if log rates are not floating point.
      ValueError: if shapes differ, or targets are negative where the host can see them.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> f"{losses.poisson_nll(jnp.log(jnp.array([2.0, 2.0])), jnp.array([0, 1])):.3f}"
      '1.653'
    """
    not_negative("poisson_nll", targets)
    (log_rates,), targets = outputs("poisson_nll", ("log_rates",), (log_rates,), targets)
    log_rates = -at_least(-log_rates, -40.0)
    values = jnp.exp(log_rates) - targets * log_rates + gammaln(targets + 1)
    return reduce("poisson_nll", values, where, weights, reduction)


def poisson_nll_from_rates(
    rates: jax.Array,
    targets: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Negative log-likelihood of a Poisson distribution, from its rates: `rate - target log(rate) + log(target!)`.

    Args:
      rates: the expected counts, floating point, of any shape; below 1e-6 they count as 1e-6, with the gradient of it.
      targets: counts, or other values of at least 0, of the same shape; nothing is broadcast.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` an array like `rates`; of float32 at least.

    Raises:
      TypeError: if rates are not floating point.
      ValueError: if shapes differ, or targets are negative where the host can see them.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> f"{losses.poisson_nll_from_rates(jnp.array([2.0, 2.0]), jnp.array([0, 1])):.3f}"
      '1.653'
    """
    not_negative("poisson_nll_from_rates", targets)
    (rates,), targets = outputs("poisson_nll_from_rates", ("rates",), (rates,), targets)
    rates = at_least(rates, FLOOR)
    values = rates - xlogy(targets, rates) + gammaln(targets + 1)
    return reduce("poisson_nll_from_rates", values, where, weights, reduction)


def negative_binomial_nll(
    predictions: tuple[jax.Array, jax.Array],
    targets: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Negative log-likelihood of a negative binomial, for counts that vary more than a Poisson: by `mean + dispersion mean^2`.

    With `r = 1 / dispersion` it is `-log(gamma(k + r) / (k! gamma(r))) - r log(r / (r + mean)) - k log(mean / (r + mean))` of the
    target `k`; a dispersion of 0 gives a Poisson distribution.

    Args:
      predictions: `(mean, dispersion)`, each of the shape of `targets`; floating point. Means below 1e-6 count as 1e-6 and
        dispersions below 0 as 0, with the gradient of it.
      targets: counts, or other values of at least 0; nothing is broadcast.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` an array like `targets`; of float32 at least.

    Raises:
      TypeError: if predictions are not a tuple of two floating-point arrays.
      ValueError: if shapes differ, or targets are negative where the host can see them.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> f"{losses.negative_binomial_nll((jnp.ones(2), jnp.ones(2)), jnp.array([0, 1])):.3f}"
      '1.040'
    """
    not_negative("negative_binomial_nll", targets)
    (mean, dispersion), targets = outputs("negative_binomial_nll", ("mean", "dispersion"), predictions, targets)
    mean, dispersion = at_least(mean, FLOOR), at_least(dispersion, 0.0)
    excess = dispersion * mean
    poisson = mean * log1p_ratio(excess) - xlogy(targets, mean) + gammaln(targets + 1)
    values = poisson + targets * jnp.log1p(excess) - log_gamma_ratio(targets, dispersion)
    return reduce("negative_binomial_nll", values, where, weights, reduction)


def gamma_nll(
    predictions: tuple[jax.Array, jax.Array],
    targets: jax.Array,
    *,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Negative log-likelihood of a gamma distribution: `log(gamma(a)) - a log(b) - (a - 1) log(target) + b target`.

    Args:
      predictions: `(concentration, rate)`, `a` and `b`, each of the shape of `targets`; floating point. The mean is `a / b`.
        Those below 1e-6 count as 1e-6, with the gradient of it.
      targets: positive amounts; those below 1e-30, where the density has a pole, count as 1e-30. Nothing is broadcast.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` an array like `targets`; of float32 at least.

    Raises:
      TypeError: if predictions are not a tuple of two floating-point arrays.
      ValueError: if shapes differ, or targets are negative where the host can see them.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> f"{losses.gamma_nll((jnp.ones(1), jnp.ones(1)), jnp.array([3.0])):.3f}"
      '3.000'
    """
    not_negative("gamma_nll", targets)
    (concentration, rate), targets = outputs("gamma_nll", ("concentration", "rate"), predictions, targets)
    concentration, rate = at_least(concentration, FLOOR), at_least(rate, FLOOR)
    powers = concentration * jnp.log(rate) + (concentration - 1) * jnp.log(jnp.maximum(targets, 1e-30))
    return reduce("gamma_nll", gammaln(concentration) - powers + rate * targets, where, weights, reduction)


def tweedie_deviance(
    predictions: jax.Array,
    targets: jax.Array,
    *,
    power: float | jax.Array = 1.5,
    where: jax.Array | None = None,
    weights: jax.Array | None = None,
    reduction: Reduction = "mean",
) -> jax.Array:
    """Deviance of a Tweedie distribution of mean `m`, for amounts that are often 0, such as rain or claims.

    It is `2 (y^(2 - p) / ((1 - p) (2 - p)) - y m^(1 - p) / (1 - p) + m^(2 - p) / (2 - p))` of the target `y`: twice the
    log-likelihood that is missing to a perfect prediction, times the dispersion.

    Args:
      predictions: means, floating point, of any shape; below 1e-6 they count as 1e-6, with the gradient of it.
      targets: amounts of at least 0, of the same shape; nothing is broadcast.
      power: `p`, in [1.001, 1.999]: variance grows as `mean^p`, with 1 as that of a Poisson and with 2 as that of a gamma
        distribution, where the formula has poles. May be traced.
      where, weights, reduction: as in every loss, see `jdl.losses`.

    Returns:
      A scalar, or for `"none"` an array like `predictions`; of float32 at least.

    Raises:
      TypeError: if predictions are not floating point.
      ValueError: if shapes differ, `power` is out of range, or targets are negative where the host can see them.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import losses
      >>> losses.tweedie_deviance(jnp.array([4.0, 4.0]), jnp.array([0.0, 1.0]), reduction="none").tolist()
      [8.0, 2.0]
    """
    _check.within("tweedie_deviance", 1.001, 1.999, power=power)
    not_negative("tweedie_deviance", targets)
    mean, targets = pair("tweedie_deviance", predictions, targets)
    mean = at_least(mean, FLOOR)
    first, second = 1 - jnp.asarray(power, mean.dtype), 2 - jnp.asarray(power, mean.dtype)
    values = 2 * (targets**second / (first * second) - targets * mean**first / first + mean**second / second)
    return reduce("tweedie_deviance", values, where, weights, reduction)
