"""Floor 1: what is done to gradients, mostly Optax transformations that Optax lacks or does for another layout of kernels."""

from optax import add_noise as add_noise
from optax import clip as clip
from optax import clip_by_block_rms as clip_by_block_rms
from optax import clip_by_global_norm as clip_by_global_norm
from optax.contrib import differentially_private_aggregate as differentially_private_aggregate

from jdl.gradients._examples import NoiseScale as NoiseScale
from jdl.gradients._examples import gradient_noise_scale as gradient_noise_scale
from jdl.gradients._examples import per_example as per_example
from jdl.gradients._groups import by_path as by_path
from jdl.gradients._groups import freeze as freeze
from jdl.gradients._lookahead import lookahead as lookahead
from jdl.gradients._proximal import proximal as proximal
from jdl.gradients._sharpness import asam as asam
from jdl.gradients._sharpness import sam as sam
from jdl.gradients._tasks import gradnorm as gradnorm
from jdl.gradients._tasks import pcgrad as pcgrad
from jdl.gradients._units import adaptive_clip as adaptive_clip
from jdl.gradients._units import centralize as centralize
from jdl.gradients._units import clip_by_norm as clip_by_norm
from jdl.gradients._units import standardize as standardize
