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
from jdl.layers._blur_pool import blur_pool as blur_pool
from jdl.layers._conv import conv as conv
from jdl.layers._dense import dense as dense
from jdl.layers._dropout import dropout as dropout
from jdl.layers._embedding import embedding as embedding
from jdl.layers._grid_sample import affine_grid as affine_grid
from jdl.layers._grid_sample import grid_sample as grid_sample
from jdl.layers._layer_norm import layer_norm as layer_norm
from jdl.layers._layer_norm import rms_norm as rms_norm
from jdl.layers._pad import center_crop as center_crop
from jdl.layers._pad import crop as crop
from jdl.layers._pad import pad as pad
from jdl.layers._pool import avg_pool as avg_pool
from jdl.layers._pool import max_pool as max_pool
from jdl.layers._resize import resize as resize
from jdl.layers._resize import upsample as upsample
from jdl.layers._shuffle import channel_shuffle as channel_shuffle
from jdl.layers._shuffle import pixel_shuffle as pixel_shuffle
from jdl.layers._shuffle import pixel_unshuffle as pixel_unshuffle
from jdl.layers._squeeze_excite import squeeze_excite as squeeze_excite
from jdl.layers._unfold import fold as fold
from jdl.layers._unfold import unfold as unfold
