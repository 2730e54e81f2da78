"""Floor 4: models, layers made of layers."""

from jdl.models._transformer import decoder_cache as decoder_cache
from jdl.models._transformer import encoder_decoder as encoder_decoder
from jdl.models._transformer import transformer_decoder as transformer_decoder
from jdl.models._transformer import transformer_encoder as transformer_encoder
