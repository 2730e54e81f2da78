"""One model from many: means of members' params."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from jdl.functional._numbers import widen


def soup(members: Any) -> Any:
    """The mean of members' params: a uniform model soup. Members should come from one pretrained model, or one run.

    Args:
      members: a tree of arrays whose first axis is that of members, such as the params of a population.

    Returns:
      A tree without that axis.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import train
      >>> train.soup({"kernel": jnp.array([[1.0, 2.0], [3.0, 6.0]])})["kernel"].tolist()
      [2.0, 4.0]

    Source: Wortsman et al., "Model soups", https://arxiv.org/abs/2203.05482.
    """
    return jax.tree.map(lambda x: widen(x).mean(0).astype(x.dtype), members)


def greedy_soup(score: Callable[[Any], jax.Array], members: Any) -> tuple[Any, jax.Array]:
    """The mean of those members that help: from the best member on, each is added if the mean scores no worse with it.

    Args:
      score: `params -> scalar` on held-out data, the higher the better: for a loss, minus it.
      members: a tree of arrays whose first axis is that of members.

    Returns:
      The mean, a tree without that axis, which scores at least as high as the best member; and bools, which members are in it.

    Example:
      >>> import jax.numpy as jnp
      >>> from jdl import train
      >>> mean, used = train.greedy_soup(lambda w: -jnp.abs(w - 2.0), jnp.array([9.0, 1.0, 2.5]))
      >>> mean.item(), used.tolist()
      (1.75, [False, True, True])

    Source: Wortsman et al., "Model soups", https://arxiv.org/abs/2203.05482.
    """
    scores = jax.lax.map(score, members)

    def mix(used: jax.Array) -> Any:
        def mean(x: jax.Array) -> jax.Array:
            wide = widen(x)
            return (jnp.tensordot(used.astype(wide.dtype), wide, 1) / used.sum()).astype(x.dtype)

        return jax.tree.map(mean, members)

    def taste(carry: tuple[jax.Array, jax.Array], member: jax.Array):
        used, best = carry
        more = used.at[member].set(True)
        found = score(mix(more))
        better = found >= best
        return (jnp.where(better, more, used), jnp.where(better, found, best)), None

    order = jnp.argsort(-scores)
    first = jnp.zeros(scores.shape, bool).at[order[0]].set(True)
    (used, _), _ = jax.lax.scan(taste, (first, scores[order[0]]), order[1:])
    return mix(used), used
