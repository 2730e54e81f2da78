"""Transforms of kernels and what PyTorch calls them: its parametrisations, where a kernel's first axis is its output."""

import jax.numpy as jnp
import numpy as np

from jdl import functional as F
from parity._case import Case

START = np.cos(np.arange(4.0)) / np.linalg.norm(np.cos(np.arange(4.0)))
STEPS = 3


def _weight_norm(torch, x, direction, scale):
    layer = torch.nn.utils.parametrizations.weight_norm(torch.nn.Conv2d(2, 4, (3, 2), bias=False, dtype=x.dtype))
    original = {"original0": scale.reshape(4, 1, 1, 1), "original1": direction.permute(3, 2, 0, 1)}
    weights = {f"parametrizations.weight.{name}": value for name, value in original.items()}
    return torch.func.functional_call(layer, weights, (x.permute(0, 3, 1, 2),)).permute(0, 2, 3, 1)


def _spectral_norm(torch, kernel):
    """The weight of a layer in training: after `STEPS` steps from a given start."""
    layer = torch.nn.utils.parametrizations.spectral_norm(
        torch.nn.Conv2d(2, 4, (3, 2), dtype=kernel.dtype), n_power_iterations=STEPS
    )
    weight, u = kernel.permute(3, 2, 0, 1), torch.tensor(START)
    rule = layer.parametrizations.weight[0].train()
    rule._u, rule._v = u, torch.nn.functional.normalize(weight.detach().flatten(1).T @ u, dim=0)
    return rule(weight).permute(2, 3, 1, 0)


def _own_spectral_norm(kernel):
    u = jnp.asarray(START, kernel.dtype)
    for _ in range(STEPS):
        u = F.power_iteration(kernel, u)
    return F.spectral_norm(kernel, u)


def _orthogonal(torch, kernel):
    """PyTorch's rule takes the lower triangle of an unconstrained matrix, and keeps the first columns."""
    layer = torch.nn.Linear(3, 5, bias=False, dtype=kernel.dtype)
    made = torch.nn.utils.parametrizations.orthogonal(layer, orthogonal_map="cayley", use_trivialization=False)
    return made.parametrizations.weight[0](kernel)


CASES = (
    Case(
        "weight_norm",
        {"x": (2, 4, 5, 2), "direction": (3, 2, 2, 4), "scale": (4,)},
        lambda x, direction, scale: F.conv(x, F.weight_norm(direction, scale), padding="VALID"),
        _weight_norm,
    ),
    Case(
        "orthogonal",
        {"kernel": (5, 3)},
        lambda kernel: F.orthogonal(jnp.tril(kernel), jnp.eye(5, 3, dtype=kernel.dtype)),
        _orthogonal,
    ),
    Case("spectral_norm", {"kernel": (3, 2, 2, 4)}, _own_spectral_norm, _spectral_norm),
    Case(
        "weight_standardization",
        {"kernel": (3, 2, 2, 4)},
        F.weight_standardization,
        lambda torch, kernel: torch.nn.functional.layer_norm(kernel.reshape(12, 4).T, (12,)).T.reshape(kernel.shape),
    ),
    Case(
        "lora",
        {"kernel": (3, 2, 2, 4), "a": (12, 2), "b": (2, 4)},
        lambda kernel, a, b: F.lora(kernel, a, b, alpha=6.0),
        lambda torch, kernel, a, b: kernel + 3 * torch.einsum("ir,ro->io", a, b).reshape(kernel.shape),
    ),
)
