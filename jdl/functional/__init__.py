"""Floor 1: arithmetic on arrays, one idea per file."""

from jdl.functional._activations import *
from jdl.functional._adaptive_pool import adaptive_avg_pool as adaptive_avg_pool
from jdl.functional._adaptive_pool import adaptive_max_pool as adaptive_max_pool
from jdl.functional._adaptive_pool import spatial_pyramid_pool as spatial_pyramid_pool
from jdl.functional._attention_pool import attention_pool as attention_pool
from jdl.functional._avg_pool import avg_pool as avg_pool
from jdl.functional._avg_pool import lp_pool as lp_pool
from jdl.functional._avg_pool import sum_pool as sum_pool
from jdl.functional._batch_norm import batch_norm as batch_norm
from jdl.functional._batch_norm import moments as moments
from jdl.functional._conv import conv as conv
from jdl.functional._dense import dense as dense
from jdl.functional._dropout import dropout as dropout
from jdl.functional._embedding import embedding as embedding
from jdl.functional._flatten import flatten as flatten
from jdl.functional._fractional_max_pool import fractional_max_pool as fractional_max_pool
from jdl.functional._global_pool import generalized_mean_pool as generalized_mean_pool
from jdl.functional._global_pool import global_avg_pool as global_avg_pool
from jdl.functional._global_pool import global_max_pool as global_max_pool
from jdl.functional._layer_norm import layer_norm as layer_norm
from jdl.functional._layer_norm import rms_norm as rms_norm
from jdl.functional._max_pool import max_pool as max_pool
from jdl.functional._max_pool import max_pool_with_indices as max_pool_with_indices
from jdl.functional._max_pool import max_unpool as max_unpool
from jdl.functional._max_pool import min_pool as min_pool
from jdl.functional._roi_align import roi_align as roi_align
from jdl.functional._soft_pool import soft_pool as soft_pool
