"""Floor 4: the pure part of training. An objective, a step, a run: each a pair of pure functions, each made from the one before."""

from jdl.train._accumulate import accumulate as accumulate
from jdl.train._average import average as average
from jdl.train._average import averaged as averaged
from jdl.train._average import stochastic_weight_average as stochastic_weight_average
from jdl.train._early_stopping import EarlyStopping as EarlyStopping
from jdl.train._early_stopping import Progress as Progress
from jdl.train._early_stopping import early_stopping as early_stopping
from jdl.train._evaluate import evaluate as evaluate
from jdl.train._mean_over import mean_over as mean_over
from jdl.train._objective import Objective as Objective
from jdl.train._objective import objective as objective
from jdl.train._order import shuffled as shuffled
from jdl.train._run import Run as Run
from jdl.train._run import population as population
from jdl.train._run import run as run
from jdl.train._skip import skip_nonfinite as skip_nonfinite
from jdl.train._soup import greedy_soup as greedy_soup
from jdl.train._soup import soup as soup
from jdl.train._state import TrainState as TrainState
from jdl.train._step import Step as Step
from jdl.train._step import augment as augment
from jdl.train._step import step as step
from jdl.train._swag import swag as swag
from jdl.train._swag import swag_sample as swag_sample
