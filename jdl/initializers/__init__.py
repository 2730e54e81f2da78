"""Floor 1: initializers, functions `(key, shape, dtype)` to an array: those of `jax.nn.initializers`, and more."""

from jax.nn.initializers import Initializer as Initializer
from jax.nn.initializers import constant as constant
from jax.nn.initializers import delta_orthogonal as delta_orthogonal
from jax.nn.initializers import glorot_normal as glorot_normal
from jax.nn.initializers import glorot_uniform as glorot_uniform
from jax.nn.initializers import he_normal as he_normal
from jax.nn.initializers import he_uniform as he_uniform
from jax.nn.initializers import kaiming_normal as kaiming_normal
from jax.nn.initializers import kaiming_uniform as kaiming_uniform
from jax.nn.initializers import lecun_normal as lecun_normal
from jax.nn.initializers import lecun_uniform as lecun_uniform
from jax.nn.initializers import normal as normal
from jax.nn.initializers import ones as ones
from jax.nn.initializers import orthogonal as orthogonal
from jax.nn.initializers import truncated_normal as truncated_normal
from jax.nn.initializers import uniform as uniform
from jax.nn.initializers import variance_scaling as variance_scaling
from jax.nn.initializers import xavier_normal as xavier_normal
from jax.nn.initializers import xavier_uniform as xavier_uniform
from jax.nn.initializers import zeros as zeros

from jdl.initializers._fixup import fixup as fixup
from jdl.initializers._forget_bias import forget_bias as forget_bias
from jdl.initializers._gain import gain as gain
from jdl.initializers._identity import dirac as dirac
from jdl.initializers._identity import identity as identity
from jdl.initializers._mup import mup_multipliers as mup_multipliers
from jdl.initializers._mup import mup_readout as mup_readout
from jdl.initializers._sparse import sparse as sparse
from jdl.initializers._stft import stft as stft
