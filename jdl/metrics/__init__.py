"""Floor 1: metrics, pure functions of arrays, and Metrics, which measure a stream of batches.

A plain name is a function of arrays:

* A mean over samples has the contract of losses, `(predictions, targets, *, where, weights, reduction)`: `accuracy`, `ndcg`.
* A figure of all samples together takes `(predictions, targets, *, where, weights)`: `roc_auc`, `r2_score`.
* A figure of a confusion matrix takes that: `f_score(confusion_matrix(predictions, labels, classes=10))`.

A `Metric(init, update, merge, compute)` gives the same number from batches. It is made from the function by what has to be kept:
`mean(accuracy)` keeps sums, `confusion(10, f_score)` the matrix, `collect(roc_auc, capacity=10_000)` all samples; where something
else is enough, there is a maker of its own, `streaming_r2_score()`. `together` makes one Metric of several.

Error bars and comparisons of settings, over seeds or samples, are `interval`, `bootstrap_interval`, and the paired tests.
"""

from jdl.metrics._bleu import bleu as bleu
from jdl.metrics._bleu import bleu_counts as bleu_counts
from jdl.metrics._bleu import bleu_from_counts as bleu_from_counts
from jdl.metrics._bootstrap import Bootstrap as Bootstrap
from jdl.metrics._bootstrap import bootstrap_interval as bootstrap_interval
from jdl.metrics._boxes import box_iou as box_iou
from jdl.metrics._boxes import pairwise_box_iou as pairwise_box_iou
from jdl.metrics._calibration import brier_score as brier_score
from jdl.metrics._calibration import expected_calibration_error as expected_calibration_error
from jdl.metrics._calibration import streaming_expected_calibration_error as streaming_expected_calibration_error
from jdl.metrics._classification import accuracy as accuracy
from jdl.metrics._collect import collect as collect
from jdl.metrics._comparison import Comparison as Comparison
from jdl.metrics._comparison import paired_t_test as paired_t_test
from jdl.metrics._comparison import permutation_test as permutation_test
from jdl.metrics._comparison import wilcoxon_test as wilcoxon_test
from jdl.metrics._confusion import confusion as confusion
from jdl.metrics._confusion import confusion_matrix as confusion_matrix
from jdl.metrics._curves import average_precision as average_precision
from jdl.metrics._curves import roc_auc as roc_auc
from jdl.metrics._detection import mean_average_precision as mean_average_precision
from jdl.metrics._detection import streaming_mean_average_precision as streaming_mean_average_precision
from jdl.metrics._figures import balanced_accuracy as balanced_accuracy
from jdl.metrics._figures import classification_report as classification_report
from jdl.metrics._figures import cohen_kappa as cohen_kappa
from jdl.metrics._figures import f_score as f_score
from jdl.metrics._figures import intersection_over_union as intersection_over_union
from jdl.metrics._figures import matthews_correlation as matthews_correlation
from jdl.metrics._figures import precision as precision
from jdl.metrics._figures import recall as recall
from jdl.metrics._images import ms_ssim as ms_ssim
from jdl.metrics._images import psnr as psnr
from jdl.metrics._images import ssim as ssim
from jdl.metrics._interval import Interval as Interval
from jdl.metrics._interval import interval as interval
from jdl.metrics._metric import Metric as Metric
from jdl.metrics._metric import mean as mean
from jdl.metrics._metric import merge_all as merge_all
from jdl.metrics._metric import together as together
from jdl.metrics._perplexity import perplexity as perplexity
from jdl.metrics._perplexity import perplexity_counts as perplexity_counts
from jdl.metrics._regression import pearson_correlation as pearson_correlation
from jdl.metrics._regression import r2_score as r2_score
from jdl.metrics._regression import spearman_correlation as spearman_correlation
from jdl.metrics._regression import streaming_pearson_correlation as streaming_pearson_correlation
from jdl.metrics._regression import streaming_r2_score as streaming_r2_score
from jdl.metrics._retrieval import average_precision_at_k as average_precision_at_k
from jdl.metrics._retrieval import mean_reciprocal_rank as mean_reciprocal_rank
from jdl.metrics._retrieval import ndcg as ndcg
from jdl.metrics._rouge import rouge_l as rouge_l
from jdl.metrics._top_k import top_k_accuracy as top_k_accuracy
from jdl.metrics._word_errors import edit_distance as edit_distance
from jdl.metrics._word_errors import word_error_counts as word_error_counts
from jdl.metrics._word_errors import word_error_rate as word_error_rate
