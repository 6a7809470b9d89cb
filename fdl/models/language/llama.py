"""Llama: decoder-only Transformers with rotary positions and SwiGLU."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fdl.models.layers.dense import dense, tied_logits
from fdl.models.layers.layer_stack import Stack
from fdl.models.layers.position_encodings import RotaryScaling
from fdl.models.layers.token_positions import TokenPositions
from fdl.models.layers.transformer_block import TransformerBlock
from fdl.models.pretrained import Rules
from fdl.models.pretrained import llama as formats
from fdl.types import Array


class Llama(nn.Module):
    """Decoder-only Transformer of Llama: rotary positions, RMSNorm, SwiGLU, no biases.

    Mistral is the same with a `window`, and Qwen2 with `qkv_bias`. It has no learned
    positions, and so accepts sequences of any length. Intermediates are those of `GPT`.

    Attributes:
      num_layers: Number of Transformer blocks.
      num_heads: Number of attention heads.
      hidden_size: Number of features of a token.
      mlp_size: Hidden units of the feed-forward networks.
      num_kv_heads: Number of heads of keys and values (grouped-query attention);
        `num_heads` if None.
      head_size: Number of features of a head; `hidden_size` / `num_heads` if None.
      vocab_size: Number of tokens in the vocabulary.
      tie_embeddings: Whether the output layer is tied to the token embedding.
      rotary_base: Base θ of the rotary embedding, nearly the ratio of its longest
        wavelength to the shortest.
      rotary_scaling: Scaling of its frequencies, that of Llama 3.1; none if None.
      qkv_bias: Whether the projections to queries, keys and values have a bias.
      window: Number of last tokens that a token attends to, itself included (sliding
        window); all if None. The cache holds all tokens in any case.
      epsilon: Constant that RMSNorm adds to the mean of squares.
      max_length: Size of the key-value cache, in tokens, and length of `example`.
      dropout: Dropout rate of the embeddings and the outputs of each residual branch.
      attention_dropout: Dropout rate of the attention weights.
      remat: Whether to recompute the activations of each block in the backward pass.
      scan_layers: Whether to run the blocks as one `flax.linen.scan`, compiled once.
      cache_length: Number of tokens that a new key-value cache can hold; `max_length`
        if None.
      dtype: Dtype of the computation; inferred from inputs and parameters if None.
      param_dtype: Dtype of the parameters.

    References:
      Touvron et al., `LLaMA: Open and Efficient Foundation Language Models
      <https://arxiv.org/abs/2302.13971>`_, 2023.
    """

    num_layers: int
    num_heads: int
    hidden_size: int
    mlp_size: int
    num_kv_heads: int | None = None
    head_size: int | None = None
    vocab_size: int = 32_000
    tie_embeddings: bool = False
    rotary_base: float = 10_000.0
    rotary_scaling: RotaryScaling | None = None
    qkv_bias: bool = False
    window: int | None = None
    epsilon: float = 1e-5
    max_length: int = 4096
    dropout: float = 0.0
    attention_dropout: float = 0.0
    remat: bool = False
    scan_layers: bool = False
    cache_length: int | None = None
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    def setup(self) -> None:
        """Makes the layers that `logits` uses as well."""
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        init = nn.initializers.normal(0.02)
        self.token_embedding = nn.Embed(
            self.vocab_size, self.hidden_size, embedding_init=init, **dtypes
        )
        if not self.tie_embeddings:
            self.head = dense(
                self.vocab_size, use_bias=False, kernel_init=init, **dtypes
            )

    @nn.compact
    def __call__(
        self,
        tokens: Array,
        *,
        mask: Array | None = None,
        segments: Array | None = None,
        decode: bool = False,
        return_features: bool = False,
        train: bool = False,
    ) -> Array:
        """Maps tokens to logits of the next tokens, float [B, T, vocab_size].

        Args:
          tokens: Token ids, int [B, T].
          mask: bool [B, T], true at tokens and false at padding; all true if None.
          segments: Index of the sequence that a token belongs to, int [B, T], zero at
            padding; for several sequences packed into one row.
          decode: Whether the tokens continue those in the collection ``cache``.
          return_features: Whether to return the input of the output layer, float
            [B, T, hidden_size], for `logits`.
          train: Whether to run in training mode.
        """
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        norm: Callable[..., nn.Module] = functools.partial(
            nn.RMSNorm, epsilon=self.epsilon, **dtypes
        )
        length = self.cache_length or self.max_length
        places = TokenPositions(length, self.window, name="places")
        attention_mask, positions = places(tokens, mask, segments, decode)
        x = self.token_embedding(tokens)
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        # After the positions: no memory to attend to, and no mask of it.
        x = Stack(
            functools.partial(TransformerBlock, **self._block(), norm=norm, **dtypes),
            self.num_layers,
            self.scan_layers,
            self.remat,
            name="decoder",
        )(x, train, 0.0, attention_mask, positions, None, None, decode)
        x = norm(name="norm")(x)
        self.sow("intermediates", "features", x)
        return x if return_features else self.logits(x)

    def logits(self, features: Array) -> Array:
        """Output layer: maps features, float [B, T, D], to logits, float [B, T, V].

        The logits of a large vocabulary need more memory than the rest of a network;
        with this method, not all of them have to be there at once.
        """
        if self.tie_embeddings:
            return tied_logits(self.token_embedding, features)
        return self.head(features)

    def _block(self) -> dict[str, Any]:
        return {
            "num_heads": self.num_heads,
            "mlp_size": self.mlp_size,
            "num_kv_heads": self.num_kv_heads,
            "head_size": self.head_size,
            "activation": nn.silu,
            "gated": True,
            "use_bias": False,
            "qkv_bias": self.qkv_bias,
            "causal": True,
            "rotary_base": self.rotary_base,
            "rotary_scaling": self.rotary_scaling,
            "max_length": self.cache_length or self.max_length,
            "dropout": self.dropout,
            "attention_dropout": self.attention_dropout,
            "kernel_init": nn.initializers.normal(0.02),
            # The residual stream sums 2 num_layers branches: as in GPT-2, their output
            # layers are scaled so that its initial variance does not grow with depth.
            "out_init": nn.initializers.normal(0.02 / (2 * self.num_layers) ** 0.5),
        }

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Example inputs: one sequence of the maximum length."""
        return (jax.ShapeDtypeStruct((1, self.max_length), jnp.int32),)

    def checkpoints(self) -> Mapping[str, Rules]:
        """Conversion rules of pretrained weights, by the name of their format."""
        # Files may hold the output layer also where it is tied to the embedding.
        return {"transformers": formats.rules(tie_embeddings=self.tie_embeddings)}


def llama2_7b(**options: Any) -> Llama:
    """Llama 2, 7B; 6,738,415,616 parameters.

    Args:
      **options: Other attributes of `Llama`.

    References:
      Touvron et al., `Llama 2: Open Foundation and Fine-Tuned Chat Models
      <https://arxiv.org/abs/2307.09288>`_, 2023.
    """
    return Llama(32, 32, 4096, 11_008, **options)


def llama3_8b(**options: Any) -> Llama:
    """Llama 3, 8B; 8,030,261,248 parameters.

    Args:
      **options: Other attributes of `Llama`.

    References:
      Grattafiori et al., `The Llama 3 Herd of Models
      <https://arxiv.org/abs/2407.21783>`_, 2024.
    """
    sizes = {"vocab_size": 128_256, "rotary_base": 500_000.0, "max_length": 8192}
    return Llama(32, 32, 4096, 14_336, 8, **{**sizes, **options})


def tinyllama_1b(**options: Any) -> Llama:
    """TinyLlama, 1.1B; 1,100,048,384 parameters.

    Args:
      **options: Other attributes of `Llama`.

    References:
      Zhang et al., `TinyLlama: An Open-Source Small Language Model
      <https://arxiv.org/abs/2401.02385>`_, 2024.
    """
    return Llama(22, 32, 2048, 5632, 4, **{"max_length": 2048, **options})


def stories15m(**options: Any) -> Llama:
    """TinyStories 15M of llama2.c; 15,191,712 parameters.

    Args:
      **options: Other attributes of `Llama`.

    References:
      Karpathy, `llama2.c <https://github.com/karpathy/llama2.c>`_, 2023.
    """
    sizes = {"tie_embeddings": True, "max_length": 256}
    return Llama(6, 6, 288, 768, **{**sizes, **options})


def stories42m(**options: Any) -> Llama:
    """TinyStories 42M of llama2.c; 41,689,600 parameters.

    Args:
      **options: Other attributes of `Llama`.

    References:
      Karpathy, `llama2.c <https://github.com/karpathy/llama2.c>`_, 2023.
    """
    sizes = {"tie_embeddings": True, "max_length": 1024}
    return Llama(8, 8, 512, 1376, **{**sizes, **options})


def stories110m(**options: Any) -> Llama:
    """TinyStories 110M of llama2.c; 109,529,856 parameters.

    Args:
      **options: Other attributes of `Llama`.

    References:
      Karpathy, `llama2.c <https://github.com/karpathy/llama2.c>`_, 2023.
    """
    sizes = {"tie_embeddings": True, "max_length": 1024}
    return Llama(12, 12, 768, 2048, **{**sizes, **options})
