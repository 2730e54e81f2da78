"""Floor 1: generation, pure functions of a step `(tokens, cache) -> (logits, cache)` and of logits."""

from jdl.generation._beam_search import beam_search as beam_search
from jdl.generation._filters import min_p as min_p
from jdl.generation._filters import sample as sample
from jdl.generation._filters import temperature as temperature
from jdl.generation._filters import top_k as top_k
from jdl.generation._filters import top_p as top_p
from jdl.generation._generate import Generated as Generated
from jdl.generation._generate import generate as generate
from jdl.generation._prompts import pad_prompts as pad_prompts
from jdl.generation._unroll import unroll as unroll
