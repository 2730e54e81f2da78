"""Values and gradients against PyTorch's, which `tests/parity/make.py` wrote in float64."""

import functools
import importlib
from pathlib import Path

import jax
import numpy as np
import pytest
from parity._case import Case, weights

GOLDEN = Path(__file__).parent / "golden" / "torch"
FAMILIES = sorted(path.stem for path in GOLDEN.glob("*.npz"))
CASES = [(family, case) for family in FAMILIES for case in importlib.import_module(f"parity.{family}").CASES]

LIMITS = {"float32": 1e-5, "float64": 1e-10}


def test_every_family_has_its_golden_values():
    written = {path.stem for path in Path(__file__).parent.glob("parity/[a-z]*.py")} - {"make"}
    assert written == set(FAMILIES)


@functools.cache
def golden(family: str) -> dict[str, np.ndarray]:
    with np.load(GOLDEN / f"{family}.npz") as file:
        return dict(file)


def assert_near(actual, expected, limit):
    """Within `limit` of the expected array, relative to its largest entry."""
    assert actual.shape == expected.shape
    np.testing.assert_allclose(np.asarray(actual, np.float64), expected, rtol=0, atol=limit * max(np.abs(expected).max(), 1e-3))


def given(dtype: str):
    """A case in a dtype: all in float64, whose limit is the tighter one, and one of each family in float32 without `-m slow`."""
    for number, (family, case) in enumerate(CASES):
        first = number == 0 or CASES[number - 1][0] != family
        marks = () if dtype == "float64" or first else (pytest.mark.slow,)
        yield pytest.param(family, case, dtype, LIMITS[dtype], id=f"{dtype}-{case.name}", marks=marks)


@pytest.mark.parametrize("family, case, dtype, limit", [*given("float32"), *given("float64")])
def test_values_and_gradients_are_those_of_pytorch(family: str, case: Case, dtype: str, limit: float):
    values = {path.removeprefix(f"{case.name}/"): x for path, x in golden(family).items() if path.startswith(f"{case.name}/")}
    inputs = {path.removeprefix("input/"): x for path, x in values.items() if path.startswith("input/")}
    moving = {name: x.astype(dtype) for name, x in inputs.items() if x.dtype.kind == "f"}
    fixed = {name: x for name, x in inputs.items() if name not in moving}

    def loss(moving):
        output = case.ours(**moving, **fixed)
        return (output * weights(output.shape).astype(dtype)).sum(), output

    with jax.enable_x64(dtype == "float64"):
        (_, output), gradients = jax.jit(jax.value_and_grad(loss, has_aux=True))(moving)
    assert output.dtype == dtype
    assert_near(output, values["output"], limit)
    for name, gradient in gradients.items():
        assert_near(gradient, values[f"gradient/{name}"], limit)
