"""GPT-2: autoregressive Transformer language models."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fdl.errors import UserError
from fdl.models.layers import layer_norm
from fdl.models.layers.dense import tied_logits
from fdl.models.layers.layer_stack import Stack
from fdl.models.layers.token_positions import TokenPositions
from fdl.models.layers.transformer_block import TransformerBlock
from fdl.models.pretrained import Rules
from fdl.models.pretrained import gpt2 as formats
from fdl.types import Array


class GPT(nn.Module):
    """Decoder-only Transformer of GPT-2: learned positions and pre-layer normalisation.

    The output layer is tied to the token embedding. Intermediates:
    ``decoder/layers_0/outputs`` and so on, the outputs of the blocks;
    ``decoder/layers_0/attention/weights`` and so on, the attention weights;
    ``features``, the input of the output layer.

    Attributes:
      num_layers: Number of Transformer blocks.
      num_heads: Number of attention heads.
      hidden_size: Number of features of a token.
      mlp_size: Hidden units of the feed-forward networks; four times `hidden_size` if
        None.
      activation: Activation of the feed-forward networks.
      use_bias: Whether dense layers and layer norms have a bias.
      epsilon: Constant that layer norms add to the variance.
      vocab_size: Number of tokens in the vocabulary.
      max_length: Maximum sequence length, in tokens.
      dropout: Dropout rate of the embeddings, the outputs of each residual branch and
        the attention weights.
      attention_dropout: Dropout rate of the attention weights; `dropout` if None.
      remat: Whether to recompute the activations of each block in the backward pass.
      scan_layers: Whether to run the blocks as one `flax.linen.scan`, compiled once.
      cache_length: Number of tokens that a new key-value cache can hold; `max_length`
        if None.
      dtype: Dtype of the computation; inferred from inputs and parameters if None.
      param_dtype: Dtype of the parameters.

    Example:
      Greedy decoding with a key-value cache:

      >>> model = GPT(2, 2, 8, vocab_size=16, max_length=8)
      >>> tokens = jnp.array([[1, 2, 3]])
      >>> variables = jax.jit(model.init)(jax.random.key(0), tokens)
      >>> options = {"decode": True, "mutable": ["cache"]}
      >>> step = jax.jit(functools.partial(model.apply, **options))
      >>> logits, cache = step(variables, tokens)
      >>> for _ in range(5):
      ...     last = logits[:, -1:].argmax(axis=-1)
      ...     tokens = jnp.concatenate([tokens, last], axis=1)
      ...     logits, cache = step({**variables, **cache}, last)
      >>> tokens.shape
      (1, 8)
      >>> full = jax.jit(model.apply)(variables, tokens)
      >>> bool(jnp.allclose(logits[:, -1], full[:, -1], atol=1e-5))
      True

    References:
      Radford et al., `Language Models are Unsupervised Multitask Learners
      <https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf>`_,
      2019.
    """

    num_layers: int
    num_heads: int
    hidden_size: int
    mlp_size: int | None = None
    activation: Callable[[Array], Array] = nn.gelu
    use_bias: bool = True
    epsilon: float = 1e-5
    vocab_size: int = 50_257
    max_length: int = 1024
    dropout: float = 0.0
    attention_dropout: float | None = None
    remat: bool = False
    scan_layers: bool = False
    cache_length: int | None = None
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    def setup(self) -> None:
        """Makes the layers that `logits` uses as well."""
        self.token_embedding = self._embed(self.vocab_size)

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
        if tokens.shape[1] > self.max_length:
            # Out-of-range look-ups do not fail under JAX, but return NaN.
            raise UserError(
                f"max_length={self.max_length}: expected at least the number of "
                f"tokens, {tokens.shape[1]}"
            )
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        norm = functools.partial(
            layer_norm, self.epsilon, use_bias=self.use_bias, **dtypes
        )
        places = TokenPositions(self.cache_length or self.max_length, name="places")
        attention_mask, positions = places(tokens, mask, segments, decode)
        x = self.token_embedding(tokens)
        x = x + self._embed(self.max_length, "position_embedding")(positions)
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        # After the mask: no positions, which only rotary embeddings use, and no memory.
        x = Stack(
            functools.partial(TransformerBlock, **self._block(), norm=norm, **dtypes),
            self.num_layers,
            self.scan_layers,
            self.remat,
            name="decoder",
        )(x, train, 0.0, attention_mask, None, None, None, decode)
        x = norm(name="norm")(x)
        self.sow("intermediates", "features", x)
        return x if return_features else self.logits(x)

    def logits(self, features: Array) -> Array:
        """Output layer: maps features, float [B, T, D], to logits, float [B, T, V].

        The logits of a large vocabulary need more memory than the rest of a network;
        with this method, not all of them have to be there at once.
        """
        return tied_logits(self.token_embedding, features)

    def _embed(self, size: int, name: str | None = None) -> nn.Embed:
        return nn.Embed(
            size,
            self.hidden_size,
            embedding_init=nn.initializers.normal(0.02),
            dtype=self.dtype,
            param_dtype=self.param_dtype,
            name=name,
        )

    def _block(self) -> dict[str, Any]:
        attention_dropout = self.attention_dropout
        return {
            "num_heads": self.num_heads,
            "mlp_size": self.mlp_size or 4 * self.hidden_size,
            "activation": self.activation,
            "use_bias": self.use_bias,
            "causal": True,
            "max_length": self.cache_length or self.max_length,
            "dropout": self.dropout,
            "attention_dropout": (
                self.dropout if attention_dropout is None else attention_dropout
            ),
            "kernel_init": nn.initializers.normal(0.02),
            # The residual stream sums 2 num_layers branches: GPT-2 scales their output
            # layers so that its initial variance does not grow with depth.
            "out_init": nn.initializers.normal(0.02 / (2 * self.num_layers) ** 0.5),
        }

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Example inputs: one sequence of the maximum length."""
        return (jax.ShapeDtypeStruct((1, self.max_length), jnp.int32),)

    def checkpoints(self) -> Mapping[str, Rules]:
        """Conversion rules of pretrained weights, by the name of their format."""
        return {"transformers": formats.TRANSFORMERS}


def gpt2_small(dropout: float = 0.1, **options: Any) -> GPT:
    """GPT-2 small; 124,439,808 parameters.

    Args:
      dropout: Dropout rate; see `GPT`.
      **options: Other attributes of `GPT`.
    """
    return GPT(12, 12, 768, dropout=dropout, **options)


def gpt2_medium(dropout: float = 0.1, **options: Any) -> GPT:
    """GPT-2 medium; 354,823,168 parameters.

    Args:
      dropout: Dropout rate; see `GPT`.
      **options: Other attributes of `GPT`.
    """
    return GPT(24, 16, 1024, dropout=dropout, **options)


def gpt2_large(dropout: float = 0.1, **options: Any) -> GPT:
    """GPT-2 large; 774,030,080 parameters.

    Args:
      dropout: Dropout rate; see `GPT`.
      **options: Other attributes of `GPT`.
    """
    return GPT(36, 20, 1280, dropout=dropout, **options)


def gpt2_xl(dropout: float = 0.1, **options: Any) -> GPT:
    """GPT-2 XL; 1,557,611,200 parameters.

    Args:
      dropout: Dropout rate; see `GPT`.
      **options: Other attributes of `GPT`.
    """
    return GPT(48, 25, 1600, dropout=dropout, **options)


# nanoGPT departs from GPT-2, which approximates GELU by tanh and has biases.
_NANOGPT: dict[str, Any] = {
    "activation": functools.partial(nn.gelu, approximate=False),
    "use_bias": False,
}


def nanogpt_char(dropout: float = 0.2, **options: Any) -> GPT:
    """nanoGPT's character-level model of Shakespeare; 10,745,088 parameters.

    Args:
      dropout: Dropout rate; see `GPT`.
      **options: Other attributes of `GPT`.

    References:
      Karpathy, `nanoGPT <https://github.com/karpathy/nanoGPT>`_, 2022.
    """
    sizes = {"vocab_size": 65, "max_length": 256}
    return GPT(6, 6, 384, dropout=dropout, **{**_NANOGPT, **sizes, **options})


def nanogpt_baby(**options: Any) -> GPT:
    """nanoGPT's small character-level model for CPUs; 804,096 parameters.

    Args:
      **options: Other attributes of `GPT`.

    References:
      Karpathy, `nanoGPT <https://github.com/karpathy/nanoGPT>`_, 2022.
    """
    sizes = {"vocab_size": 65, "max_length": 64}
    return GPT(4, 4, 128, **{**_NANOGPT, **sizes, **options})


def nanogpt_124m(**options: Any) -> GPT:
    """nanoGPT's reproduction of GPT-2 small, without biases; 124,373,760 parameters.

    Args:
      **options: Other attributes of `GPT`.

    References:
      Karpathy, `nanoGPT <https://github.com/karpathy/nanoGPT>`_, 2022.
    """
    # The vocabulary of 50,257 is padded to a multiple of 64 for speed on GPUs.
    return GPT(12, 12, 768, **{**_NANOGPT, "vocab_size": 50_304, **options})
