"""The table of all layers: a new layer is one row, and has every property that test_layer_properties.py tests.

`python -m tests.layer_table` writes the golden names and shapes of all params and states.
"""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from jdl import layers as L
from jdl.layer import Layer

GOLDEN = Path(__file__).parent / "golden" / "layer_shapes.json"


def array(*shape: int, dtype: str = "float32") -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, dtype)


@dataclasses.dataclass(frozen=True, eq=False)
class Row:
    """A layer and the facts that properties need.

    Attributes:
      name: of the test.
      make: builds the Layer.
      inputs: shapes and dtypes; the first axis of each is a batch of 4.
      wrong: pairs of one bad input and a regex of the message that it must give, at `init` and at `apply`.
      misfits: likewise, for inputs that fit no params of this row: good for `init`, bad for `apply`.
      draws: whether it draws random numbers in training.
      below: integers are drawn from 0 to this.
    """

    name: str
    make: Callable[[], Layer]
    inputs: tuple[jax.ShapeDtypeStruct, ...] = (array(4, 6),)
    wrong: tuple[tuple[jax.ShapeDtypeStruct, str], ...] = ()
    misfits: tuple[tuple[jax.ShapeDtypeStruct, str], ...] = ()
    draws: bool = False
    below: int = 5

    @property
    def floats(self) -> bool:
        """Whether the inputs are floating point, so that they have gradients."""
        return all(jnp.issubdtype(x.dtype, jnp.inexact) for x in self.inputs)

    def sample(self, rng: np.random.Generator, batch: int = 4) -> tuple[jax.Array, ...]:
        """Random inputs."""

        def one(x):
            shape = (batch, *x.shape[1:])
            draw = rng.normal(size=shape) if jnp.issubdtype(x.dtype, jnp.inexact) else rng.integers(self.below, size=shape)
            return jnp.asarray(draw.astype(x.dtype))

        return tuple(map(one, self.inputs))


def _composed() -> Layer:
    @L.compose(inner=L.dense(6), norm=L.batch_norm(), drop=L.dropout(0.5), out=L.dense(3))
    def forward(net, x):
        x = net.drop(net.norm(net.inner(x)))
        x = net.drop(net.norm(net.inner(x)))  # the same parameters, the next state, another mask
        return jnp.sin(net.out(x)) @ net.params["out"]["kernel"].T.astype(x.dtype)

    return forward


def _block() -> Layer:
    return L.residual(L.chain(L.batch_norm(), L.dense(6), jnp.sin, L.dropout(0.5)))


_IMAGES = (array(4, 6, 5, 2),)
_RANK = r"batch, 1 to 3 spatial axes, channels\), got float32\[4, 2\]"
_INTEGERS = (array(4, 6, dtype="int32"), r"floating-point array, got int32\[4, 6\]")
_INTEGER_IMAGES = (array(4, 6, 5, 2, dtype="uint8"), r"floating-point array, got uint8\[4, 6, 5, 2\]")
_SCALAR = (array(), r"float32\[\]")


def _conv(name: str, make: Callable[[], Layer], x: jax.ShapeDtypeStruct = _IMAGES[0]) -> Row:
    wrong = ((array(4, 2), "conv: .*"), (jax.ShapeDtypeStruct(x.shape, "int32"), "conv: x must be a floating-point array"))
    wider = array(*x.shape[:-1], x.shape[-1] + 2)
    return Row(name, make, (x,), wrong, ((wider, rf"conv: kernel takes {x.shape[-1]} channels"),))


def _pool(name: str, make: Callable[[], Layer], says: str) -> Row:
    return Row(name, make, _IMAGES, ((array(4, 2), rf"{says}: x must be .*{_RANK}"),))


LAYERS = (
    Row(
        "dense",
        lambda: L.dense(3),
        (array(4, 2, 6),),
        wrong=((_SCALAR[0], rf"dense: .*{_SCALAR[1]}"), (_INTEGERS[0], f"dense: x must be a {_INTEGERS[1]}")),
        misfits=((array(4, 5), r"dense: kernel takes 6 features, x is float32\[4, 5\]"),),
    ),
    Row("dense_without_bias", lambda: L.dense(3, bias=False)),
    _conv("conv_1d", lambda: L.conv(3, 3), array(4, 6, 2)),
    _conv("conv_2d", lambda: L.conv(3, (3, 2))),
    _conv("conv_3d", lambda: L.conv(3, 2), array(4, 3, 4, 3, 2)),
    _conv("conv_valid_strided", lambda: L.conv(3, 3, stride=(2, 1), padding="VALID")),
    _conv("conv_dilated", lambda: L.conv(3, 2, dilation=(2, 1))),
    _conv("conv_grouped", lambda: L.conv(4, 2, groups=2, bias=False)),
    _conv("conv_padded", lambda: L.conv(3, 3, stride=2, padding=((2, 1), (0, 3)))),
    _pool("max_pool", lambda: L.max_pool(2), "max_pool"),
    _pool("max_pool_overlapping", lambda: L.max_pool((3, 2), stride=(2, 1), padding="SAME"), "max_pool"),
    _pool("avg_pool", lambda: L.avg_pool(2), "avg_pool"),
    _pool("avg_pool_overlapping", lambda: L.avg_pool(3, stride=2, padding=1), "avg_pool"),
    _pool("global_max_pool", lambda: L.function(L.global_max_pool), "global_max_pool"),
    _pool("global_avg_pool", lambda: L.function(L.global_avg_pool), "global_avg_pool"),
    Row(
        "batch_norm",
        L.batch_norm,
        wrong=((array(6), r"batch_norm: .*float32\[6\]"), (_INTEGERS[0], f"batch_norm: x must be a {_INTEGERS[1]}")),
        misfits=((array(4, 5), r"batch_norm: .* 6 features, x is float32\[4, 5\]"),),
    ),
    Row("batch_norm_images", lambda: L.batch_norm(momentum=0.5), _IMAGES),
    Row(
        "layer_norm",
        L.layer_norm,
        wrong=((_SCALAR[0], rf"layer_norm: .*{_SCALAR[1]}"), (_INTEGERS[0], f"layer_norm: x must be a {_INTEGERS[1]}")),
        misfits=((array(4, 5), r"layer_norm: .*6 features, x is float32\[4, 5\]"),),
    ),
    Row(
        "rms_norm",
        L.rms_norm,
        wrong=((_SCALAR[0], rf"rms_norm: .*{_SCALAR[1]}"), (_INTEGERS[0], f"rms_norm: x must be a {_INTEGERS[1]}")),
        misfits=((array(4, 5), r"rms_norm: .*6 features, x is float32\[4, 5\]"),),
    ),
    Row("dropout", lambda: L.dropout(0.5), wrong=((_INTEGERS[0], f"dropout: x must be a {_INTEGERS[1]}"),), draws=True),
    Row(
        "embedding",
        lambda: L.embedding(5, 3),
        (array(4, 2, dtype="int32"),),
        wrong=((array(4, 2), r"embedding: ids must be integers, got float32\[4, 2\]"),),
        below=5,
    ),
    Row("flatten", lambda: L.function(L.flatten), _IMAGES, wrong=((_SCALAR[0], rf"flatten: .*{_SCALAR[1]}"),)),
    Row("function", lambda: L.function(jnp.tanh)),
    Row("chain", lambda: L.chain(L.dense(5), L.batch_norm(), jnp.sin, L.dropout(0.5), head=L.dense(3)), draws=True),
    Row("chain_of_images", lambda: L.chain(L.conv(3, 2), L.max_pool(2), L.flatten, L.dense(2)), _IMAGES),
    Row("compose", _composed, draws=True),
    Row("residual", lambda: L.residual(L.dense(6)), misfits=((array(4, 5), "dense: kernel takes 6 features"),)),
    Row(
        "residual_with_skip",
        lambda: L.residual(L.dense(3), skip=L.function(lambda x: x[:, :3])),
        wrong=((array(4, 2), r"skip is float32\[4, 2\], layer is float32\[4, 3\]|dense: kernel takes 6"),),
    ),
    Row("parallel", lambda: L.parallel(jnp.hstack, L.dense(2), jnp.tanh, norm=L.batch_norm())),
    Row("repeat", lambda: L.repeat(L.residual(L.dense(6)), 2)),
    Row("repeat_in_repeat", lambda: L.repeat(L.repeat(_block(), 2), 3), draws=True),
)


def shapes(row: Row) -> dict:
    """Names, dtypes and shapes of a layer's params and state."""

    def of(tree) -> dict:
        return {"/".join(p.key for p in path): f"{x.dtype}{list(x.shape)}" for path, x in jax.tree.leaves_with_path(tree)}

    params, state = jax.eval_shape(row.make().init, jax.random.key(0), *row.inputs)
    return {"params": of(params), "state": of(state)}


if __name__ == "__main__":
    GOLDEN.parent.mkdir(exist_ok=True)
    GOLDEN.write_text(json.dumps({row.name: shapes(row) for row in LAYERS}, indent=1) + "\n")
    print(f"{GOLDEN}: {len(LAYERS)} layers")
