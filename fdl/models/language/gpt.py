"""GPT: Transformers that say which token comes next."""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fdl.models.layers import layer_norm
from fdl.models.layers.dense import tied_logits
from fdl.models.layers.layer_stack import Stack
from fdl.models.layers.token_positions import TokenPositions
from fdl.models.layers.transformer_block import TransformerBlock
from fdl.models.pretrained import Rules
from fdl.models.pretrained import gpt2 as formats
from fdl.types import Array


class GPT(nn.Module):
    """A decoder of the form of GPT-2: learned positions, norms in front of branches.

    The embedding is also the readout. Intermediates: ``decoder/layers_0/outputs`` and
    so on, those of the layers; ``decoder/layers_0/attention/weights`` and so on, what
    attends to what; ``features``, what the readout sees.

    Attributes:
      num_layers: Blocks.
      num_heads: Heads of each attention.
      hidden_size: Features of a token.
      mlp_size: Hidden units of each feed-forward network; four times `hidden_size`
        where None.
      activation: That of the feed-forward networks.
      use_bias: Whether dense layers and norms have a bias.
      vocab_size: How many tokens there are.
      max_length: Tokens of the longest text.
      dropout: Fraction of the embeddings, of the outputs of each branch and of the
        attention weights that is dropped in training.
      attention_dropout: That of the attention weights, where it is another.
      remat: Whether what a block computes is computed again in the backward pass.
      scan_layers: Whether one block is compiled, and run many times.
      dtype: What is computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.

    Example:
      A text goes on from its cache, a token at a time:

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
    vocab_size: int = 50_257
    max_length: int = 1024
    dropout: float = 0.0
    attention_dropout: float | None = None
    remat: bool = False
    scan_layers: bool = False
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(
        self,
        tokens: Array,
        *,
        mask: Array | None = None,
        segments: Array | None = None,
        decode: bool = False,
        train: bool = False,
    ) -> Array:
        """Maps tokens to logits of the next ones, float [B, T, vocab_size].

        Args:
          tokens: int [B, T].
          mask: bool [B, T], true where a token is.
          segments: Which text a token belongs to, int [B, T], zero where padding is.
          decode: Whether they go on from what is in the collection ``cache``.
          train: Whether it is training.
        """
        if tokens.shape[1] > self.max_length:
            raise ValueError(
                f"max_length is {self.max_length}, but there are {tokens.shape[1]} "
                "tokens."
            )
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        embed: Callable[..., nn.Embed] = functools.partial(
            nn.Embed,
            features=self.hidden_size,
            embedding_init=nn.initializers.normal(0.02),
            **dtypes,
        )
        norm = functools.partial(layer_norm, 1e-5, use_bias=self.use_bias, **dtypes)
        places = TokenPositions(self.max_length, name="places")
        attended, positions = places(tokens, mask, segments, decode)
        embedding = embed(self.vocab_size, name="token_embedding")
        x = embedding(tokens)
        x = x + embed(self.max_length, name="position_embedding")(positions)
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        x = Stack(
            functools.partial(TransformerBlock, **self._block(), norm=norm, **dtypes),
            self.num_layers,
            self.scan_layers,
            self.remat,
            name="decoder",
        )(x, train, 0.0, attended, None, None, None, decode)
        x = norm(name="norm")(x)
        self.sow("intermediates", "features", x)
        return tied_logits(embedding, x)

    def _block(self) -> dict[str, Any]:
        attention_dropout = self.attention_dropout
        return {
            "num_heads": self.num_heads,
            "mlp_size": self.mlp_size or 4 * self.hidden_size,
            "activation": self.activation,
            "use_bias": self.use_bias,
            "causal": True,
            "max_length": self.max_length,
            "dropout": self.dropout,
            "attention_dropout": (
                self.dropout if attention_dropout is None else attention_dropout
            ),
            "kernel_init": nn.initializers.normal(0.02),
            # The sum of all branches begins as large as one token's embedding.
            "out_init": nn.initializers.normal(0.02 / (2 * self.num_layers) ** 0.5),
        }

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """One text of full length; shorter ones are taken too."""
        return (jax.ShapeDtypeStruct((1, self.max_length), jnp.int32),)

    def checkpoints(self) -> Mapping[str, Rules]:
        """Published weights that fit."""
        return {"transformers": formats.TRANSFORMERS}


def gpt2_small(dropout: float = 0.1, **options: Any) -> GPT:
    """GPT-2 small; 124,439,808 parameters.

    Args:
      dropout: As of `GPT`.
      **options: All others of `GPT`.
    """
    return GPT(12, 12, 768, dropout=dropout, **options)


def gpt2_medium(dropout: float = 0.1, **options: Any) -> GPT:
    """GPT-2 medium; 354,823,168 parameters.

    Args:
      dropout: As of `GPT`.
      **options: All others of `GPT`.
    """
    return GPT(24, 16, 1024, dropout=dropout, **options)


def gpt2_large(dropout: float = 0.1, **options: Any) -> GPT:
    """GPT-2 large; 774,030,080 parameters.

    Args:
      dropout: As of `GPT`.
      **options: All others of `GPT`.
    """
    return GPT(36, 20, 1280, dropout=dropout, **options)


def gpt2_xl(dropout: float = 0.1, **options: Any) -> GPT:
    """GPT-2 XL; 1,557,611,200 parameters.

    Args:
      dropout: As of `GPT`.
      **options: All others of `GPT`.
    """
    return GPT(48, 25, 1600, dropout=dropout, **options)


_NANOGPT: dict[str, Any] = {
    "activation": functools.partial(nn.gelu, approximate=False),
    "use_bias": False,
}


def nanogpt_char(dropout: float = 0.2, **options: Any) -> GPT:
    """nanoGPT's model of Shakespeare's characters; 10,745,088 parameters.

    Args:
      dropout: As of `GPT`.
      **options: All others of `GPT`.

    References:
      Karpathy, `nanoGPT <https://github.com/karpathy/nanoGPT>`_, 2022.
    """
    sizes = {"vocab_size": 65, "max_length": 256}
    return GPT(6, 6, 384, dropout=dropout, **{**_NANOGPT, **sizes, **options})


def nanogpt_baby(**options: Any) -> GPT:
    """nanoGPT's model of characters for the CPU; 804,096 parameters.

    Args:
      **options: All others of `GPT`.

    References:
      Karpathy, `nanoGPT <https://github.com/karpathy/nanoGPT>`_, 2022.
    """
    sizes = {"vocab_size": 65, "max_length": 64}
    return GPT(4, 4, 128, **{**_NANOGPT, **sizes, **options})


def nanogpt_124m(**options: Any) -> GPT:
    """nanoGPT's GPT-2 small, trained anew without biases; 124,373,760 parameters.

    Args:
      **options: All others of `GPT`.

    References:
      Karpathy, `nanoGPT <https://github.com/karpathy/nanoGPT>`_, 2022.
    """
    return GPT(12, 12, 768, **{**_NANOGPT, "vocab_size": 50_304, **options})
