"""Floor 6: the Python around runs."""

from jdl.loop._batch_size import largest_batch_size as largest_batch_size
from jdl.loop._cross_validate import cross_validate as cross_validate
from jdl.loop._feed import HostData as HostData
from jdl.loop._fit import fit as fit
from jdl.loop._sweep import Sweep as Sweep
from jdl.loop._sweep import sweep as sweep
