"""Gates of recurrent cells, with derivatives that are few products when the loop runs backward."""

import jax
import jax.numpy as jnp


def sigmoid(x: jax.Array) -> jax.Array:
    """The logistic function through `tanh`, which on a CPU takes a quarter of the time."""
    return 0.5 + 0.5 * jnp.tanh(0.5 * x)


@jax.custom_jvp
def remember(i: jax.Array, f: jax.Array, g: jax.Array, c: jax.Array) -> jax.Array:
    """An LSTM's memory: `sigmoid(f) c + sigmoid(i) tanh(g)`."""
    return sigmoid(f) * c + sigmoid(i) * jnp.tanh(g)


@remember.defjvp
def _remember_jvp(primals, tangents):
    (i, f, g, c), (di, df, dg, dc) = primals, tangents
    i, f, g = sigmoid(i), sigmoid(f), jnp.tanh(g)
    change = (g * i * (1 - i)) * di + (c * f * (1 - f)) * df + (i * (1 - g * g)) * dg + f * dc
    return f * c + i * g, change  # one product of each gate is kept for the backward pass


@jax.custom_jvp
def expose(o: jax.Array, c: jax.Array) -> jax.Array:
    """What an LSTM shows of its memory: `sigmoid(o) tanh(c)`."""
    return sigmoid(o) * jnp.tanh(c)


@expose.defjvp
def _expose_jvp(primals, tangents):
    (o, c), (do, dc) = primals, tangents
    o, c = sigmoid(o), jnp.tanh(c)
    return o * c, (c * o * (1 - o)) * do + (o * (1 - c * c)) * dc
