"""Floor 6: the Python around runs."""

from jdl.loop._fit import fit as fit
from jdl.loop._sweep import Sweep as Sweep
from jdl.loop._sweep import sweep as sweep
