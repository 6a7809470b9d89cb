"""Text: tokenizers, and what they are applied to."""

from fdl.data.text import tokenizers
from fdl.data.text.context_pairs import context_pairs

__all__ = ["context_pairs", "tokenizers"]
