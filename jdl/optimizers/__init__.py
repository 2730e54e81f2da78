"""Floor 1: optimizers beyond first order, as Optax transformations, and the minimisation of a function inside one program.

Those that search along a line do it with a transformation of Optax, `linesearch`, and get from `train.step`, or from `minimize`,
what they need: `update(gradient, state, params, value=value, grad=gradient, value_fn=function)`. The function has to be
deterministic. What else is passed by keyword goes to it, as in Optax.
"""

from optax import lbfgs as lbfgs

from jdl.optimizers._conjugate_gradient import nonlinear_conjugate_gradient as nonlinear_conjugate_gradient
from jdl.optimizers._gauss_newton import gauss_newton as gauss_newton
from jdl.optimizers._gauss_newton import natural_gradient as natural_gradient
from jdl.optimizers._levenberg_marquardt import levenberg_marquardt as levenberg_marquardt
from jdl.optimizers._minimize import Minimum as Minimum
from jdl.optimizers._minimize import minimize as minimize
from jdl.optimizers._newton import newton as newton
from jdl.optimizers._newton_cg import newton_cg as newton_cg
