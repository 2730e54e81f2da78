"""Floor 1: arithmetic on arrays, one idea per file."""

from jdl.functional._activations import *
from jdl.functional._batch_norm import batch_norm as batch_norm
from jdl.functional._batch_norm import moments as moments
from jdl.functional._conv import conv as conv
from jdl.functional._dense import dense as dense
from jdl.functional._dropout import dropout as dropout
from jdl.functional._embedding import embedding as embedding
from jdl.functional._flatten import flatten as flatten
from jdl.functional._int8 import dequantize as dequantize
from jdl.functional._int8 import quantize_int8 as quantize_int8
from jdl.functional._layer_norm import layer_norm as layer_norm
from jdl.functional._layer_norm import rms_norm as rms_norm
from jdl.functional._lora import lora as lora
from jdl.functional._orthogonal import orthogonal as orthogonal
from jdl.functional._pool import avg_pool as avg_pool
from jdl.functional._pool import global_avg_pool as global_avg_pool
from jdl.functional._pool import global_max_pool as global_max_pool
from jdl.functional._pool import max_pool as max_pool
from jdl.functional._spectral_norm import power_iteration as power_iteration
from jdl.functional._spectral_norm import spectral_norm as spectral_norm
from jdl.functional._weight_norm import weight_norm as weight_norm
from jdl.functional._weight_standardization import weight_standardization as weight_standardization
