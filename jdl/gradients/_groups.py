"""Rules for groups of parameters, which globs select."""

from collections.abc import Mapping
from typing import Any

import jax
import optax

from jdl import paths


def freeze(where: str) -> optax.GradientTransformation:
    """Keeps parameters as they are: their updates are set to zero.

    Chain it after the optimizer, so that decay and momentum move nothing either. To save the optimizer's state for them too, use
    `by_path({where: optax.set_to_zero(), "**": optimizer})`.

    Args:
      where: glob over paths, such as `"encoder/**"`.

    Returns:
      An Optax transformation.

    Raises:
      ValueError: when called, if `where` matches nothing.

    Example:
      >>> import jax.numpy as jnp, optax
      >>> from jdl import gradients
      >>> params = {"encoder": {"kernel": jnp.ones(1)}, "decoder": {"kernel": jnp.ones(1)}}
      >>> optimizer = optax.chain(optax.sgd(0.5), gradients.freeze("encoder/**"))
      >>> updates, _ = optimizer.update(params, optimizer.init(params), params)
      >>> updates["encoder"]["kernel"].item(), updates["decoder"]["kernel"].item()
      (0.0, -0.5)
    """
    return optax.masked(optax.set_to_zero(), lambda tree: paths.matches(tree, where))


def by_path(rules: Mapping[str, optax.GradientTransformation]) -> optax.GradientTransformation:
    """Gives each parameter the optimizer of the first glob that matches its path.

    Args:
      rules: optimizers by glob, such as `{"**/bias": optax.sgd(0.1), "**": optax.adam(1e-3)}`; the order counts.

    Returns:
      An Optax transformation. An optimizer sees only its own parameters, so norms over all of them are over its group.

    Raises:
      ValueError: when called, if a glob matches nothing, or no glob matches a parameter.

    Example:
      >>> import jax.numpy as jnp, optax
      >>> from jdl import gradients
      >>> params = {"kernel": jnp.ones(1), "bias": jnp.ones(1)}
      >>> optimizer = gradients.by_path({"**/bias": optax.sgd(0.25), "**": optax.sgd(0.5)})
      >>> updates, _ = optimizer.update(params, optimizer.init(params), params)
      >>> updates["kernel"].item(), updates["bias"].item()
      (-0.5, -0.25)
    """

    def labels(tree: Any) -> Any:
        def first(path: Any, leaf: Any, *hits: bool) -> str:
            found = [where for where, hit in zip(rules, hits) if hit]
            if not found:
                name = jax.tree_util.keystr(path, simple=True, separator="/")
                raise ValueError(f'by_path: no glob matches {name}; add a rule for "**" as the last one')
            return found[0]

        return jax.tree_util.tree_map_with_path(first, tree, *(paths.matches(tree, where) for where in rules))

    optimizers: dict[Any, optax.GradientTransformation] = dict(rules)
    return optax.partition(optimizers, labels)
