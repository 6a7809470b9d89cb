"""Layers that flax lacks, or computes more slowly or less exactly."""

from fdl.models.layers.attention import Attention
from fdl.models.layers.conv import conv
from fdl.models.layers.conv_transpose import ConvTranspose
from fdl.models.layers.dense import dense, tied_logits
from fdl.models.layers.layer_stack import Stack, stack_layers, unstack_layers
from fdl.models.layers.normalization import layer_norm, local_response_norm
from fdl.models.layers.orthogonal import orthogonal
from fdl.models.layers.pooling import adaptive_avg_pool, average, max_pool
from fdl.models.layers.stochastic_depth import StochasticDepth
from fdl.models.layers.transformer_block import FeedForward, TransformerBlock

__all__ = [
    "Attention",
    "ConvTranspose",
    "FeedForward",
    "Stack",
    "StochasticDepth",
    "TransformerBlock",
    "adaptive_avg_pool",
    "average",
    "conv",
    "dense",
    "layer_norm",
    "local_response_norm",
    "max_pool",
    "orthogonal",
    "stack_layers",
    "tied_logits",
    "unstack_layers",
]
