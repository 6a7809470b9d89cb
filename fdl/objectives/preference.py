"""Direct preference optimisation (DPO)."""

import jax
import jax.numpy as jnp

from fdl import metrics as measures
from fdl.errors import UserError, check_type
from fdl.losses import cross_entropy
from fdl.objectives import supervised
from fdl.types import Array, Batch, Model, Objective, Variables


def preference(model: Model, reference: Model, *, beta: float = 0.1) -> Objective:
    """Direct preference optimisation: of two answers, the preferred one gets likelier.

    The loss is −log σ(r(chosen) − r(rejected)), the mean over pairs, where the reward
    of an answer is how much likelier than under the reference it has become:
    r(y) = β (log π(y | x) − log π_ref(y | x)), summed over the tokens of the answer.

    A batch has ``chosen`` and ``rejected``, token ids of the prompt and an answer, int
    [B, T + 1], of any two lengths, and ``chosen_mask`` and ``rejected_mask``, float of
    the same shapes, one for the tokens of the answer and zero for the prompt and for
    padding, which is at the end. Its ``mask``, float [B], leaves out pairs.

    Args:
      model: Model that learns, of token ids, int [B, T], to the logits of the next
        ones, float [B, T, V].
      reference: The same of the reference; of the same variables. That of a model of
        `models.lora` is its base: ``model._replace(apply=partial(model.apply,
        adapted=False))``. No gradient is computed of it, and it drops nothing out.
      beta: Strength β by which the model is held to the reference, positive.

    Returns:
      An objective with the metrics ``loss``; ``accuracy``, the share of pairs whose
      chosen answer has the larger reward; and ``margin``, the mean of the difference
      of rewards.

    Raises:
      UserError: β is not positive; or, when the objective is called, the shapes of
        tokens and mask differ.

    References:
      Rafailov et al., `Direct Preference Optimization: Your Language Model is Secretly
      a Reward Model <https://arxiv.org/abs/2305.18290>`_, 2023, equation 7.
    """
    check_type("model", model, Model, "fdl.models.functional(module)")
    check_type("reference", reference, Model, "fdl.models.functional(module)")
    if not 0 < beta < float("inf"):
        raise UserError(f"beta={beta!r}: expected a positive number")

    def objective(
        variables: Variables,
        batch: Batch,
        key: jax.Array | None = None,
        *,
        train: bool = False,
    ):
        tokens, counts = _pairs(batch)
        logits, model_state = model.apply(
            variables, tokens[:, :-1], key=key, train=train
        )
        expected, _ = reference.apply(jax.lax.stop_gradient(variables), tokens[:, :-1])
        likelier = _log_likelihoods(logits, tokens, counts)
        likelier -= jax.lax.stop_gradient(_log_likelihoods(expected, tokens, counts))
        chosen, rejected = jnp.split(beta * likelier, 2)
        margin = chosen - rejected
        weights = supervised.masked(jnp.ones_like(margin), batch.get("mask"))
        monitored = {
            "loss": measures.mean(-jax.nn.log_sigmoid(margin), weights),
            "accuracy": measures.mean(margin > 0, weights),
            "margin": measures.mean(margin, weights),
        }
        return supervised.to_minimise(monitored["loss"]), (model_state, monitored)

    return objective


def _pairs(batch: Batch) -> tuple[Array, Array]:
    """Tokens, int [2 B, T + 1], chosen ones first, and the mask of answers."""
    names = "chosen", "rejected"
    tokens = [supervised.take(batch, name) for name in names]
    counts = [supervised.take(batch, f"{name}_mask") for name in names]
    for name, ids, mask in zip(names, tokens, counts, strict=True):
        if ids.ndim != 2 or ids.shape[1] < 2 or mask.shape != ids.shape:
            raise UserError(
                f"{name}.shape={[*ids.shape]}, {name}_mask.shape={[*mask.shape]}: "
                "expected [B, T + 1] of both, at least two tokens in a row"
            )
    length = max(ids.shape[1] for ids in tokens)
    return tuple(  # type: ignore[return-value]
        jnp.concatenate(
            [jnp.pad(x, ((0, 0), (0, length - x.shape[1]))) for x in arrays]
        )
        for arrays in (tokens, counts)
    )


def _log_likelihoods(logits: Array, tokens: Array, counts: Array) -> Array:
    """Log-likelihood of the tokens that count, float32 [B]."""
    counts = counts[:, 1:] > 0
    nats = cross_entropy(logits, jnp.where(counts, tokens[:, 1:], 0))
    return -jnp.where(counts, nats, 0).sum(axis=1)
