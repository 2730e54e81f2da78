"""Floor 1: augmentation, pure functions `(key, batch of inputs, ...) -> batch of inputs`."""

from jdl.augment._shift import shift as shift
