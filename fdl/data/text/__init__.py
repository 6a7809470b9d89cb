"""Texts: corpora of tokens, and their batches."""

from fdl.data.text.streams import streams
from fdl.data.text.windows import windows

__all__ = ["streams", "windows"]
