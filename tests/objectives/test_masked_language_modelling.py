import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from fdl import models, objectives
from fdl.errors import UserError
from fdl.objectives.masked_language_modelling import masked_tokens
from fdl.types import Model

PROGRAMS = 60

RANDOM = np.random.default_rng(0)
PAD, CLS, MASK = 0, 1, 9
VOCAB_SIZE = 10
TABLE = RANDOM.normal(size=(10, 10)).astype(np.float32)
TOKENS = RANDOM.integers(2, 9, size=(200, 50)).astype(np.int32)
TOKENS[:, 0], TOKENS[::2, 30:] = CLS, PAD
SPECIAL = [PAD, CLS]
OPTIONS = {"mask_token": MASK, "vocab_size": VOCAB_SIZE, "special": SPECIAL}
KEY = jax.random.key(0)

# The logits are a function of each token, and the model state is what the model sees.
MODEL = Model(
    lambda key: {"params": jnp.asarray(TABLE)},
    lambda variables, x, key=None, train=False: ((variables["params"][x], None), x),
)
VARIABLES = MODEL.init(KEY)
objective = objectives.masked_language_modelling(MODEL, **OPTIONS)


@jax.jit
def measured(batch, key=KEY):
    (loss, (seen, found)), grad = jax.value_and_grad(
        lambda variables: objective(variables, batch, key), has_aux=True
    )(VARIABLES)
    found = {name: metric.compute() for name, metric in found.items()}
    return loss, grad["params"], seen, found


def test_80_percent_are_masked_10_drawn_and_10_kept_of_15_percent():
    shape = [*OPTIONS.values(), 0.15]
    seen, chosen = jax.jit(lambda key: masked_tokens(key, TOKENS, *shape))(KEY)
    ordinary = ~np.isin(TOKENS, SPECIAL)
    assert not (chosen & ~ordinary).any()
    np.testing.assert_array_equal(seen[~chosen], TOKENS[~chosen])
    assert seen.dtype == TOKENS.dtype

    def within(hits, trials, share):
        # One in ten thousand seeds fails.
        return stats.binomtest(int(hits), int(trials), share).pvalue > 1e-4

    count = chosen.sum()
    assert within(count, ordinary.sum(), 0.15)
    masked = chosen & (seen == MASK)
    assert within(masked.sum(), count, 0.8)
    # One in seven of those drawn is what it was.
    kept = chosen & (seen == TOKENS)
    assert within(kept.sum(), count, 0.1 + 0.1 / 7)
    drawn = seen[chosen & ~masked & ~kept]
    assert set(np.unique(drawn)) == set(range(2, 9))
    assert stats.chisquare(np.bincount(drawn)[2:9]).pvalue > 1e-4


def test_the_loss_is_that_of_the_chosen_tokens():
    """In float64, of the masks alone: with a rate of 1, all are chosen."""
    everything = objectives.masked_language_modelling(MODEL, **OPTIONS, rate=1.0)
    mask = (np.arange(200) % 3 > 0).astype(np.float32)
    batch = {"tokens": TOKENS, "mask": mask}
    loss, (seen, found) = jax.jit(lambda key: everything(VARIABLES, batch, key))(KEY)
    counts = ~np.isin(TOKENS, SPECIAL) & (mask[:, None] > 0)
    logits = TABLE.astype(np.float64)[np.asarray(seen)]
    log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    own = np.take_along_axis(log_probs, TOKENS[..., None], -1).squeeze(-1)
    np.testing.assert_allclose(loss, -own[counts].mean(), rtol=1e-6)
    np.testing.assert_allclose(
        found["perplexity"].compute(), np.exp(-own[counts].mean()), rtol=1e-5
    )
    right = (logits.argmax(-1) == TOKENS)[counts].mean()
    np.testing.assert_allclose(found["accuracy"].compute(), right, rtol=1e-6)


@pytest.mark.parametrize("most", [2, 60])
def test_only_the_logits_of_so_many_predictions_are_computed(most):
    def apply(variables, x, key=None, train=False, positions=None):
        hidden = jnp.take_along_axis(x, positions, axis=1)
        return variables["params"][hidden], (x, positions)

    model = MODEL._replace(apply=apply)
    limited = objectives.masked_language_modelling(
        model, **OPTIONS, rate=0.3, max_predictions=most
    )
    loss, ((seen, places), _) = jax.jit(limited)(VARIABLES, {"tokens": TOKENS}, KEY)

    @jax.jit
    def masking(key):
        options = TOKENS, MASK, VOCAB_SIZE, [*SPECIAL, MASK], 0.3
        key, _ = jax.random.split(key)
        return masked_tokens(key, *options, most), masked_tokens(key, *options)[1]

    (inputs, chosen), every = jax.tree.map(np.asarray, masking(KEY))
    np.testing.assert_array_equal(seen, inputs)
    assert not (chosen & ~every).any() and places.shape[1] == min(most, 50)
    np.testing.assert_array_equal(chosen.sum(1), np.minimum(every.sum(1), most))
    log_probs = TABLE - np.log(np.exp(TABLE).sum(-1, keepdims=True))
    own = log_probs[np.asarray(seen), TOKENS]
    np.testing.assert_allclose(loss, -own[chosen].mean(), rtol=1e-5)


def test_the_key_alone_decides_the_masking():
    batch = {"tokens": TOKENS}
    _, _, first, _ = measured(batch)
    _, _, again, _ = measured(batch)
    _, _, other, _ = measured(batch, jax.random.key(1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_where_no_token_is_chosen_nothing_is_learnt():
    batch = {"tokens": np.full_like(TOKENS, PAD)}
    loss, grad, seen, found = measured(batch)
    np.testing.assert_array_equal(seen, batch["tokens"])
    assert loss == 0 and not grad.any()
    assert np.isnan([*found.values()]).all()


@pytest.mark.slow
def test_the_model_of_berts_pretraining_learns_by_it():
    module = models.BERTPretraining(1, 1, 4, vocab_size=VOCAB_SIZE, max_length=4)
    model = models.functional(module)
    learnt = objectives.masked_language_modelling(model, **OPTIONS)
    variables = jax.eval_shape(model.init, KEY)
    batch = {"tokens": jax.ShapeDtypeStruct((2, 4), jnp.int32)}
    _, (_, found) = jax.eval_shape(learnt, variables, batch, KEY)
    assert set(found) == {"loss", "perplexity", "accuracy"}
    tokens, places = jnp.array([[2, 3, 4, 5]]), jnp.array([[3, 1]])
    variables = model.init(KEY)
    (every, _), _ = model.apply(variables, tokens)
    (some, _), _ = model.apply(variables, tokens, positions=places)
    np.testing.assert_allclose(some[0], every[0, places[0]], rtol=1e-6)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"rate": 0}, "rate=0: expected a probability above 0"),
        ({"max_predictions": 0}, "max_predictions=0: expected at least 1"),
        ({"mask_token": 10}, "special token 10: expected a token id from 0 to 9"),
        (
            {"special": range(9)},
            "vocab_size=10: expected tokens other than the special",
        ),
    ],
)
def test_mistakes_are_told_in_a_line(options, message):
    with pytest.raises(UserError, match=message):
        objectives.masked_language_modelling(MODEL, **{**OPTIONS, **options})


def test_masking_needs_a_key():
    with pytest.raises(UserError, match="key=None: expected a key"):
        objective(VARIABLES, {"tokens": TOKENS})
