"""Floor 1: losses, pure functions of predictions and targets with one contract."""

from jdl.losses._classification import binary_cross_entropy as binary_cross_entropy
from jdl.losses._classification import cross_entropy as cross_entropy
from jdl.losses._lovasz import lovasz_hinge as lovasz_hinge
from jdl.losses._lovasz import lovasz_softmax as lovasz_softmax
from jdl.losses._overlap import binary_dice_loss as binary_dice_loss
from jdl.losses._overlap import binary_jaccard_loss as binary_jaccard_loss
from jdl.losses._overlap import binary_tversky_loss as binary_tversky_loss
from jdl.losses._overlap import dice_loss as dice_loss
from jdl.losses._overlap import jaccard_loss as jaccard_loss
from jdl.losses._overlap import tversky_loss as tversky_loss
from jdl.losses._regression import mean_squared_error as mean_squared_error
