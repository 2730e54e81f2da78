"""Floor 1: constraints on parameters, Optax transformations that are chained after an optimizer."""

from jdl.constraints._norms import max_norm as max_norm
from jdl.constraints._norms import min_max_norm as min_max_norm
from jdl.constraints._norms import unit_norm as unit_norm
from jdl.constraints._sets import non_negative as non_negative
from jdl.constraints._sets import simplex as simplex
from jdl.constraints._sets import stiefel as stiefel
