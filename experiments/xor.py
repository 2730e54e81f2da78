"""The smallest complete use: how many of 64 random 2-3-1 networks learn XOR? All are trained at once, in one program.

python experiments/xor.py        (a few seconds; expect most of them, not all: three hidden units leave poor local minima)
"""

import jax
import jax.numpy as jnp
import optax

from jdl import layers as L
from jdl import losses, train

inputs = jnp.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
labels = jnp.array([[0.0], [1.0], [1.0], [0.0]])
model = L.chain(L.dense(3), jnp.tanh, L.dense(1))


def experiment(key):
    objective = train.objective(model, losses.binary_cross_entropy)
    run = train.run(train.step(objective, optax.adam(0.05)), batch_size=4)
    final, _ = run.advance(run.init(key, (inputs, labels)), (inputs, labels), steps=1000)
    logits, _ = model.apply(final.params, final.state, inputs)
    return ((logits > 0) == (labels > 0)).all()


def main(members: int = 64) -> float:
    solved = jax.jit(jax.vmap(experiment))(jax.random.split(jax.random.key(0), members))
    print(f"solved XOR: {solved.sum()} of {members} networks")
    return solved.mean().item()


if __name__ == "__main__":
    main()
