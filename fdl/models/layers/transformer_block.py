"""Transformer blocks: attention and feed-forward network, each with a residual."""

import functools
from collections.abc import Callable
from typing import Any

import flax.linen as nn
from jax.nn.initializers import Initializer
from jax.typing import DTypeLike

from fdl.models.layers.attention import Attention
from fdl.models.layers.dense import dense
from fdl.models.layers.normalization import layer_norm
from fdl.models.layers.position_encodings import RotaryScaling
from fdl.models.layers.stochastic_depth import StochasticDepth
from fdl.types import Array


class FeedForward(nn.Module):
    """Position-wise feed-forward network: two dense layers, optionally gated.

    Attributes:
      hidden_size: Number of hidden units.
      activation: Activation of the hidden units, or of their gate.
      gated: Whether linear hidden units are multiplied by an activated gate, which is a
        third layer: SwiGLU with SiLU, GEGLU with GELU.
      use_bias: Whether the layers have a bias.
      dropout: Dropout rate of the hidden units.
      kernel_init: Initialiser of the first layer, and of the gate.
      out_init: Initialiser of the last layer; `kernel_init` where None.
      dtype: Dtype of the computation; that of inputs and parameters where None.
      param_dtype: Dtype of the parameters.

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
        """Maps tokens x [..., D] to float [..., D]."""
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
    """Transformer layer: self-attention, then a feed-forward network, with residuals.

    With a memory, cross-attention comes between them. Layers are pre-norm,
    ``x + f(norm(x))``, or post-norm, ``norm(x + f(x))``. Submodules: ``attention``,
    ``cross_attention`` (with a memory), ``mlp``, and a ``*_norm`` for each.
    Intermediates: ``outputs``.

    Attributes:
      num_heads: Number of attention heads.
      mlp_size: Number of hidden units of the feed-forward network.
      num_kv_heads: Number of key and value heads; `num_heads` where None.
      head_size: Features of a head; those of a token divided by `num_heads` where None.
      activation: Activation of the feed-forward network.
      gated: Whether the feed-forward network is gated, as in SwiGLU.
      norm: Constructor of normalisations: ``norm(name=...)``.
      pre_norm: Whether the input of each branch is normalised, or else the sum.
      use_bias: Whether dense layers have a bias.
      qkv_bias: Whether the projections to queries, keys and values have a bias;
        `use_bias` where None.
      causal: Whether tokens may attend only to themselves and to earlier tokens.
      rotary_base: Base of the rotary position embedding; none where None.
      rotary_scaling: Scaling of its frequencies; none where None.
      max_length: Number of tokens that the decoding cache can hold.
      dropout: Dropout rate of the output of each branch.
      attention_dropout: Dropout rate of the attention weights.
      mlp_dropout: Dropout rate of the hidden units of the feed-forward network.
      kernel_init: Initialiser of dense layers.
      out_init: Initialiser of the last dense layer of each branch; `kernel_init` where
        None.
      dtype: Dtype of the computation; that of inputs and parameters where None.
      param_dtype: Dtype of the parameters.

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
    qkv_bias: bool | None = None
    causal: bool = False
    rotary_base: float | None = None
    rotary_scaling: RotaryScaling | None = None
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
        """Maps tokens x to float [B, T, D].

        Args:
          x: Tokens, float [B, T, D].
          train: Whether dropout and stochastic depth are applied.
          rate: Stochastic-depth rate of each branch.
          mask: Mask of the self-attention, see `Attention`.
          positions: Positions of the tokens for the rotary embedding, int [B, T].
          memory: Tokens for cross-attention, such as an encoder's, float [B, S, E].
          memory_mask: Mask of the cross-attention, see `Attention`.
          decode: Whether x continues the sequence in the cache.
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
            return attention(x, train, memory, mask=memory_mask, decode=decode)

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
            use_bias=self.use_bias if self.qkv_bias is None else self.qkv_bias,
            out_bias=self.use_bias,
            rotary_base=self.rotary_base,
            rotary_scaling=self.rotary_scaling,
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
