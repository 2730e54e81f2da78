"""Deep learning as pure functions, on JAX."""

from jdl import augment as augment
from jdl import checkpoint as checkpoint
from jdl import constraints as constraints
from jdl import curvature as curvature
from jdl import functional as functional
from jdl import generation as generation
from jdl import gradients as gradients
from jdl import initializers as initializers
from jdl import layers as layers
from jdl import losses as losses
from jdl import metrics as metrics
from jdl import models as models
from jdl import optimizers as optimizers
from jdl import parallel as parallel
from jdl import paths as paths
from jdl import regularizers as regularizers
from jdl import report as report
from jdl import search as search
from jdl import train as train
from jdl.layer import Layer as Layer
from jdl.loop import Sweep as Sweep
from jdl.loop import fit as fit
from jdl.loop import sweep as sweep
from jdl.report import summary as summary
