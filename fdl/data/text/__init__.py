"""Text: tokenizers, corpora of tokens, and their batches."""

from fdl.data.text import tokenizers
from fdl.data.text.answers import (
    Answer,
    num_cut,
    pack_answers,
    pad_preferences,
    read_answers,
    read_preferences,
)
from fdl.data.text.bin_files import read_bin
from fdl.data.text.buckets import BucketPlan, bucket_plan, buckets
from fdl.data.text.context_pairs import context_pairs
from fdl.data.text.corpus import Progress, corpus
from fdl.data.text.corpus_files import Corpus, read_corpus
from fdl.data.text.document_splits import duplicates, split_documents
from fdl.data.text.packing import pack, padding_share
from fdl.data.text.pair_buckets import PairPlan, pair_buckets, pair_plan
from fdl.data.text.parallel import read_parallel
from fdl.data.text.streams import streams
from fdl.data.text.token_splits import load_tokens, read_tokens
from fdl.data.text.windows import windows

__all__ = [
    "Answer",
    "BucketPlan",
    "Corpus",
    "PairPlan",
    "Progress",
    "bucket_plan",
    "buckets",
    "context_pairs",
    "corpus",
    "duplicates",
    "load_tokens",
    "num_cut",
    "pack",
    "pack_answers",
    "pad_preferences",
    "padding_share",
    "pair_buckets",
    "pair_plan",
    "read_answers",
    "read_bin",
    "read_corpus",
    "read_parallel",
    "read_preferences",
    "read_tokens",
    "split_documents",
    "streams",
    "tokenizers",
    "windows",
]
