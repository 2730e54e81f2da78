"""Floor 4: the pure part of training. An objective, a step, a run: each a pair of pure functions, each made from the one before."""

from jdl.train._evaluate import evaluate as evaluate
from jdl.train._objective import Objective as Objective
from jdl.train._objective import objective as objective
from jdl.train._order import shuffled as shuffled
from jdl.train._run import Run as Run
from jdl.train._run import population as population
from jdl.train._run import run as run
from jdl.train._state import TrainState as TrainState
from jdl.train._step import Step as Step
from jdl.train._step import augment as augment
from jdl.train._step import step as step
