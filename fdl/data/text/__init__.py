"""Texts: corpora of tokens, and their batches."""

from fdl.data.text.buckets import BucketPlan, bucket_plan, buckets
from fdl.data.text.packing import pack, padding_share
from fdl.data.text.streams import streams
from fdl.data.text.windows import windows

__all__ = [
    "BucketPlan",
    "bucket_plan",
    "buckets",
    "pack",
    "padding_share",
    "streams",
    "windows",
]
