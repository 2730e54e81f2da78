"""Floor 1: arithmetic on arrays, one idea per file."""

from jdl.functional._activations import *
from jdl.functional._batch_norm import batch_norm as batch_norm
from jdl.functional._batch_norm import moments as moments
from jdl.functional._conv import conv as conv
from jdl.functional._conv_local import conv_local as conv_local
from jdl.functional._conv_transpose import conv_transpose as conv_transpose
from jdl.functional._deform_conv import deform_conv as deform_conv
from jdl.functional._dense import dense as dense
from jdl.functional._depthwise_conv import depthwise_conv as depthwise_conv
from jdl.functional._dropout import dropout as dropout
from jdl.functional._embedding import embedding as embedding
from jdl.functional._flatten import flatten as flatten
from jdl.functional._layer_norm import layer_norm as layer_norm
from jdl.functional._layer_norm import rms_norm as rms_norm
from jdl.functional._pool import avg_pool as avg_pool
from jdl.functional._pool import global_avg_pool as global_avg_pool
from jdl.functional._pool import global_max_pool as global_max_pool
from jdl.functional._pool import max_pool as max_pool
