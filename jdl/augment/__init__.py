"""Floor 1: augmentation, pure functions `(key, batch of inputs, ...) -> batch of inputs`.

`mixup` and `cutmix` take and return pairs of inputs and targets, as they mix both.
"""

from jdl.augment._mix import cutmix as cutmix
from jdl.augment._mix import draw_mix as draw_mix
from jdl.augment._mix import mix as mix
from jdl.augment._mix import mixup as mixup
from jdl.augment._shift import shift as shift
