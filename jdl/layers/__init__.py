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
from jdl.layers._batch_norm import batch_norm as batch_norm
from jdl.layers._conv import conv as conv
from jdl.layers._conv_local import conv_local as conv_local
from jdl.layers._conv_transpose import conv_transpose as conv_transpose
from jdl.layers._deform_conv import deform_conv as deform_conv
from jdl.layers._dense import dense as dense
from jdl.layers._depthwise_conv import depthwise_conv as depthwise_conv
from jdl.layers._depthwise_conv import separable_conv as separable_conv
from jdl.layers._dropout import dropout as dropout
from jdl.layers._embedding import embedding as embedding
from jdl.layers._layer_norm import layer_norm as layer_norm
from jdl.layers._layer_norm import rms_norm as rms_norm
from jdl.layers._pool import avg_pool as avg_pool
from jdl.layers._pool import max_pool as max_pool
