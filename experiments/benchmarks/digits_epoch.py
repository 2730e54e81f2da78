"""One compiled epoch of the digits network: jdl's layers against the same with lax's convolution and pooling.

python experiments/benchmarks/digits_epoch.py [members, 1 if not given]
"""

import functools
import sys
from pathlib import Path

import jax
import optax
from _measure import environment, show, side_by_side
from jax.nn.initializers import lecun_normal

from jdl import layers as L
from jdl import losses, train

sys.path.append(str(Path(__file__).parents[1]))
import digits


def lax_conv(features, window):
    def forward(params, x):
        layout = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(x, params["kernel"], (1, 1), "SAME", dimension_numbers=layout)

    return L.stateless(lambda key, x: {"kernel": lecun_normal()(key, (window, window, x.shape[-1], features))}, forward)


def lax_pool(window):
    shape = (1, window, window, 1)
    return L.function(lambda x: jax.lax.reduce_window(x, -jax.numpy.inf, jax.lax.max, shape, shape, "VALID"))


def convolutions(conv, pool):
    """The layers that differ, and little else."""
    return L.chain(conv(32, 3), jax.nn.relu, pool(2), conv(64, 3), jax.nn.relu, pool(2), L.flatten, L.dense(10))


def whole(conv, pool):
    """As in experiments/digits.py."""
    return L.chain(
        *(conv(32, 3), L.batch_norm(), jax.nn.relu, pool(2)),
        *(conv(64, 3), L.batch_norm(), jax.nn.relu),
        *(L.flatten, L.dropout(0.5), L.dense(10)),
    )


def epoch(model, data, members):
    step = train.step(train.objective(model, losses.cross_entropy), optax.adam(1e-3))
    run = train.population(train.run(step, batch_size=64))
    train_state = run.init(jax.random.split(jax.random.key(0), members), data)
    advance = jax.jit(run.advance, static_argnums=2)
    return functools.partial(advance, train_state, data, len(data[1]) // 64)


def main(members: int):
    data, _ = digits.load()
    environment()
    rows = {}
    for name, network in {"convolutions and pooling": convolutions, "with batch norm and dropout": whole}.items():
        networks = {"lax": network(lax_conv, lax_pool), "jdl": network(functools.partial(L.conv, bias=False), L.max_pool)}
        contestants = {contestant: epoch(model, data, members) for contestant, model in networks.items()}
        rows[name] = side_by_side(contestants, rounds=7 if members == 1 else 1)
    show(f"an epoch of digits, 14 steps of 64, members: {members}", rows)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:] or ["1"]))
