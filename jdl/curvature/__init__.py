"""Floor 1: curvature of functions of params, as products with vectors and as estimates that need only these."""

from jdl.curvature._estimates import hessian_diagonal as hessian_diagonal
from jdl.curvature._estimates import hessian_trace as hessian_trace
from jdl.curvature._lanczos import top_eigenvalues as top_eigenvalues
from jdl.curvature._products import fisher_vector_product as fisher_vector_product
from jdl.curvature._products import gauss_newton_vector_product as gauss_newton_vector_product
from jdl.curvature._products import hessian_vector_product as hessian_vector_product
