"""Low-rank adapters."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax.nn import initializers

from jdl import functional, paths
from jdl.functional import _check
from jdl.layer import Layer
from jdl.layers._parameter import parameter
from jdl.layers._reparametrize import reparametrize


def lora(
    layer: Layer | Callable,
    rank: int,
    *,
    alpha: float | jax.Array | None = None,
    where: str | None = "**/kernel",
    kernel_init: initializers.Initializer = initializers.lecun_normal(),
) -> Layer:
    """Adds a low-rank product to kernels, seen as matrices `(everything, out)`: `kernel + alpha / rank * a b`.

    Its params are the layer's own and the adapters under `lora`. To begin with, b is 0 and the layer is the plain one with the same
    key. So params of a trained plain layer go in as they are, `params | pretrained`, and adapters come out as `params["lora"]`.

    To train the adapters alone, take the gradient by them:

        loss = lambda adapters: objective(params | {"lora": adapters})
        gradient = jax.grad(loss)(params["lora"])

    or freeze what is not theirs:

        labels = lambda params: jax.tree.map(lambda own: "adapter" if own else "frozen", paths.matches(params, "**/lora/**"))
        optimizer = optax.partition({"adapter": optax.adam(1e-3), "frozen": optax.set_to_zero()}, labels)

    Nothing is frozen otherwise. The sum of kernel and product is formed at every call.

    Wrap the layer inside `repeat`, `L.repeat(L.lora(layer, rank), times)`: the adapters are one `lora` beside the repeated params.
    Outside, kernels are stacked, and all repetitions would share b.

    Args:
      layer: any Layer.
      rank: of the product.
      alpha: strength; may be traced. The rank if not given, so that the factor is 1.
      where: glob over the paths of its params, see `jdl.paths`; None selects everything.
      kernel_init: makes a, `(everything, rank)`.

    Returns:
      A Layer like `layer`, whose params also have a, `(everything, rank)`, and b, `(rank, out)`, for every kernel.

    Raises:
      ValueError: if `rank` is not a positive integer; from `init` and `apply` if `where` matches nothing.

    Example:
      >>> import jax, jax.numpy as jnp
      >>> from jdl import layers as L
      >>> params, state = L.lora(L.dense(3), 2).init(jax.random.key(0), jnp.ones((4, 5)))
      >>> jax.tree.map(jnp.shape, params["lora"])
      {'kernel': {'a': (5, 2), 'b': (2, 3)}}

    Source: Hu et al., "LoRA: Low-Rank Adaptation of Large Language Models", https://arxiv.org/abs/2106.09685.
    """
    _check.positive("lora", rank=rank)

    def store(key, kernel):
        rows = kernel.size // kernel.shape[-1]
        a = parameter(key, "a", kernel_init, (rows, rank), kernel)
        return kernel, {"a": a, "b": jnp.zeros((rank, kernel.shape[-1]), a.dtype)}, {}

    def restore(kernel, own, kept, key, train):
        return functional.lora(kernel, own["a"], own["b"], alpha=alpha), {}

    return reparametrize("lora", layer, where, restore, store=store)


def merge_lora(params: dict, *, alpha: float | jax.Array | None = None) -> dict:
    """Adds the adapters to their kernels: params of the plain layer, which computes what the adapted one does.

    Args:
      params: of a Layer that has `lora` anywhere, also inside `repeat`.
      alpha: as it was given to `lora`.

    Returns:
      The params without adapters; kernels keep their dtype.

    Raises:
      ValueError: if there are no adapters.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import layers as L
      >>> adapters = {"kernel": {"a": jnp.ones((2, 1)), "b": jnp.ones((1, 2))}}
      >>> L.merge_lora({"kernel": jnp.eye(2), "lora": adapters})
      {'kernel': Array([[2., 1.],
             [1., 2.]], dtype=float32)}
    """
    paths.matches(params, "**/lora/**")

    def merged(node: Any) -> Any:
        if not isinstance(node, dict):
            return node
        plain = {name: merged(child) for name, child in node.items() if name != "lora"}
        return _added(plain, node.get("lora", {}), alpha, 1)

    return merged(params)


def unmerge_lora(merged: dict, params: dict, *, alpha: float | jax.Array | None = None) -> dict:
    """Undoes `merge_lora`: takes the adapters' part out of the kernels and puts the adapters beside them.

    Args:
      merged: what `merge_lora` returned.
      params: what it was given; only its adapters are looked at.
      alpha: as it was given to `lora`.

    Returns:
      Params like `params`; kernels differ by the rounding of an addition and a subtraction in their dtype.

    Raises:
      ValueError: if there are no adapters.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import layers as L
      >>> params = {"kernel": jnp.eye(2), "lora": {"kernel": {"a": jnp.ones((2, 1)), "b": jnp.ones((1, 2))}}}
      >>> L.unmerge_lora(L.merge_lora(params), params)["kernel"].tolist()
      [[1.0, 0.0], [0.0, 1.0]]
    """
    paths.matches(params, "**/lora/**")

    def unmerged(node: Any, adapted: Any) -> Any:
        if not isinstance(node, dict):
            return node
        plain = {name: unmerged(child, adapted[name]) for name, child in node.items()}
        adapters = adapted.get("lora", {})
        return _added(plain, adapters, alpha, -1) | ({"lora": adapters} if adapters else {})

    return unmerged(merged, params)


def _added(plain: Any, adapters: dict, alpha: float | jax.Array | None, sign: int) -> Any:
    """Plain params with the adapters' part added `sign` times."""
    if isinstance(plain, dict):
        return plain | {name: _added(plain[name], entry, alpha, sign) for name, entry in adapters.items()}
    return functional.lora(plain, sign * adapters["a"], adapters["b"], alpha=alpha).astype(plain.dtype)
