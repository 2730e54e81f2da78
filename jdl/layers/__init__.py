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
from jdl.layers._dense import dense as dense
from jdl.layers._drop_connect import drop_connect as drop_connect
from jdl.layers._dropout import dropout as dropout
from jdl.layers._embedding import embedding as embedding
from jdl.layers._int8 import int8 as int8
from jdl.layers._int8 import quantize as quantize
from jdl.layers._layer_norm import layer_norm as layer_norm
from jdl.layers._layer_norm import rms_norm as rms_norm
from jdl.layers._lora import lora as lora
from jdl.layers._lora import merge_lora as merge_lora
from jdl.layers._lora import unmerge_lora as unmerge_lora
from jdl.layers._mask_kernel import mask_kernel as mask_kernel
from jdl.layers._orthogonal import orthogonal as orthogonal
from jdl.layers._pool import avg_pool as avg_pool
from jdl.layers._pool import max_pool as max_pool
from jdl.layers._spectral_norm import spectral_norm as spectral_norm
from jdl.layers._weight_norm import weight_norm as weight_norm
from jdl.layers._weight_standardization import weight_standardization as weight_standardization
