"""Generation: decoders with a cache, sampling and beam search."""

from fdl.generation.beam import Beams, beam_search, gnmt, power
from fdl.generation.decoder import Decoder, decoder
from fdl.generation.ensemble import ensemble
from fdl.generation.generate import Generated, generate, stream
from fdl.generation.pixels import sample_pixels
from fdl.generation.sampling import (
    Filter,
    compose,
    min_p,
    repetition_penalty,
    temperature,
    top_k,
    top_p,
    vocabulary,
)
from fdl.generation.text import joined, stream_text
from fdl.generation.translate import Translation, translate

__all__ = [
    "Beams",
    "Decoder",
    "Filter",
    "Generated",
    "Translation",
    "beam_search",
    "compose",
    "decoder",
    "ensemble",
    "generate",
    "gnmt",
    "joined",
    "min_p",
    "power",
    "repetition_penalty",
    "sample_pixels",
    "stream",
    "stream_text",
    "temperature",
    "top_k",
    "top_p",
    "translate",
    "vocabulary",
]
