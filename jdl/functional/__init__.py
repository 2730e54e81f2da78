"""Floor 1: arithmetic on arrays, one idea per file."""

from jdl.functional._activations import *
from jdl.functional._alpha_dropout import alpha_dropout as alpha_dropout
from jdl.functional._alpha_dropout import feature_alpha_dropout as feature_alpha_dropout
from jdl.functional._batch_norm import batch_norm as batch_norm
from jdl.functional._batch_norm import moments as moments
from jdl.functional._bias import add_bias as add_bias
from jdl.functional._bilinear_map import bilinear as bilinear
from jdl.functional._conv import conv as conv
from jdl.functional._dense import dense as dense
from jdl.functional._drop_block import drop_block as drop_block
from jdl.functional._drop_path import drop_path as drop_path
from jdl.functional._dropout import dropout as dropout
from jdl.functional._dropout import locked_dropout as locked_dropout
from jdl.functional._dropout import spatial_dropout as spatial_dropout
from jdl.functional._einsum import einsum as einsum
from jdl.functional._embedding import attend as attend
from jdl.functional._embedding import embedding as embedding
from jdl.functional._embedding_bag import embedding_bag as embedding_bag
from jdl.functional._flatten import flatten as flatten
from jdl.functional._gaussian_noise import gaussian_dropout as gaussian_dropout
from jdl.functional._gaussian_noise import gaussian_noise as gaussian_noise
from jdl.functional._layer_norm import layer_norm as layer_norm
from jdl.functional._layer_norm import rms_norm as rms_norm
from jdl.functional._maxout import maxout as maxout
from jdl.functional._pool import avg_pool as avg_pool
from jdl.functional._pool import global_avg_pool as global_avg_pool
from jdl.functional._pool import global_max_pool as global_max_pool
from jdl.functional._pool import max_pool as max_pool
from jdl.functional._token_drop import token_drop as token_drop
