"""Writes the golden values: what PyTorch says, in float64. They are committed, so that tests need no PyTorch.

python tests/parity/make.py [family ...]     (needs torch; its version is in each file)
"""

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from parity._case import Case, weights

GOLDEN = Path(__file__).parents[1] / "golden" / "torch"


def golden(torch: Any, case: Case) -> dict[str, np.ndarray]:
    """Inputs, output and gradients, by path."""
    arrays = case.arrays()
    tensors = {name: torch.tensor(x, requires_grad=x.dtype.kind == "f") for name, x in arrays.items()}
    output = case.torch(torch, **tensors)
    (output * torch.tensor(weights(tuple(output.shape)))).sum().backward()
    values = {f"{case.name}/input/{name}": x for name, x in arrays.items()} | {f"{case.name}/output": output.detach().numpy()}
    gradients = {name: x.grad if x.grad is not None else torch.zeros_like(x) for name, x in tensors.items() if x.requires_grad}
    return values | {f"{case.name}/gradient/{name}": x.numpy() for name, x in gradients.items()}


def main(families: list[str]) -> None:
    torch: Any = importlib.import_module("torch")  # here, so that tests can be collected where it is not installed
    torch.use_deterministic_algorithms(True)
    GOLDEN.mkdir(parents=True, exist_ok=True)
    for family in families:
        cases = importlib.import_module(f"parity.{family}").CASES
        values = {path: x for case in cases for path, x in golden(torch, case).items()}
        np.savez_compressed(GOLDEN / f"{family}.npz", version=np.array(torch.__version__), **values)
        print(f"{family}: {len(cases)} cases, PyTorch {torch.__version__}")


if __name__ == "__main__":
    here = Path(__file__).parent
    main(sys.argv[1:] or sorted(path.stem for path in here.glob("*.py") if path.stem not in {"make", "__init__", "_case"}))
