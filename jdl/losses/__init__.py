"""Floor 1: losses, pure functions of predictions and targets with one contract.

    loss(predictions, targets, *, where=None, weights=None, reduction="mean")

A loss has one number for each sample, or for each entry of one; a model with several outputs gives a tuple of predictions. What is
made of these numbers is the same for all:

* `where`, bools of the leading shape of what `reduction="none"` returns, says which count: the others have no part in the result,
  and what their inputs are changes nothing, as long as they are finite.
* `weights`, of the leading shape too, says how often they count: a weight of 2 is two samples.
* `reduction` is `"mean"`, which divides by the sum of weights and is 0 over nothing, `"sum"` or `"none"`.

Losses of classes have an `axis`. Computation is in float32 at least. Names say whether they take logits or probabilities: plain
names take logits, `..._from_probabilities` what they say. Where a loss is of a whole batch or a set, its docstring says what it
takes.
"""

from jdl.losses._alignment import ctc as ctc
from jdl.losses._alignment import rnn_transducer as rnn_transducer
from jdl.losses._angular import arc_face as arc_face
from jdl.losses._angular import circle as circle
from jdl.losses._angular import cos_face as cos_face
from jdl.losses._boxes import box_iou_loss as box_iou_loss
from jdl.losses._boxes import complete_box_iou_loss as complete_box_iou_loss
from jdl.losses._boxes import distance_box_iou_loss as distance_box_iou_loss
from jdl.losses._boxes import generalized_box_iou_loss as generalized_box_iou_loss
from jdl.losses._classification import binary_cross_entropy as binary_cross_entropy
from jdl.losses._classification import cross_entropy as cross_entropy
from jdl.losses._contrastive import clip as clip
from jdl.losses._contrastive import info_nce as info_nce
from jdl.losses._contrastive import nt_xent as nt_xent
from jdl.losses._contrastive import siglip as siglip
from jdl.losses._contrastive import sup_con as sup_con
from jdl.losses._cosine import cosine_distance as cosine_distance
from jdl.losses._count_likelihood import gamma_nll as gamma_nll
from jdl.losses._count_likelihood import negative_binomial_nll as negative_binomial_nll
from jdl.losses._count_likelihood import poisson_nll as poisson_nll
from jdl.losses._count_likelihood import poisson_nll_from_rates as poisson_nll_from_rates
from jdl.losses._count_likelihood import tweedie_deviance as tweedie_deviance
from jdl.losses._critic import hinge_discriminator as hinge_discriminator
from jdl.losses._critic import hinge_generator as hinge_generator
from jdl.losses._critic import wasserstein_discriminator as wasserstein_discriminator
from jdl.losses._critic import wasserstein_generator as wasserstein_generator
from jdl.losses._crps import ensemble_crps as ensemble_crps
from jdl.losses._crps import gaussian_crps as gaussian_crps
from jdl.losses._distillation import distillation as distillation
from jdl.losses._distribution_distance import hellinger as hellinger
from jdl.losses._distribution_distance import jensen_shannon as jensen_shannon
from jdl.losses._distribution_distance import renyi as renyi
from jdl.losses._distribution_distance import total_variation_distance as total_variation_distance
from jdl.losses._divergence import gaussian_kl as gaussian_kl
from jdl.losses._divergence import generalized_kl_divergence as generalized_kl_divergence
from jdl.losses._divergence import kl_divergence as kl_divergence
from jdl.losses._divergence import kl_divergence_from_logits as kl_divergence_from_logits
from jdl.losses._divergence import kl_divergence_with_log_targets as kl_divergence_with_log_targets
from jdl.losses._divergence import reverse_kl as reverse_kl
from jdl.losses._focal import binary_focal as binary_focal
from jdl.losses._focal import focal as focal
from jdl.losses._focal import poly as poly
from jdl.losses._gan import least_squares_discriminator as least_squares_discriminator
from jdl.losses._gan import least_squares_generator as least_squares_generator
from jdl.losses._gan import minimax_discriminator as minimax_discriminator
from jdl.losses._gan import minimax_generator as minimax_generator
from jdl.losses._gan import non_saturating_discriminator as non_saturating_discriminator
from jdl.losses._gan import non_saturating_generator as non_saturating_generator
from jdl.losses._gradient_penalty import gradient_penalty as gradient_penalty
from jdl.losses._gradient_penalty import r1_penalty as r1_penalty
from jdl.losses._images import ms_ssim_loss as ms_ssim_loss
from jdl.losses._images import ssim_loss as ssim_loss
from jdl.losses._likelihood import beta_nll as beta_nll
from jdl.losses._likelihood import gaussian_nll as gaussian_nll
from jdl.losses._likelihood import laplace_nll as laplace_nll
from jdl.losses._likelihood import mixture_density_nll as mixture_density_nll
from jdl.losses._likelihood import student_t_nll as student_t_nll
from jdl.losses._linear_cross_entropy import linear_cross_entropy as linear_cross_entropy
from jdl.losses._log_error import mean_squared_log_error as mean_squared_log_error
from jdl.losses._log_error import root_mean_squared_log_error as root_mean_squared_log_error
from jdl.losses._lovasz import lovasz_hinge as lovasz_hinge
from jdl.losses._lovasz import lovasz_softmax as lovasz_softmax
from jdl.losses._margins import capsule_margin as capsule_margin
from jdl.losses._margins import hinge as hinge
from jdl.losses._margins import multi_margin as multi_margin
from jdl.losses._margins import multiclass_hinge as multiclass_hinge
from jdl.losses._margins import perceptron as perceptron
from jdl.losses._margins import squared_hinge as squared_hinge
from jdl.losses._multi_label import multi_label_margin as multi_label_margin
from jdl.losses._multi_label import multi_label_soft_margin as multi_label_soft_margin
from jdl.losses._multi_label import soft_margin as soft_margin
from jdl.losses._noisy_labels import generalized_cross_entropy as generalized_cross_entropy
from jdl.losses._noisy_labels import symmetric_cross_entropy as symmetric_cross_entropy
from jdl.losses._overlap import binary_dice_loss as binary_dice_loss
from jdl.losses._overlap import binary_jaccard_loss as binary_jaccard_loss
from jdl.losses._overlap import binary_tversky_loss as binary_tversky_loss
from jdl.losses._overlap import dice_loss as dice_loss
from jdl.losses._overlap import jaccard_loss as jaccard_loss
from jdl.losses._overlap import tversky_loss as tversky_loss
from jdl.losses._pairs import contrastive as contrastive
from jdl.losses._pairs import cosine_embedding as cosine_embedding
from jdl.losses._pairs import hinge_embedding as hinge_embedding
from jdl.losses._pairs import margin_ranking as margin_ranking
from jdl.losses._pairs import triplet as triplet
from jdl.losses._probabilities import binary_cross_entropy_from_probabilities as binary_cross_entropy_from_probabilities
from jdl.losses._probabilities import cross_entropy_from_probabilities as cross_entropy_from_probabilities
from jdl.losses._probabilities import negative_log_likelihood as negative_log_likelihood
from jdl.losses._quantile import expectile as expectile
from jdl.losses._quantile import quantile as quantile
from jdl.losses._quantisation import vector_quantization as vector_quantization
from jdl.losses._ranking import approx_ndcg_loss as approx_ndcg_loss
from jdl.losses._ranking import lambda_rank as lambda_rank
from jdl.losses._ranking import list_mle as list_mle
from jdl.losses._ranking import pairwise_logistic as pairwise_logistic
from jdl.losses._ranking import ranking_softmax_loss as ranking_softmax_loss
from jdl.losses._regression import huber as huber
from jdl.losses._regression import log_cosh as log_cosh
from jdl.losses._regression import mean_absolute_error as mean_absolute_error
from jdl.losses._regression import mean_absolute_percentage_error as mean_absolute_percentage_error
from jdl.losses._regression import mean_squared_error as mean_squared_error
from jdl.losses._regression import root_mean_squared_error as root_mean_squared_error
from jdl.losses._self_supervised import barlow_twins as barlow_twins
from jdl.losses._self_supervised import vicreg as vicreg
from jdl.losses._sinkhorn import sinkhorn as sinkhorn
from jdl.losses._sinkhorn import sinkhorn_divergence as sinkhorn_divergence
from jdl.losses._sparsemax import sparsemax as sparsemax
from jdl.losses._two_samples import energy_distance as energy_distance
from jdl.losses._two_samples import maximum_mean_discrepancy as maximum_mean_discrepancy
from jdl.losses._variational import negative_elbo as negative_elbo
from jdl.losses._z_loss import z_loss as z_loss
