"""Floor 5: many devices, and many processes. Meshes, where arrays lie on them, and what a program sends between them."""

from jdl.parallel._explain import Collective as Collective
from jdl.parallel._explain import Collectives as Collectives
from jdl.parallel._explain import Explanation as Explanation
from jdl.parallel._explain import Placed as Placed
from jdl.parallel._explain import collectives as collectives
from jdl.parallel._explain import explain as explain
from jdl.parallel._join import from_processes as from_processes
from jdl.parallel._mesh import mesh as mesh
from jdl.parallel._over import over as over
from jdl.parallel._over import split as split
from jdl.parallel._pipeline import pipeline as pipeline
from jdl.parallel._place import place as place
from jdl.parallel._ring import ring_attention as ring_attention
from jdl.parallel._rules import Rule as Rule
from jdl.parallel._rules import expert_parallel as expert_parallel
from jdl.parallel._rules import fully_sharded as fully_sharded
from jdl.parallel._rules import tensor_parallel as tensor_parallel
from jdl.parallel._start import Job as Job
from jdl.parallel._start import start as start
