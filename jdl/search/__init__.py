"""Floor 1: settings to try, dicts of hyperparameters with one entry for each setting."""

from jdl.search._axes import Axis as Axis
from jdl.search._axes import choice as choice
from jdl.search._axes import log_uniform as log_uniform
from jdl.search._axes import uniform as uniform
from jdl.search._designs import grid as grid
from jdl.search._designs import random as random
from jdl.search._designs import sobol as sobol
