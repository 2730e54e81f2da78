"""Floor 1: metrics, pure functions with the contract of losses."""

from jdl.metrics._boxes import box_iou as box_iou
from jdl.metrics._boxes import pairwise_box_iou as pairwise_box_iou
from jdl.metrics._classification import accuracy as accuracy
from jdl.metrics._images import ms_ssim as ms_ssim
from jdl.metrics._images import psnr as psnr
from jdl.metrics._images import ssim as ssim
