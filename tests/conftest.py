"""Strict mode for every test: eight devices, no rank promotion, no key used twice; warnings are errors (pyproject.toml)."""

import os
from importlib.metadata import version
from pathlib import Path

os.environ["XLA_FLAGS"] = " ".join([
    os.environ.get("XLA_FLAGS", ""),
    "--xla_force_host_platform_device_count=8",
    "--xla_cpu_parallel_codegen_split_count=1",  # parts cost more than they gain where tests themselves run in parallel
])  # fmt: skip
if version("jaxlib").startswith("0.10."):  # where loaded programs of several devices mix up what they send, see docs/devices.md
    os.environ["XLA_FLAGS"] += " --xla_cpu_enable_concurrency_optimized_scheduler=false"

import jax
import numpy as np
import pytest
import trainer

jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update("jax_debug_key_reuse", True)
jax.config.update("jax_disable_most_optimizations", True)  # of LLVM, whose effort is most of the time that small tests take
CACHE = Path(__file__).parents[1] / ".cache" / "jax" / os.environ.get("PYTEST_XDIST_WORKER", "main")  # JAX doesn't lock it
jax.config.update("jax_compilation_cache_dir", str(CACHE))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)  # most programs are small, and many


@pytest.fixture
def seed(request):
    """A fresh seed for every run; a failure shows it, and `JDL_SEED` sets it."""
    value = int(os.environ.get("JDL_SEED", np.random.SeedSequence().entropy % 2**32))
    request.node.user_properties.append(("seed", value))
    print(f"seed {value} (set JDL_SEED={value} to run this again)")
    return value


@pytest.fixture
def rng(seed):
    return np.random.default_rng(seed)


@pytest.fixture
def key(seed):
    return jax.random.key(seed)


@pytest.fixture(scope="session")
def start():
    """Runs `trainer.py` with these arguments, in a process of its own."""
    with trainer.started() as start:
        yield start


def pytest_make_parametrize_id(config, val, argname):
    """Names for functions and shapes, the same in every process."""
    del config, argname
    shape = type(val) is tuple and all(isinstance(size, int) for size in val)
    return str(val) if shape else getattr(val, "__name__", None)
