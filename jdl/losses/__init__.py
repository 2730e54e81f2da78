"""Floor 1: losses, pure functions of predictions and targets with one contract."""

from jdl.losses._classification import binary_cross_entropy as binary_cross_entropy
from jdl.losses._classification import cross_entropy as cross_entropy
from jdl.losses._cosine import cosine_distance as cosine_distance
from jdl.losses._count_likelihood import gamma_nll as gamma_nll
from jdl.losses._count_likelihood import negative_binomial_nll as negative_binomial_nll
from jdl.losses._count_likelihood import poisson_nll as poisson_nll
from jdl.losses._count_likelihood import poisson_nll_from_rates as poisson_nll_from_rates
from jdl.losses._count_likelihood import tweedie_deviance as tweedie_deviance
from jdl.losses._crps import ensemble_crps as ensemble_crps
from jdl.losses._crps import gaussian_crps as gaussian_crps
from jdl.losses._likelihood import beta_nll as beta_nll
from jdl.losses._likelihood import gaussian_nll as gaussian_nll
from jdl.losses._likelihood import laplace_nll as laplace_nll
from jdl.losses._likelihood import mixture_density_nll as mixture_density_nll
from jdl.losses._likelihood import student_t_nll as student_t_nll
from jdl.losses._log_error import mean_squared_log_error as mean_squared_log_error
from jdl.losses._log_error import root_mean_squared_log_error as root_mean_squared_log_error
from jdl.losses._quantile import expectile as expectile
from jdl.losses._quantile import quantile as quantile
from jdl.losses._regression import huber as huber
from jdl.losses._regression import log_cosh as log_cosh
from jdl.losses._regression import mean_absolute_error as mean_absolute_error
from jdl.losses._regression import mean_absolute_percentage_error as mean_absolute_percentage_error
from jdl.losses._regression import mean_squared_error as mean_squared_error
from jdl.losses._regression import root_mean_squared_error as root_mean_squared_error
