"""The recurrent encoder-decoder that attends."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fdl.models.layers.dense import dense
from fdl.models.layers.orthogonal import orthogonal
from fdl.models.rnn import RNN
from fdl.types import Array


class Memory(NamedTuple):
    """What is to know of a source.

    Attributes:
      states: Of the encoder in both directions, float [B, S, 2 hidden_size].
      keys: What the decoder's state is compared with, float [B, S, attention_size].
      mask: bool [B, S], true where a token is; or None.
    """

    states: Array
    keys: Array
    mask: Array | None


class AttendingGRU(nn.Module):
    """One step of the decoder: looks at the source, then at the last token.

    eⱼ = v · tanh(W s + U hⱼ), α = softmax(e), c = Σⱼ αⱼ hⱼ, s′ = GRU(s, [y, c])

    Attributes:
      hidden_size: Units.
      attention_size: Hidden units of the comparison.
      dtype: What is computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.
    """

    hidden_size: int
    attention_size: int
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(
        self, state: Array, now: tuple[Array, Array | None], memory: Memory
    ) -> tuple[Array, tuple[Array, Array, Array]]:
        """Maps a state [B, H], and now (embedding [B, E], is_token [B] or None).

        Returns:
          The next state, and (the state before, the context [B, 2 H], the weights
          [B, S]).
        """
        embedding, is_token = now
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        plain: Any = {"use_bias": False, **dtypes}
        query = nn.Dense(self.attention_size, name="query", **plain)(state)
        hidden = nn.tanh(query[:, None] + memory.keys)
        scores = dense(1, name="score", **plain)(hidden).squeeze(-1)
        scores = scores.astype(jnp.promote_types(scores.dtype, jnp.float32))
        if memory.mask is not None:
            scores = jnp.where(memory.mask, scores, jnp.finfo(scores.dtype).min)
        weights = jax.nn.softmax(scores)
        context = jnp.einsum("bs,bsd->bd", weights.astype(hidden.dtype), memory.states)
        inputs = jnp.concatenate([embedding, context], axis=-1)
        dtypes["recurrent_kernel_init"] = orthogonal()
        new, _ = nn.GRUCell(self.hidden_size, name="gru", **dtypes)(state, inputs)
        if is_token is not None:
            new = jnp.where(is_token[:, None], new, state)
        return new.astype(state.dtype), (state, context, weights)


class Seq2Seq(nn.Module):
    """Reads one text, and says which token of another comes next: RNNsearch.

    A bidirectional GRU reads the source. For each token of the target, a second GRU
    looks where in the source to go on. As in the paper's appendix, the readout sees the
    state before the step, the last token and what was attended to. The reset gate acts
    on the product with the state, as everywhere today, where the paper has it act on
    the state. Intermediates: ``weights``, what attends to what, [B, T, S];
    ``encoder/layer_0/states``, ..., the outputs of the encoder's layers.

    Attributes:
      hidden_size: Units of the encoder, in each direction, and of the decoder.
      num_layers: Layers of the encoder.
      embedding_size: Features of a token.
      attention_size: Hidden units of the comparison; `hidden_size` where None.
      readout_size: Maxout units of the readout, each the larger of two.
      vocab_size: How many tokens the source has.
      target_vocab_size: How many the target has; `vocab_size` where None.
      dropout: Fraction of the embeddings, of what a layer of the encoder hands to the
        next, and of the maxout units that is dropped in training.
      remat: Whether what a layer, or a step of the decoder, computes is computed again
        in the backward pass.
      dtype: What is computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.

    References:
      Bahdanau, Cho and Bengio, `Neural Machine Translation by Jointly Learning to Align
      and Translate <https://arxiv.org/abs/1409.0473>`_, 2014.
      Goodfellow et al., `Maxout Networks <https://arxiv.org/abs/1302.4389>`_, 2013.

    Example:
      A target goes on from what is carried, a token at a time:

      >>> module = Seq2Seq(8, vocab_size=20)
      >>> source, target = jnp.array([[5, 6, 7]]), jnp.array([[1]])
      >>> variables = module.init(jax.random.key(0), source, target)
      >>> memory = module.apply(variables, source, method="encode")
      >>> carry = None
      >>> for _ in range(3):
      ...     logits, carry = module.apply(
      ...         variables, target[:, -1:], memory, carry, method="decode"
      ...     )
      ...     target = jnp.concatenate([target, logits[:, -1:].argmax(-1)], axis=1)
      >>> target.shape
      (1, 4)
      >>> full = module.apply(variables, source, target[:, :-1])
      >>> bool(jnp.allclose(logits[:, -1], full[:, -1], atol=1e-6))
      True
    """

    hidden_size: int
    num_layers: int = 1
    embedding_size: int = 620
    attention_size: int | None = None
    readout_size: int = 500
    vocab_size: int = 30_000
    target_vocab_size: int | None = None
    dropout: float = 0.0
    remat: bool = False
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    def setup(self) -> None:
        """Makes the parts of the encoder and of the decoder."""
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        attention_size = self.attention_size or self.hidden_size
        target_vocab_size = self.target_vocab_size or self.vocab_size
        self.source_embedding = nn.Embed(self.vocab_size, self.embedding_size, **dtypes)
        self.target_embedding = nn.Embed(
            target_vocab_size, self.embedding_size, **dtypes
        )
        self.encoder = RNN(
            self.hidden_size,
            self.num_layers,
            "gru",
            bidirectional=True,
            dropout=self.dropout,
            remat=self.remat,
            **dtypes,
        )
        self.keys = dense(attention_size, use_bias=False, **dtypes)
        self.start = nn.Dense(self.hidden_size, **dtypes)
        self.decoder = AttendingGRU(self.hidden_size, attention_size, **dtypes)
        self.readout = dense(2 * self.readout_size, **dtypes)
        self.head = dense(target_vocab_size, **dtypes)
        self.drop = nn.Dropout(self.dropout)

    def __call__(
        self,
        source: Array,
        target: Array,
        *,
        source_mask: Array | None = None,
        target_mask: Array | None = None,
        train: bool = False,
    ) -> Array:
        """Maps two texts to logits of the target's next tokens, float [B, T, V].

        Args:
          source: int [B, S].
          target: int [B, T], from a token on that says that it begins.
          source_mask: bool [B, S], true where a token is; padding comes after.
          target_mask: bool [B, T], true where a token is; padding comes after.
          train: Whether it is training.
        """
        memory = self.encode(source, mask=source_mask, train=train)
        return self.decode(target, memory, mask=target_mask, train=train)[0]

    def encode(
        self, source: Array, *, mask: Array | None = None, train: bool = False
    ) -> Memory:
        """Maps a source int [B, S], of which mask [B, S] are tokens, to its memory."""
        x = self.drop(self.source_embedding(source), deterministic=not train)
        states = self.encoder(x, mask=mask, train=train)
        return Memory(states, self.keys(states), mask)

    def decode(
        self,
        target: Array,
        memory: Memory,
        initial_carry: Array | None = None,
        *,
        mask: Array | None = None,
        train: bool = False,
    ) -> tuple[Array, Array]:
        """Maps a target, or the part of it that is next, to logits.

        Args:
          target: int [B, T].
          memory: What `encode` returned.
          initial_carry: What `decode` returned of the part before; None at first.
          mask: bool [B, T], true where a token is; padding comes after.
          train: Whether it is training.

        Returns:
          Logits of the next tokens, float [B, T, V], and what is carried, [B, H].
        """
        x = self.drop(self.target_embedding(target), deterministic=not train)
        if initial_carry is None:
            # The first state of the encoder that has read all, from last to first.
            first = memory.states[:, 0, self.hidden_size :]
            initial_carry = nn.tanh(self.start(first))
        wide = jnp.promote_types(x.dtype, jnp.float32)
        step: Any = AttendingGRU.__call__
        if self.remat:
            step = nn.remat(step, prevent_cse=False)
        run = nn.scan(
            step,
            variable_broadcast="params",
            split_rngs={"params": False},
            in_axes=((1, 1), nn.broadcast),
            out_axes=1,
        )
        carry, (states, contexts, weights) = run(
            self.decoder, initial_carry.astype(wide), (x, mask), memory
        )
        if self.is_mutable_collection("intermediates") and not self.is_initializing():
            self.sow("intermediates", "weights", weights)
        seen = jnp.concatenate([states.astype(x.dtype), x, contexts], axis=-1)
        pairs = self.readout(seen)
        pairs = pairs.reshape(*pairs.shape[:-1], self.readout_size, 2)
        units = self.drop(pairs.max(axis=-1), deterministic=not train)
        return self.head(units), carry

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Two texts of 50 tokens; others of any length are taken too."""
        return (jax.ShapeDtypeStruct((1, 50), jnp.int32),) * 2


def rnnsearch(hidden_size: int = 1000, **options: Any) -> Seq2Seq:
    """RNNsearch, with biases; 80,445,000 parameters.

    Args:
      hidden_size: As of `Seq2Seq`.
      **options: All others of `Seq2Seq`.
    """
    return Seq2Seq(hidden_size, **options)
