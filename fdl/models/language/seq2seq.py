"""Recurrent encoder-decoder, with additive attention (RNNsearch) or without."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike

from fdl.models.layers.dense import dense
from fdl.models.layers.masks import last_token
from fdl.models.layers.orthogonal import orthogonal
from fdl.models.rnn import RNN
from fdl.types import Array


class Memory(NamedTuple):
    """Encoded source sequence.

    Attributes:
      states: Encoder states of both directions, float [B, S, 2 hidden_size]; without
        attention the last one of each direction, float [B, 1, 2 hidden_size].
      keys: Attention keys U h, float [B, S, attention_size]; None without attention.
      mask: bool [B, S], True at tokens; or None.
    """

    states: Array
    keys: Array | None
    mask: Array | None


class AttendingGRU(nn.Module):
    """GRU decoder cell with additive attention of Bahdanau et al.

    eⱼ = v · tanh(W s + U hⱼ), α = softmax(e), c = Σⱼ αⱼ hⱼ, s′ = GRU(s, [y, c])

    Of a memory without keys, c is the only state at each step.

    Attributes:
      hidden_size: Units of the GRU.
      attention_size: Hidden units of the alignment network.
      dtype: Computation dtype; that of inputs and parameters if None.
      param_dtype: Dtype of the parameters.
    """

    hidden_size: int
    attention_size: int
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(
        self, state: Array, now: tuple[Array, Array | None], memory: Memory
    ) -> tuple[Array, tuple[Array, Array, Array | None]]:
        """Maps a state and the previous target token to the next state.

        Args:
          state: float [B, H].
          now: Embedding of the previous token, float [B, E], and bool [B], False at
            padding; or None for the latter.
          memory: Encoded source.

        Returns:
          The next state, [B, H], and a triple of the state before the step, [B, H],
          the context, [B, 2 H], and the attention weights, [B, S], or None.
        """
        embedding, is_token = now
        dtypes: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        context, weights = memory.states[:, 0], None
        if memory.keys is not None:
            context, weights = self._attend(state, memory, dtypes)
        inputs = jnp.concatenate([embedding, context], axis=-1)
        dtypes["recurrent_kernel_init"] = orthogonal()
        next_state, _ = nn.GRUCell(self.hidden_size, name="gru", **dtypes)(
            state, inputs
        )
        if is_token is not None:
            next_state = jnp.where(is_token[:, None], next_state, state)
        # A scan requires a carry of constant dtype.
        return next_state.astype(state.dtype), (state, context, weights)

    def _attend(self, state, memory, dtypes):
        """Context, [B, 2 H], and attention weights, [B, S]."""
        plain: Any = {"use_bias": False, **dtypes}
        query = nn.Dense(self.attention_size, name="query", **plain)(state)
        hidden = nn.tanh(query[:, None] + memory.keys)
        scores = dense(1, name="score", **plain)(hidden).squeeze(-1)
        # At least float32, as half precision loses small weights of long sources.
        scores = scores.astype(jnp.promote_types(scores.dtype, jnp.float32))
        if memory.mask is not None:
            # The least finite number: with -inf, a source of padding alone gives NaN.
            scores = jnp.where(memory.mask, scores, jnp.finfo(scores.dtype).min)
        weights = jax.nn.softmax(scores)
        context = jnp.einsum("bs,bsd->bd", weights.astype(hidden.dtype), memory.states)
        return context, weights


class Seq2Seq(nn.Module):
    """RNNsearch: recurrent encoder-decoder with attention of Bahdanau et al.

    Without attention it is the RNN encoder-decoder of Cho et al., and in its idea that
    of Sutskever et al.: all of the source that the decoder sees is one vector, the last
    state of each direction of the encoder, given at each step.

    The encoder is a bidirectional GRU, the decoder a GRU that attends to the encoder's
    states at each step. As in the paper's appendix, the output layer sees the state
    before the step, the previous token and the context. The reset gate acts on the
    product of recurrent kernel and state, as in cuDNN, and not on the state as in the
    paper. Intermediates: ``weights``, the attention weights, [B, T, S];
    ``encoder/layer_0/states``, ..., the outputs of the encoder's layers.

    Attributes:
      hidden_size: Units of the encoder, in each direction, and of the decoder.
      num_layers: Number of layers of the encoder.
      embedding_size: Size of the token embeddings.
      attention_size: Hidden units of the alignment network; `hidden_size` if None.
      readout_size: Maxout units before the output layer, each the maximum of two.
      vocab_size: Size of the source vocabulary.
      target_vocab_size: Size of the target vocabulary; `vocab_size` if None.
      dropout: Dropout rate of the embeddings, between layers of the encoder, and of the
        maxout units.
      attention: Whether the decoder attends to all states of the encoder.
      remat: Whether to rematerialise each encoder layer and each decoder step in the
        backward pass.
      dtype: Computation dtype; that of inputs and parameters if None.
      param_dtype: Dtype of the parameters.

    References:
      Bahdanau, Cho and Bengio, `Neural Machine Translation by Jointly Learning to Align
      and Translate <https://arxiv.org/abs/1409.0473>`_, 2014.
      Cho et al., `Learning Phrase Representations using RNN Encoder-Decoder for
      Statistical Machine Translation <https://arxiv.org/abs/1406.1078>`_, 2014.
      Sutskever, Vinyals and Le, `Sequence to Sequence Learning with Neural Networks
      <https://arxiv.org/abs/1409.3215>`_, 2014.
      Goodfellow et al., `Maxout Networks <https://arxiv.org/abs/1302.4389>`_, 2013.

    Example:
      >>> module = Seq2Seq(8, vocab_size=20, embedding_size=4, readout_size=4)
      >>> source, target = jnp.array([[5, 6, 7]]), jnp.array([[1, 4]])
      >>> variables = jax.jit(module.init)(jax.random.key(0), source, target)
      >>> jax.jit(module.apply)(variables, source, target).shape
      (1, 2, 20)

      `fdl.generation` continues a target.
    """

    hidden_size: int
    num_layers: int = 1
    embedding_size: int = 620
    attention_size: int | None = None
    readout_size: int = 500
    vocab_size: int = 30_000
    target_vocab_size: int | None = None
    dropout: float = 0.0
    attention: bool = True
    remat: bool = False
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    def setup(self) -> None:
        """Creates the layers of the encoder and of the decoder."""
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
        if self.attention:
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
        return_features: bool = False,
        train: bool = False,
    ) -> Array:
        """Maps source and target to logits of the next target tokens, float [B, T, V].

        Args:
          source: int [B, S].
          target: int [B, T], beginning with a start token.
          source_mask: bool [B, S], True at tokens; padding follows them.
          target_mask: bool [B, T], True at tokens; padding follows them.
          return_features: Whether to return the input of the output layer, float
            [B, T, R], for `logits`.
          train: Whether to run in training mode.
        """
        memory = self.encode(source, mask=source_mask, train=train)
        options: Any = {"mask": target_mask, "return_features": return_features}
        return self.decode(target, memory, train=train, **options)[0]

    def encode(
        self, source: Array, *, mask: Array | None = None, train: bool = False
    ) -> Memory:
        """Encodes a source, int [B, S], with mask, bool [B, S], True at tokens."""
        x = self.drop(self.source_embedding(source), deterministic=not train)
        states = self.encoder(x, mask=mask, train=train)
        if self.attention:
            return Memory(states, self.keys(states), mask)
        there, back = jnp.split(states, 2, axis=-1)
        summary = jnp.concatenate([last_token(there, mask), back[:, :1]], axis=-1)
        return Memory(summary, None, None)

    def decode(
        self,
        target: Array,
        memory: Memory,
        initial_carry: Array | None = None,
        *,
        mask: Array | None = None,
        return_features: bool = False,
        train: bool = False,
    ) -> tuple[Array, Array]:
        """Maps a target, or its next part, to logits.

        Args:
          target: int [B, T].
          memory: Result of `encode`.
          initial_carry: Carry returned for the previous part; None for the first.
          mask: bool [B, T], True at tokens; padding follows them.
          return_features: Whether to return the input of the output layer, float
            [B, T, R], for `logits`.
          train: Whether to run in training mode.

        Returns:
          Logits of the next tokens, float [B, T, V], and the carry, float [B, H].
        """
        x = self.drop(self.target_embedding(target), deterministic=not train)
        if initial_carry is None:
            # The backward encoder has read the whole source at the first position.
            summary = memory.states[:, 0, self.hidden_size :]
            initial_carry = nn.tanh(self.start(summary))
        # The state accumulates over time, in at least float32.
        carry_dtype = jnp.promote_types(x.dtype, jnp.float32)
        step: Any = AttendingGRU.__call__
        if self.remat:
            # A scan itself prevents the common subexpression elimination that would
            # undo rematerialisation.
            step = nn.remat(step, prevent_cse=False)
        run = nn.scan(
            step,
            variable_broadcast="params",
            split_rngs={"params": False},
            in_axes=((1, 1), nn.broadcast),
            out_axes=1,
        )
        carry, (states, contexts, weights) = run(
            self.decoder, initial_carry.astype(carry_dtype), (x, mask), memory
        )
        seen = self.is_mutable_collection("intermediates") and self.attention
        if seen and not self.is_initializing():
            self.sow("intermediates", "weights", weights)
        features = jnp.concatenate([states.astype(x.dtype), x, contexts], axis=-1)
        pairs = self.readout(features)
        pairs = pairs.reshape(*pairs.shape[:-1], self.readout_size, 2)
        units = self.drop(pairs.max(axis=-1), deterministic=not train)
        return (units if return_features else self.logits(units)), carry

    def logits(self, features: Array) -> Array:
        """Output layer: maps features, float [B, T, R], to logits, float [B, T, V].

        The logits of a large vocabulary need more memory than the rest of a network;
        with this method, not all of them have to be there at once.
        """
        return self.head(features)

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Shapes of a source and a target of 50 tokens; any length is accepted."""
        return (jax.ShapeDtypeStruct((1, 50), jnp.int32),) * 2


def rnnsearch(hidden_size: int = 1000, **options: Any) -> Seq2Seq:
    """RNNsearch of Bahdanau et al., with biases; 80,445,000 parameters.

    Args:
      hidden_size: As in `Seq2Seq`.
      **options: Other attributes of `Seq2Seq`.
    """
    return Seq2Seq(hidden_size, **options)
