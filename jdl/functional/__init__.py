"""Floor 1: arithmetic on arrays, one idea per file."""

from jax.nn import log1mexp as log1mexp
from jax.nn import logmeanexp as logmeanexp
from jax.nn import logsumexp as logsumexp
from jax.nn import one_hot as one_hot

from jdl.functional._activations import *
from jdl.functional._batch_norm import batch_norm as batch_norm
from jdl.functional._batch_norm import moments as moments
from jdl.functional._conv import conv as conv
from jdl.functional._dense import dense as dense
from jdl.functional._dropout import dropout as dropout
from jdl.functional._embedding import embedding as embedding
from jdl.functional._flatten import flatten as flatten
from jdl.functional._k_winners import k_winners as k_winners
from jdl.functional._layer_norm import layer_norm as layer_norm
from jdl.functional._layer_norm import rms_norm as rms_norm
from jdl.functional._pool import avg_pool as avg_pool
from jdl.functional._pool import global_avg_pool as global_avg_pool
from jdl.functional._pool import global_max_pool as global_max_pool
from jdl.functional._pool import max_pool as max_pool
from jdl.functional._rectifiers import crelu as crelu
from jdl.functional._rectifiers import prelu as prelu
from jdl.functional._rectifiers import rrelu as rrelu
from jdl.functional._rectifiers import squared_relu as squared_relu
from jdl.functional._shrink import hard_shrink as hard_shrink
from jdl.functional._shrink import soft_shrink as soft_shrink
from jdl.functional._shrink import tanh_shrink as tanh_shrink
from jdl.functional._shrink import threshold as threshold
from jdl.functional._simplex import entmax15 as entmax15
from jdl.functional._simplex import softmin as softmin
from jdl.functional._simplex import sparsemax as sparsemax
from jdl.functional._straight_through import binarize as binarize
from jdl.functional._straight_through import gumbel_softmax as gumbel_softmax
from jdl.functional._straight_through import straight_through as straight_through
from jdl.functional._swish import parametric_swish as parametric_swish
from jdl.functional._swish import snake as snake
