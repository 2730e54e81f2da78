"""One tree of arrays from what each process has."""

from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jdl.checkpoint._together import largest
from jdl.parallel._rules import Axis, _parts
from jdl.train._run import rows


def from_processes(data: Any, mesh: Mesh, *, axis: Axis = "data") -> Any:
    """Makes one tree of arrays of what samples each process has, one after the other along the first axis, as the mesh has them.

    Nothing is sent: each process puts its samples on its own devices. What all processes have whole is put by `parallel.place`.

    Args:
      data: this process's part, a tree of arrays with one first axis, that of samples, as many in each process.
      mesh: from `parallel.mesh`, over the devices of all.
      axis: the mesh axis, or axes, over which samples are split.

    Returns:
      The tree, of arrays over all devices.

    Raises:
      ValueError: if processes have different numbers of samples, or a process's devices can't have as many each.

    Example:
      >>> import numpy as np
      >>> from jdl import parallel
      >>> mesh = parallel.mesh("data=-1")
      >>> x = parallel.from_processes(np.zeros((2 * mesh.size, 3)), mesh)
      >>> x.shape == (2 * mesh.size, 3), x.sharding.spec
      (True, P('data',))
    """
    parts, sharding = _parts("from_processes", axis, mesh), NamedSharding(mesh, PartitionSpec(axis))
    own = len(set(map(str, sharding.addressable_devices_indices_map((parts,)).values())))
    size = rows(data)
    if largest(size) != -largest(-size):
        raise ValueError(f"from_processes: processes must have equally many samples, here there are {size}, elsewhere others")
    if size % own:
        raise ValueError(
            f"from_processes: {size} samples can't be split equally over this process's {own} parts of {axis!r}; drop some"
        )
    return jax.tree.map(lambda a: jax.make_array_from_process_local_data(sharding, np.asarray(a)), data)
