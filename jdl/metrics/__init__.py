"""Floor 1: metrics, pure functions with the contract of losses."""

from jdl.metrics._bleu import bleu as bleu
from jdl.metrics._bleu import bleu_counts as bleu_counts
from jdl.metrics._bleu import bleu_from_counts as bleu_from_counts
from jdl.metrics._classification import accuracy as accuracy
from jdl.metrics._perplexity import perplexity as perplexity
from jdl.metrics._perplexity import perplexity_counts as perplexity_counts
from jdl.metrics._rouge import rouge_l as rouge_l
from jdl.metrics._word_errors import edit_distance as edit_distance
from jdl.metrics._word_errors import word_error_counts as word_error_counts
from jdl.metrics._word_errors import word_error_rate as word_error_rate
