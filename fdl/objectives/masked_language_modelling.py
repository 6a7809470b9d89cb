"""Masked language modelling."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from fdl import losses
from fdl import metrics as measures
from fdl.errors import UserError, check_parameters, check_type
from fdl.objectives import supervised
from fdl.objectives.language_modelling import DEFAULT_METRICS
from fdl.objectives.supervised import Loss, MetricFunctions
from fdl.types import Array, Key, Model, Objective


def masked_language_modelling(
    model: Model,
    *,
    mask_token: int,
    vocab_size: int,
    special: Sequence[int] = (),
    tokens: str = "tokens",
    rate: float = 0.15,
    max_predictions: int | None = None,
    loss: Loss = losses.cross_entropy,
    metrics: MetricFunctions = DEFAULT_METRICS,
) -> Objective:
    """Masked language modelling: mean cross-entropy of tokens hidden from the model.

    Each token is chosen with the probability ``rate``, anew in each step. Of those
    chosen, 80 % are replaced by the mask token, 10 % by a token drawn uniformly, and
    10 % stay as they are. The masking is drawn from the key, on the device; that of
    evaluation is a function of its seed and the batch. If no token is chosen, the loss
    to minimise is zero, and the metrics are NaN.

    Args:
      model: Model of token ids, int [B, T], to their logits, float [B, T, V]; or to a
        tuple that these are the first of, as `fdl.models.BERTPretraining`.
      mask_token: Token id of the mask.
      vocab_size: Number of tokens V.
      special: Token ids of padding, of the beginning of a text and the like, which are
        neither chosen nor drawn, as the mask token is not.
      tokens: Name of the token ids in a batch, int [B, T]. Its ``mask``, float [B] of
        texts or [B, T] of tokens, leaves some out.
      rate: Share of the tokens that are chosen.
      max_predictions: Number of tokens of a text that are chosen at most, K. Only their
        logits are computed then: the model takes their ``positions``, int [B, K], and
        returns float [B, K, V]. BERT has 20 for texts of 128 tokens.
      loss: Function of logits and token ids to one loss per token.
      metrics: Further metrics by name: functions of logits [B, T, V], token ids [B, T]
        and a mask of the chosen tokens, float [B, T].

    Returns:
      An objective with the metrics ``loss``, in nats per chosen token, and, by default,
      ``perplexity`` and ``accuracy``, of the chosen tokens as well.

    Raises:
      UserError: There is no such token id, nothing but special tokens, or the rate is
        no probability; or, when the objective is called, there is no key.

    References:
      Devlin et al., `BERT: Pre-training of Deep Bidirectional Transformers for Language
      Understanding <https://arxiv.org/abs/1810.04805>`_, 2018, section 3.1.
    """
    check_type("model", model, Model, "fdl.models.functional(module)")
    check_parameters("loss", loss, "outputs, labels")
    if not 0 < rate <= 1:
        raise UserError(f"rate={rate}: expected a probability above 0")
    special = sorted({mask_token, *special})
    for token in special:
        if not 0 <= token < vocab_size:
            raise UserError(
                f"special token {token}: expected a token id from 0 to {vocab_size - 1}"
            )
    if max_predictions is not None and max_predictions < 1:
        raise UserError(f"max_predictions={max_predictions}: expected at least 1")
    if len(special) == vocab_size:
        raise UserError(
            f"vocab_size={vocab_size}: expected tokens other than the special ones"
        )

    def objective(variables, batch, key=None, *, train=False):
        supervised.check_key(key, ", which the masking is drawn from")
        mask_key, key = jax.random.split(key)
        ids = supervised.take(batch, tokens)
        inputs, chosen = masked_tokens(
            mask_key, ids, mask_token, vocab_size, special, rate, max_predictions
        )
        weights = supervised.masked(chosen.astype(jnp.float32), batch.get("mask"))
        options = {}
        if max_predictions is not None:
            count = min(max_predictions, ids.shape[1])
            weights, places = jax.lax.top_k(weights, count)
            ids = jnp.take_along_axis(ids, places, axis=1)
            options = {"positions": places}
        outputs, model_state = model.apply(
            variables, inputs, key=key, train=train, **options
        )
        logits = outputs[0] if isinstance(outputs, tuple) else outputs
        # A token that does not count may be none at all, whose loss would be NaN.
        targets = jnp.where(weights == 0, 0, ids)
        mean_loss = measures.mean(loss(logits, targets), weights)
        monitored = supervised.metrics_of(mean_loss, metrics, logits, targets, weights)
        return supervised.to_minimise(mean_loss), (model_state, monitored)

    return objective


def masked_tokens(
    key: Key,
    tokens: Array,
    mask_token: int,
    vocab_size: int,
    special: Sequence[int],
    rate: float,
    max_chosen: int | None = None,
) -> tuple[Array, Array]:
    """Tokens as the model sees them, and the chosen ones, which it is to predict.

    Args:
      key: Key of the masking.
      tokens: Token ids, int [...].
      mask_token: Token id of the mask.
      vocab_size: Number of tokens.
      special: Token ids that are neither chosen nor drawn.
      rate: Probability that a token is chosen.
      max_chosen: Number of tokens along the last axis that are chosen at most.

    Returns:
      Token ids, of the shape and dtype of the tokens, and bool [...].
    """
    choice_key, kind_key, draw_key = jax.random.split(key, 3)
    ordinary = np.setdiff1d(np.arange(vocab_size), special).astype(tokens.dtype)
    score = jax.random.uniform(choice_key, tokens.shape)
    score = jnp.where(jnp.isin(tokens, jnp.asarray(special)), 1.0, score)
    chosen = score < rate
    if max_chosen is not None and max_chosen < tokens.shape[-1]:
        chosen &= score < jnp.sort(score, axis=-1)[..., max_chosen : max_chosen + 1]
    kind = jax.random.uniform(kind_key, tokens.shape)
    drawn = jax.random.randint(draw_key, tokens.shape, 0, len(ordinary))
    replaced = jnp.where(kind < 0.8, mask_token, jnp.asarray(ordinary)[drawn])
    inputs = jnp.where(chosen & (kind < 0.9), replaced.astype(tokens.dtype), tokens)
    return inputs, chosen
