"""Floor 1: losses, pure functions of predictions and targets with one contract."""

from jdl.losses._boxes import box_iou_loss as box_iou_loss
from jdl.losses._boxes import complete_box_iou_loss as complete_box_iou_loss
from jdl.losses._boxes import distance_box_iou_loss as distance_box_iou_loss
from jdl.losses._boxes import generalized_box_iou_loss as generalized_box_iou_loss
from jdl.losses._classification import binary_cross_entropy as binary_cross_entropy
from jdl.losses._classification import cross_entropy as cross_entropy
from jdl.losses._images import ms_ssim_loss as ms_ssim_loss
from jdl.losses._images import ssim_loss as ssim_loss
from jdl.losses._lovasz import lovasz_hinge as lovasz_hinge
from jdl.losses._lovasz import lovasz_softmax as lovasz_softmax
from jdl.losses._overlap import binary_dice_loss as binary_dice_loss
from jdl.losses._overlap import binary_jaccard_loss as binary_jaccard_loss
from jdl.losses._overlap import binary_tversky_loss as binary_tversky_loss
from jdl.losses._overlap import dice_loss as dice_loss
from jdl.losses._overlap import jaccard_loss as jaccard_loss
from jdl.losses._overlap import tversky_loss as tversky_loss
from jdl.losses._ranking import approx_ndcg_loss as approx_ndcg_loss
from jdl.losses._ranking import lambda_rank as lambda_rank
from jdl.losses._ranking import list_mle as list_mle
from jdl.losses._ranking import pairwise_logistic as pairwise_logistic
from jdl.losses._ranking import ranking_softmax_loss as ranking_softmax_loss
from jdl.losses._regression import mean_squared_error as mean_squared_error
