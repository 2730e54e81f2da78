"""Value and gradient of cross-entropy over a large vocabulary: `losses.linear_cross_entropy` against all logits at once.

python experiments/benchmarks/linear_cross_entropy.py [tokens width vocabulary]     (full size takes 4 GB)
"""

import functools
import sys

import jax
import numpy as np
import rich
from _measure import environment, show, side_by_side
from rich.table import Table

from jdl import losses


def plain(x, kernel, labels):
    return losses.cross_entropy(x @ kernel, labels)


def temporary(program):
    """Bytes beyond arguments and results."""
    analysis = program.memory_analysis()
    return analysis.temp_size_in_bytes if analysis else 0


def difference(a, b):
    """The largest, relative to the largest entry."""
    return max(float(abs(one - other).max() / abs(other).max()) for one, other in zip(jax.tree.leaves(a), jax.tree.leaves(b)))


def main(tokens=8192, width=512, vocabulary=50_000):
    environment()
    keys = jax.random.split(jax.random.key(0), 3)
    x, kernel = jax.random.normal(keys[0], (tokens, width)), jax.random.normal(keys[1], (width, vocabulary)) / np.sqrt(width)
    labels = jax.random.randint(keys[2], (tokens,), 0, vocabulary)
    forms = {"all logits": plain}
    forms |= {f"chunk {chunk}": functools.partial(losses.linear_cross_entropy, chunk=chunk) for chunk in (256, 512)}
    compiled = {name: jax.jit(jax.value_and_grad(form, (0, 1))).lower(x, kernel, labels).compile() for name, form in forms.items()}
    memory = {name: temporary(program) for name, program in compiled.items()}
    expected = compiled["all logits"](x, kernel, labels)
    table = Table("memory beyond arguments and results", "MB", "all logits / this", "gradients differ by")
    for name, program in compiled.items():
        apart = difference(program(x, kernel, labels)[1], expected[1])
        table.add_row(name, f"{memory[name] / 1e6:.0f}", f"{memory['all logits'] / memory[name]:.1f}", f"{apart:.0e}")
    rich.print(table)
    del expected
    calls = {name: functools.partial(program, x, kernel, labels) for name, program in compiled.items()}
    show("value and gradient", {f"{tokens} x {width} x {vocabulary}": side_by_side(calls, rounds=3)})


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
