"""Floor 1: losses, pure functions of predictions and targets with one contract."""

from jdl.losses._alignment import ctc as ctc
from jdl.losses._alignment import rnn_transducer as rnn_transducer
from jdl.losses._classification import binary_cross_entropy as binary_cross_entropy
from jdl.losses._classification import cross_entropy as cross_entropy
from jdl.losses._linear_cross_entropy import linear_cross_entropy as linear_cross_entropy
from jdl.losses._regression import mean_squared_error as mean_squared_error
