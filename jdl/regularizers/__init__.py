"""Floor 1: penalties, functions from params to a scalar (or of activations and functions), and their proximal operators."""

from jdl.regularizers._algebra import scaled as scaled
from jdl.regularizers._algebra import total as total
from jdl.regularizers._anchored import ewc as ewc
from jdl.regularizers._anchored import l2_sp as l2_sp
from jdl.regularizers._functions import gradient_penalty as gradient_penalty
from jdl.regularizers._functions import jacobian as jacobian
from jdl.regularizers._groups import group_lasso as group_lasso
from jdl.regularizers._groups import sparse_group_lasso as sparse_group_lasso
from jdl.regularizers._matrices import nuclear as nuclear
from jdl.regularizers._matrices import orthogonal as orthogonal
from jdl.regularizers._matrices import spectral as spectral
from jdl.regularizers._outputs import activity as activity
from jdl.regularizers._outputs import confidence as confidence
from jdl.regularizers._outputs import kl_sparsity as kl_sparsity
from jdl.regularizers._outputs import total_variation as total_variation
from jdl.regularizers._proximal import proximal_elastic_net as proximal_elastic_net
from jdl.regularizers._proximal import proximal_group_lasso as proximal_group_lasso
from jdl.regularizers._proximal import proximal_l1 as proximal_l1
from jdl.regularizers._proximal import proximal_nuclear as proximal_nuclear
from jdl.regularizers._proximal import proximal_sparse_group_lasso as proximal_sparse_group_lasso
from jdl.regularizers._weights import elastic_net as elastic_net
from jdl.regularizers._weights import l1 as l1
from jdl.regularizers._weights import l2 as l2
