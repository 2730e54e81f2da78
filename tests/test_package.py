"""What holds for the package as a whole: its import, and the programs it makes."""

import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jdl import functional, losses, train
from jdl import layers as L

ROOT = Path(__file__).parents[1]


def python(code: str) -> str:
    return subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, text=True).stdout


def test_import_runs_nothing():
    """No backend is initialised, nothing is compiled, and what only some need is not imported."""
    found = python("""
import sys
import jax
events = []
jax.monitoring.register_event_duration_secs_listener(lambda event, *_, **__: events.append(event))
import jdl
print([event for event in events if "compile" in event or "trace" in event])
print([name for name in ("matplotlib", "sklearn", "orbax", "flax.linen", "flax.nnx", "tyro") if name in sys.modules])
from jax.extend.backend import backends
import jax._src.xla_bridge as bridge
print(bridge.backends_are_initialized())
""")
    assert found.splitlines()[0] == "[]" and found.splitlines()[2] == "False", found
    needed = python(
        'import sys, jax, optax, flax.struct, chex; print([n for n in ("orbax", "flax.linen", "flax.nnx") if n in sys.modules])'
    )
    assert found.splitlines()[1] == needed.strip()


def test_imports_go_down():
    """A floor imports only floors below it."""
    import ast

    floors = {
        "functional": 1,
        "initializers": 1,
        "losses": 1,
        "metrics": 1,
        "regularizers": 1,
        "constraints": 1,
        "gradients": 1,
        "augment": 1,
        "generation": 1,
        "curvature": 1,
        "optimizers": 1,
        "paths": 1,
        "search": 1,
        "_net": 2,
        "layer": 2,
        "layers": 3,
    }
    floors |= {"models": 4, "train": 4, "checkpoint": 5, "debug": 5, "parallel": 5, "report": 5, "loop": 6}
    upward = []
    for path in sorted((ROOT / "jdl").rglob("*.py")):
        own = path.relative_to(ROOT / "jdl").parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("jdl") and own in floors:
                parts = node.module.split(".")
                names = [parts[1]] if len(parts) > 1 else [alias.name for alias in node.names]
                upward += [f"{path.name} imports {name}" for name in names if floors[name] > floors[own]]
    assert not upward


def cost(step, *arguments):
    found = jax.jit(step).lower(*arguments).compile().cost_analysis()
    return found["flops"], found["bytes accessed"]


IMAGES, LABELS = jnp.ones((16, 8, 8, 1)), jnp.arange(16) % 10


def mlp_by_hand(params, x, key):
    hidden = jax.nn.relu(functional.dense(functional.flatten(x), **params["1"]))
    return functional.dense(hidden, **params["3"]), {}


def cnn_by_hand(params, x, key):
    x = functional.conv(x, params["0"]["kernel"], params["0"]["bias"])
    mean, variance = functional.moments(x)
    x = jax.nn.relu(functional.batch_norm(x, mean, variance, params["1"]["scale"], params["1"]["bias"]))
    x = functional.flatten(functional.max_pool(x, 2))
    x = functional.dropout(key, x, 0.2)
    running = {"mean": 0.9 * 0 + 0.1 * mean, "variance": 0.9 * 1 + 0.1 * variance}
    return functional.dense(x, **params["6"]), {"1": running}


MLP = L.chain(L.flatten, L.dense(64), jax.nn.relu, L.dense(10))
CNN = L.chain(L.conv(8, 3), L.batch_norm(), jax.nn.relu, L.max_pool(2), L.flatten, L.dropout(0.2), L.dense(10))


@pytest.mark.parametrize(("model", "by_hand"), [(MLP, mlp_by_hand), (CNN, cnn_by_hand)], ids=["mlp", "cnn"])
def test_no_overhead(key, model, by_hand):
    """A training step compiles to the operations and bytes of one written by hand over the functions of floor 1, within 1%."""
    optimizer = optax.adam(1e-3)
    step = train.step(train.objective(model, losses.cross_entropy), optimizer)
    train_state = step.init(key, (IMAGES, LABELS))

    def update(params, optimizer_state, key, count):
        def loss(params):
            logits, state = by_hand(params, IMAGES, jax.random.fold_in(key, count))
            return losses.cross_entropy(logits, LABELS), state

        (value, state), gradient = jax.value_and_grad(loss, has_aux=True)(params)
        updates, optimizer_state = optimizer.update(gradient, optimizer_state, params)
        return optax.apply_updates(params, updates), state, optimizer_state, count + 1, value

    expected = cost(update, train_state.params, train_state.optimizer_state, train_state.key, train_state.step)
    found = cost(lambda train_state: step.update(train_state, (IMAGES, LABELS)), train_state)
    np.testing.assert_allclose(found, expected, rtol=0.01)


def test_second_call_compiles_nothing(key):
    """A step and a run compile once for one set of shapes, whatever the values."""
    step = train.step(train.objective(CNN, losses.cross_entropy), optax.adam(1e-3))
    run = train.run(step, batch_size=8)
    advance = jax.jit(run.advance, static_argnums=2, donate_argnums=0)
    train_state = run.init(key, (IMAGES, LABELS))
    train_state, _ = advance(train_state, (IMAGES, LABELS), 2)
    compiled = []
    listener = lambda event, *_, **__: compiled.append(event) if "compile" in event or "trace" in event else None
    jax.monitoring.register_event_duration_secs_listener(listener)
    try:
        train_state, _ = advance(train_state, (IMAGES, LABELS), 2)
        again = len(compiled)
        advance(train_state, (IMAGES, LABELS), 3)
    finally:
        jax.monitoring.clear_event_listeners()
    assert again == 0 < len(compiled)
