"""Floor 1: arithmetic on arrays, one idea per file."""

from jdl.functional._activations import *
from jdl.functional._adain import adain as adain
from jdl.functional._batch_norm import batch_norm as batch_norm
from jdl.functional._batch_norm import batch_renorm as batch_renorm
from jdl.functional._batch_norm import moments as moments
from jdl.functional._conv import conv as conv
from jdl.functional._dense import dense as dense
from jdl.functional._dropout import dropout as dropout
from jdl.functional._dynamic_tanh import dynamic_tanh as dynamic_tanh
from jdl.functional._embedding import embedding as embedding
from jdl.functional._flatten import flatten as flatten
from jdl.functional._group_norm import group_norm as group_norm
from jdl.functional._group_norm import instance_norm as instance_norm
from jdl.functional._layer_norm import layer_norm as layer_norm
from jdl.functional._layer_norm import rms_norm as rms_norm
from jdl.functional._local_response_norm import local_response_norm as local_response_norm
from jdl.functional._modulate import modulate as modulate
from jdl.functional._pool import avg_pool as avg_pool
from jdl.functional._pool import global_avg_pool as global_avg_pool
from jdl.functional._pool import global_max_pool as global_max_pool
from jdl.functional._pool import max_pool as max_pool
from jdl.functional._unit_norm import unit_norm as unit_norm
