"""The members of a block over all devices, each whole on one of them, so that nothing is sent."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import ClosedJaxpr, Jaxpr, jaxprs_in_params
from jax.sharding import Mesh, NamedSharding, PartitionSpec, Sharding

from jdl import parallel
from jdl.checkpoint._together import laid
from jdl.functional import _check

OWN, SHARED = PartitionSpec("members"), PartitionSpec()  # of each member one, and one for all


def by_device(function: Callable, mesh: Mesh | None, given: Any, gives: Any) -> Callable:
    """A function of members, computed by each device for its own; what is OWN or SHARED of arguments and results, say specs."""
    return jax.shard_map(function, mesh=mesh, in_specs=given, out_specs=gives, check_vma=False) if mesh else function


def put(tree: Any, mesh: Mesh | None, spec: PartitionSpec = SHARED) -> Any:
    """Arrays on the devices of members; what lies there already is not copied."""
    if mesh is None:
        return jax.tree.map(jnp.asarray, tree)
    sharding = NamedSharding(mesh, spec)
    one = jax.device_put if sharding.is_fully_addressable else laid
    return jax.tree.map(lambda a: one(a, sharding), tree)


def lies_on_several(program: ClosedJaxpr | Jaxpr) -> bool:
    """Whether a program says of arrays in it that they lie on several devices."""
    for equation in getattr(program, "jaxpr", program).eqns:
        said = jax.tree.leaves([value for name, value in equation.params.items() if "sharding" in name])
        inner = any(map(lies_on_several, jaxprs_in_params(equation.params)))
        if inner or any(isinstance(one, Sharding) and one.num_devices > 1 for one in said):
            return True
    return False


def like_was(like: jax.Array, numbers: np.ndarray) -> jax.Array:
    """An array again of what `fetched` made of some."""
    array = jax.device_put(numbers, may_alias=False)  # jnp.asarray compiles a program for each shape
    return jax.random.wrap_key_data(array, impl=jax.random.key_impl(like)) if _check.is_key(like) else array


class Spread(NamedTuple):
    """How blocks of members are spread over devices: as many on each, and as many devices of each process.

    Attributes:
      members: how many there are.
      counts: numbers of devices to choose from.
      alone: whether runs lie on several devices themselves, and so are not spread.
    """

    members: int
    counts: Sequence[int]
    alone: bool = False

    @property
    def least(self) -> int:
        """How many a device has at least: two if there are, as `vmap` over one adds in another order than over several."""
        return min(2, self.members)

    @property
    def share(self) -> int:
        """How many each device has if they are spread over all."""
        return max(-(-self.members // self.counts[-1]), self.least)

    def filled(self, each: int) -> int:
        """The size of blocks of so many on a device: over as few devices as have all members, or over all devices."""
        return each * next((count for count in self.counts if count * each >= self.members), self.counts[-1])

    def asked(self, block: int) -> int:
        """The size of blocks, at least as asked for, that every process can have a part of."""
        return self.counts[0] * max(-(-min(block, self.members) // self.counts[0]), self.least)

    def devices(self, block: int) -> int:
        """The most devices that can have equal parts of a block; raises ValueError if not even one of each process can."""
        if counts := [count for count in self.counts if block % count == 0 and block >= count * self.least]:
            return counts[-1]
        raise ValueError(
            f"sweep: blocks of {block} members can't be split over {self.counts[0]} processes, at least {self.least} each"
        )

    def mesh(self, block: int) -> Mesh | None:
        """The devices for blocks of this size; None if runs lie on several themselves."""
        if self.alone:
            return None
        local = self.devices(block) // jax.process_count()
        by_process = [jax.local_devices(process_index=i)[:local] for i in range(jax.process_count())]
        return parallel.mesh("members=-1", devices=[device for devices in by_process for device in devices])


def spread(members: int, *, alone: bool) -> Spread:
    """Over the devices that there are."""
    most, processes = (1, 1) if alone else (jax.local_device_count(), jax.process_count())
    return Spread(members, [processes * local for local in range(1, most + 1)], alone)
