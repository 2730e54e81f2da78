"""The table of all layers: a new layer is one row, and has every property that test_layer_properties.py tests.

`python tests/layer_table.py` writes the golden names and shapes of all params and states.
"""

import json
from pathlib import Path

import jax
from rows import activations, attention, convolution, core, linear, noise, normalisation, pooling, recurrent, resampling, transforms
from rows._row import Row

_FAMILIES = (core, linear, convolution, resampling, pooling, normalisation, noise, activations, transforms, attention, recurrent)
LAYERS: tuple[Row, ...] = tuple(row for family in _FAMILIES for row in family.ROWS)
GOLDEN = Path(__file__).parent / "golden" / "layer_shapes.json"


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
