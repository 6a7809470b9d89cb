"""The block of which all Transformers are made."""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
from jax.nn.initializers import Initializer
from jax.typing import DTypeLike

from fdl.models.layers.attention import Attention
from fdl.models.layers.dense import dense
from fdl.models.layers.normalization import layer_norm
from fdl.models.layers.stochastic_depth import StochasticDepth
from fdl.types import Array


class FeedForward(nn.Module):
    """Two dense layers, the same for each token.

    Attributes:
      hidden_size: Units between them.
      activation: Applied in between.
      gated: Whether the activations of a third layer multiply the hidden units, which
        are linear then: with SiLU, this is SwiGLU.
      use_bias: Whether the layers have a bias.
      dropout: Fraction of the hidden units that is dropped in training.
      kernel_init: Initialiser of the first layer.
      out_init: Initialiser of the second; `kernel_init` where None.
      dtype: What is computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.

    References:
      Shazeer, `GLU Variants Improve Transformer <https://arxiv.org/abs/2002.05202>`_,
      2020.
    """

    hidden_size: int
    activation: Callable[[Array], Array] = nn.relu
    gated: bool = False
    use_bias: bool = True
    dropout: float = 0.0
    kernel_init: Initializer = nn.initializers.xavier_uniform()
    out_init: Initializer | None = None
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: Array, train: bool) -> Array:
        """Maps x to float [..., D], as x is."""
        layer: Callable[..., nn.Dense] = functools.partial(
            dense,
            use_bias=self.use_bias,
            dtype=self.dtype,
            param_dtype=self.param_dtype,
        )
        first = functools.partial(layer, self.hidden_size, kernel_init=self.kernel_init)
        if self.gated:
            hidden = self.activation(first(name="gate")(x)) * first(name="up")(x)
        else:
            hidden = self.activation(first(name="up")(x))
        hidden = nn.Dropout(self.dropout, deterministic=not train)(hidden)
        out_init = self.out_init or self.kernel_init
        return layer(x.shape[-1], kernel_init=out_init, name="down")(hidden)


class TransformerBlock(nn.Module):
    """Attention, then a feed-forward network, each added to what it sees.

    With a memory there is a second attention in between, to the memory. All are
    normalised: ``x + f(norm(x))`` where `pre_norm`, and otherwise ``norm(x + f(x))``.
    Submodules: ``attention``, ``cross_attention`` (with a memory), ``mlp``, and for
    each ``*_norm``. Intermediates: ``outputs``.

    Attributes:
      num_heads: Heads of the attention.
      mlp_size: Hidden units of the feed-forward network.
      num_kv_heads: Heads of the keys and values; as many where None.
      head_size: Size of a head; that of a token by `num_heads` where None.
      activation: That of the feed-forward network.
      gated: Whether it is gated: SwiGLU and kin.
      norm: Makes a normalisation: ``norm(name=...)``.
      pre_norm: Whether what is normalised is what a branch sees, or the sum.
      use_bias: Whether dense layers have a bias.
      causal: Whether no token may attend to a later one.
      rotary_base: Where not None, queries and keys are rotated by their positions.
      max_length: Tokens for which there is room when decoding.
      dropout: Fraction of the outputs of each branch that is dropped in training.
      attention_dropout: That of the attention weights.
      mlp_dropout: That of the hidden units of the feed-forward network.
      kernel_init: Initialiser of dense layers.
      out_init: That of the last one of each branch; `kernel_init` where None.
      dtype: What is computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.

    References:
      Vaswani et al., `Attention Is All You Need <https://arxiv.org/abs/1706.03762>`_,
      2017.

      Xiong et al., `On Layer Normalization in the Transformer Architecture
      <https://arxiv.org/abs/2002.04745>`_, 2020, for `pre_norm`.
    """

    num_heads: int
    mlp_size: int
    num_kv_heads: int | None = None
    head_size: int | None = None
    activation: Callable[[Array], Array] = nn.relu
    gated: bool = False
    norm: Callable[..., nn.Module] = layer_norm
    pre_norm: bool = True
    use_bias: bool = True
    causal: bool = False
    rotary_base: float | None = None
    max_length: int | None = None
    dropout: float = 0.0
    attention_dropout: float = 0.0
    mlp_dropout: float = 0.0
    kernel_init: Initializer = nn.initializers.xavier_uniform()
    out_init: Initializer | None = None
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(
        self,
        x: Array,
        train: bool,
        rate: float | Array = 0.0,
        mask: Array | None = None,
        positions: Array | None = None,
        memory: Array | None = None,
        memory_mask: Array | None = None,
        decode: bool = False,
    ) -> Array:
        """Maps x to float [B, T, D], as x is.

        Args:
          x: Tokens, float [B, T, D].
          train: Whether it is training.
          rate: Stochastic depth: chance that a branch of an example is dropped.
          mask: What of x may attend to what of x; see `Attention`.
          positions: Where each token is, int [B, T], for rotations.
          memory: What is attended to besides, float [B, S, E].
          memory_mask: What of x may attend to what of the memory.
          decode: Whether x goes on from what is in the cache.
        """

        def add(x, name, branch):
            norm = self.norm(name=f"{name}_norm")
            y = branch(norm(x) if self.pre_norm else x)
            y = nn.Dropout(self.dropout, deterministic=not train)(y)
            y = StochasticDepth(rate)(y, train)
            return x + y if self.pre_norm else norm(x + y)

        def attend(x):
            return self._attention("attention")(
                x,
                train,
                mask=mask,
                causal=self.causal,
                positions=positions,
                decode=decode,
            )

        def attend_to_memory(x):
            attention = self._attention("cross_attention")
            return attention(x, train, memory, mask=memory_mask)

        x = add(x, "attention", attend)
        if memory is not None:
            x = add(x, "cross_attention", attend_to_memory)
        x = add(x, "mlp", lambda x: self._mlp()(x, train))
        self.sow("intermediates", "outputs", x)
        return x

    def _attention(self, name):
        return Attention(
            self.num_heads,
            self.num_kv_heads,
            self.head_size,
            use_bias=self.use_bias,
            out_bias=self.use_bias,
            rotary_base=self.rotary_base,
            dropout=self.attention_dropout,
            max_length=self.max_length,
            name=name,
            **self._common(),
        )

    def _mlp(self):
        return FeedForward(
            self.mlp_size,
            self.activation,
            self.gated,
            use_bias=self.use_bias,
            dropout=self.mlp_dropout,
            name="mlp",
            **self._common(),
        )

    def _common(self) -> dict[str, Any]:
        return {
            "kernel_init": self.kernel_init,
            "out_init": self.out_init,
            "dtype": self.dtype,
            "param_dtype": self.param_dtype,
        }
