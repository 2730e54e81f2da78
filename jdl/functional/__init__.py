"""Floor 1: arithmetic on arrays, one idea per file."""

from jdl.functional._activations import *
from jdl.functional._batch_norm import batch_norm as batch_norm
from jdl.functional._batch_norm import moments as moments
from jdl.functional._blur_pool import blur_pool as blur_pool
from jdl.functional._conv import conv as conv
from jdl.functional._dense import dense as dense
from jdl.functional._dropout import dropout as dropout
from jdl.functional._embedding import embedding as embedding
from jdl.functional._flatten import flatten as flatten
from jdl.functional._grid_sample import affine_grid as affine_grid
from jdl.functional._grid_sample import grid_sample as grid_sample
from jdl.functional._layer_norm import layer_norm as layer_norm
from jdl.functional._layer_norm import rms_norm as rms_norm
from jdl.functional._pad import center_crop as center_crop
from jdl.functional._pad import crop as crop
from jdl.functional._pad import pad as pad
from jdl.functional._pool import avg_pool as avg_pool
from jdl.functional._pool import global_avg_pool as global_avg_pool
from jdl.functional._pool import global_max_pool as global_max_pool
from jdl.functional._pool import max_pool as max_pool
from jdl.functional._resize import resize as resize
from jdl.functional._resize import upsample as upsample
from jdl.functional._shuffle import channel_shuffle as channel_shuffle
from jdl.functional._shuffle import pixel_shuffle as pixel_shuffle
from jdl.functional._shuffle import pixel_unshuffle as pixel_unshuffle
from jdl.functional._unfold import fold as fold
from jdl.functional._unfold import unfold as unfold
