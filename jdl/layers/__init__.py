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
from jdl.layers._alpha_dropout import alpha_dropout as alpha_dropout
from jdl.layers._alpha_dropout import feature_alpha_dropout as feature_alpha_dropout
from jdl.layers._batch_norm import batch_norm as batch_norm
from jdl.layers._conv import conv as conv
from jdl.layers._dense import dense as dense
from jdl.layers._drop_block import drop_block as drop_block
from jdl.layers._drop_path import drop_path as drop_path
from jdl.layers._dropout import dropout as dropout
from jdl.layers._dropout import locked_dropout as locked_dropout
from jdl.layers._dropout import spatial_dropout as spatial_dropout
from jdl.layers._embedding import embedding as embedding
from jdl.layers._gaussian_noise import gaussian_dropout as gaussian_dropout
from jdl.layers._gaussian_noise import gaussian_noise as gaussian_noise
from jdl.layers._layer_norm import layer_norm as layer_norm
from jdl.layers._layer_norm import rms_norm as rms_norm
from jdl.layers._monte_carlo import always as always
from jdl.layers._monte_carlo import monte_carlo as monte_carlo
from jdl.layers._pool import avg_pool as avg_pool
from jdl.layers._pool import max_pool as max_pool
from jdl.layers._token_drop import token_drop as token_drop
