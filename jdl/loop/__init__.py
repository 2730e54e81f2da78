"""Floor 6: the Python around runs."""

from jdl.loop._fit import fit as fit
