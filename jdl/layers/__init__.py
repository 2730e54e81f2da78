"""Floor 3: layers. Each is a thin wrapper of a function of `jdl.functional`; functions of arrays are layers as they are."""

from jdl.functional import flatten as flatten
from jdl.functional import global_avg_pool as global_avg_pool
from jdl.functional import global_max_pool as global_max_pool
from jdl.functional._activations import *
from jdl.layer import Layer as Layer
from jdl.layer import chain as chain
from jdl.layer import compose as compose
from jdl.layer import function as function
from jdl.layer import parallel as parallel
from jdl.layer import repeat as repeat
from jdl.layer import residual as residual
from jdl.layer import stateless as stateless
from jdl.layers._adaptive_pool import adaptive_avg_pool as adaptive_avg_pool
from jdl.layers._adaptive_pool import adaptive_max_pool as adaptive_max_pool
from jdl.layers._adaptive_pool import spatial_pyramid_pool as spatial_pyramid_pool
from jdl.layers._attention_pool import attention_pool as attention_pool
from jdl.layers._batch_norm import batch_norm as batch_norm
from jdl.layers._conv import conv as conv
from jdl.layers._dense import dense as dense
from jdl.layers._dropout import dropout as dropout
from jdl.layers._embedding import embedding as embedding
from jdl.layers._fractional_max_pool import fractional_max_pool as fractional_max_pool
from jdl.layers._generalized_mean_pool import generalized_mean_pool as generalized_mean_pool
from jdl.layers._layer_norm import layer_norm as layer_norm
from jdl.layers._layer_norm import rms_norm as rms_norm
from jdl.layers._pool import avg_pool as avg_pool
from jdl.layers._pool import lp_pool as lp_pool
from jdl.layers._pool import max_pool as max_pool
from jdl.layers._pool import min_pool as min_pool
from jdl.layers._pool import soft_pool as soft_pool
from jdl.layers._pool import sum_pool as sum_pool
from jdl.layers._roi_align import roi_align as roi_align
