"""Sequence parallel: attention of a sequence that is split over devices."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, PartitionSpec

from jdl.functional._ring import ring
from jdl.parallel._outermost import outermost
from jdl.parallel._rules import _parts, check_mesh


def ring_attention(mesh: Mesh, *, axis: str = "sequence") -> Callable[..., Any]:
    """The backend of attention whose sequence is split over a mesh axis; keys and values go from device to device.

    `L.attention(8, causal=True, backend=parallel.ring_attention(mesh))` has the params and values of the layer without it, up to
    the order of sums. A device holds its part of queries, keys and values and the logits of one other part at a time, in the
    backward pass too, for which keys and values are sent again. Parts of which `causal` hides all are computed too. Masks, biases
    and positions are split along queries, and whole along keys. Samples and heads are split by the compiler, over other axes of the
    mesh. With `rate`, masks are others for another number of devices.

    Args:
      mesh: from `parallel.mesh`.
      axis: the mesh axis over which sequences are split, that of queries and that of keys and values.

    Returns:
      A `backend` for `functional.attention` and `L.attention`. It raises ValueError if the mesh axis doesn't divide the lengths of
      sequences, if weights are to be returned, or inside a `shard_map`, such as that of a pipeline.

    Raises:
      ValueError: if the mesh has no such axis.
      TypeError: if the mesh is none.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import functional, parallel
      >>> mesh = parallel.mesh("sequence=-1")
      >>> x = jnp.arange(3.0 * mesh.size).reshape(1, -1, 1, 1)
      >>> y = jax.jit(lambda x: functional.attention(0 * x, x, x, causal=True, backend=parallel.ring_attention(mesh)))(x)
      >>> y.ravel()[:3].tolist()
      [0.0, 0.5, 1.0]

    Source: Liu et al., "Ring Attention with Blockwise Transformers for Near-Infinite Context", https://arxiv.org/abs/2310.01889.
    """
    check_mesh("ring_attention", mesh)
    parts = _parts("ring_attention", axis, mesh)

    def backend(logits_of: Any, query: Any, keys: Any, values: Any, mask: Any, bias: Any, at: Any, *rest: Any) -> jax.Array:
        *others, key = rest
        outermost("ring_attention")
        if query.shape[1] % parts or keys.shape[1] % parts:
            given = f"{query.shape[1]} queries and {keys.shape[1]} keys"
            raise ValueError(
                f"ring_attention: {given} can't be split equally over {parts} devices of {axis!r}; pad sequences, and mask"
            )
        own = None if key is None else jax.vmap(jax.random.fold_in, (None, 0))(key, jnp.arange(parts))
        split, along = PartitionSpec(None, axis), PartitionSpec(None, None, axis)
        specs = split, split, split, _rows(mask, along), _rows(bias, along), _rows(at, split), *[PartitionSpec()] * len(others)

        def each(own: Any, *inputs: Any) -> jax.Array:
            return ring(logits_of, *inputs, key=None if own is None else own[0], axis_name=axis)

        specs = PartitionSpec(axis), *specs
        spread = jax.shard_map(each, mesh=mesh, in_specs=specs, out_specs=split, axis_names={axis})
        return spread(own, query, keys, values, mask, bias, at, *others)

    return backend


def _rows(x: Any, spec: PartitionSpec) -> PartitionSpec:
    """How what goes with queries is split, unless it is the same for all."""
    return PartitionSpec() if x is None or x.shape[len(spec) - 1] == 1 else spec
