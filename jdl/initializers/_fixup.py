"""Residual networks without normalisation."""

from jax.nn import initializers

from jdl.functional import _check


def fixup(branches: int, layers: int) -> initializers.Initializer:
    """Draws as `he_normal` does, and multiplies by `branches^(-1 / (2 * layers - 2))`: for all layers of a branch but the last.

    With kernels of 0 in the last layer of each branch and in the classifier, the size of a network's updates does not depend on its
    depth. (In the paper, a branch also has a learned scalar factor, and scalar biases before its layers and activations.)

    Args:
      branches: how many residual branches the network has, L in the paper.
      layers: how many layers a branch has, at least 2, m in the paper.

    Returns:
      An initializer of kernels, `(..., in, out)`.

    Raises:
      ValueError: if `branches` is not a positive integer, or `layers` not one of at least 2.

    Example:
      >>> import jax
      >>> from jdl import initializers, layers as L
      >>> init = initializers.fixup(branches=16, layers=2)
      >>> f"{init(jax.random.key(0), (200, 1000)).std():.3f}"
      '0.025'
      >>> block = L.residual(L.chain(L.conv(8, 3, kernel_init=init), jax.nn.relu, L.conv(8, 3, kernel_init=initializers.zeros)))

    Source: Zhang, Dauphin and Ma, "Fixup Initialization", https://arxiv.org/abs/1901.09321.
    """
    _check.positive("fixup", branches=branches, layers=layers)
    if layers < 2:
        raise ValueError(f"fixup: layers must be at least 2, got {layers}")
    return initializers.variance_scaling(2 * branches ** (-1 / (layers - 1)), "fan_in", "truncated_normal")
