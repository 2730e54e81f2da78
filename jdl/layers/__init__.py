"""Floor 3: layers. Each is a thin wrapper of a function of `jdl.functional`; functions of arrays are layers as they are."""

from jdl.functional import adain as adain
from jdl.functional import flatten as flatten
from jdl.functional import global_avg_pool as global_avg_pool
from jdl.functional import global_max_pool as global_max_pool
from jdl.functional import modulate as modulate
from jdl.functional._activations import *
from jdl.layer import Layer as Layer
from jdl.layer import chain as chain
from jdl.layer import compose as compose
from jdl.layer import function as function
from jdl.layer import parallel as parallel
from jdl.layer import repeat as repeat
from jdl.layer import residual as residual
from jdl.layer import stateless as stateless
from jdl.layers._batch_norm import batch_norm as batch_norm
from jdl.layers._batch_norm import batch_renorm as batch_renorm
from jdl.layers._batch_norm import conditional_batch_norm as conditional_batch_norm
from jdl.layers._conv import conv as conv
from jdl.layers._dense import dense as dense
from jdl.layers._dropout import dropout as dropout
from jdl.layers._dynamic_tanh import dynamic_tanh as dynamic_tanh
from jdl.layers._embedding import embedding as embedding
from jdl.layers._fold import fold_batch_norm as fold_batch_norm
from jdl.layers._group_norm import group_norm as group_norm
from jdl.layers._group_norm import instance_norm as instance_norm
from jdl.layers._layer_norm import layer_norm as layer_norm
from jdl.layers._layer_norm import rms_norm as rms_norm
from jdl.layers._local_response_norm import local_response_norm as local_response_norm
from jdl.layers._modulation import adaptive_layer_norm as adaptive_layer_norm
from jdl.layers._modulation import film as film
from jdl.layers._pool import avg_pool as avg_pool
from jdl.layers._pool import max_pool as max_pool
from jdl.layers._running import recompute_statistics as recompute_statistics
from jdl.layers._unit_norm import unit_norm as unit_norm
