"""Text: tokenizers, and what they are applied to."""

from fdl.data.text import tokenizers

__all__ = ["tokenizers"]
