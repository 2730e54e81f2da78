"""Floor 1: penalties, functions from params to a scalar."""

from jdl.regularizers._weights import elastic_net as elastic_net
from jdl.regularizers._weights import l1 as l1
from jdl.regularizers._weights import l2 as l2
