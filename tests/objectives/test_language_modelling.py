from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import metrics, models, objectives
from fdl.errors import UserError
from fdl.types import Model

PROGRAMS = 60

RANDOM = np.random.default_rng(0)
TABLE = RANDOM.normal(size=(7, 7)).astype(np.float32)
TOKENS = RANDOM.integers(1, 7, size=(4, 6))
TOKENS[1, 4:] = TOKENS[3, 1:] = 0  # A text may be shorter than two tokens.
SEGMENTS = np.array([[1, 1, 1, 2, 2, 2], [1, 2, 2, 2, 0, 0], 6 * [1], 6 * [0]])


def apply(variables, tokens, *, key=None, train=False, **options):
    """Logits of a bigram model; the options that it was given are its model state."""
    return variables["params"][tokens], options


MODEL = Model(lambda key: {"params": jnp.asarray(TABLE)}, apply)
VARIABLES = MODEL.init(jax.random.key(0))
objective = objectives.language_modelling(MODEL, pad_token=0)


@jax.jit
def measured(batch):
    (loss, (options, found)), grad = jax.value_and_grad(
        lambda variables: objective(variables, batch), has_aux=True
    )(VARIABLES)
    return loss, grad["params"], options, found


def nats(tokens, counts):
    """Mean negative log-likelihood of the targets that count, in float64."""
    logits = TABLE.astype(np.float64)[tokens[:, :-1]]
    log_probs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    targets = np.where(counts, tokens[:, 1:], 0)
    found = np.take_along_axis(log_probs, targets[..., None], axis=-1).squeeze(-1)
    return -found[counts].mean(), (logits.argmax(-1) == targets)[counts].mean()


def test_the_loss_equals_that_of_pytorch():
    loss, _, options, found = measured({"tokens": TOKENS})
    # torch.nn.functional.cross_entropy of float64 with ignore_index, of transformers'
    # ForCausalLMLoss 2.39962673.
    np.testing.assert_allclose(loss, 2.3996269987, rtol=1e-6)
    np.testing.assert_allclose(
        found["perplexity"].compute(), np.exp(2.3996269987), rtol=1e-6
    )
    assert options == {}


BATCHES = {
    "mask of texts": (
        {"mask": np.array([1, 0, 1, 0], np.float32)},
        np.array([[1], [0], [1], [0]]) * np.ones((1, 5)),
    ),
    "mask of tokens": (
        {"mask": (np.arange(24).reshape(4, 6) % 3 > 0).astype(np.float32)},
        np.arange(24).reshape(4, 6)[:, 1:] % 3 > 0,
    ),
    "segments": (
        {"segments": SEGMENTS},
        [[1, 1, 0, 1, 1], [0, 1, 1, 0, 0], [1] * 5, [0] * 5],
    ),
}


@pytest.mark.parametrize("more, counts", BATCHES.values(), ids=BATCHES)
def test_padding_masks_and_other_segments_are_no_targets(more, counts):
    loss, _, options, found = measured({"tokens": TOKENS, **more})
    expected, accuracy = nats(TOKENS, np.bool(counts) & (TOKENS[:, 1:] != 0))
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    np.testing.assert_allclose(found["accuracy"].compute(), accuracy, rtol=1e-6)
    if "segments" in more:
        np.testing.assert_array_equal(options["segments"], SEGMENTS[:, :-1])


def test_uneven_batches_merge_to_the_whole():
    parts = [measured({"tokens": TOKENS[some]}) for some in (slice(1), slice(1, 4))]
    merged = jax.tree.map(lambda *x: sum(x), *(found for *_, found in parts))
    loss, _, _, whole = measured({"tokens": TOKENS})
    for name, metric in merged.items():
        np.testing.assert_allclose(metric.compute(), whole[name].compute(), rtol=1e-6)
    np.testing.assert_allclose(merged["loss"].compute(), loss, rtol=1e-6)


def test_where_nothing_counts_nothing_is_learnt():
    loss, grad, _, found = measured({"tokens": np.zeros_like(TOKENS)})
    assert loss == 0 and not grad.any()
    assert all(np.isnan(metric.compute()) for metric in found.values())


def test_a_token_that_is_none_is_seen_where_it_counts():
    tokens = np.where(TOKENS == 6, 7, TOKENS)
    assert np.isnan(measured({"tokens": tokens})[0])
    mask = (tokens != 7).astype(np.float32)
    loss, grad, _, _ = measured({"tokens": tokens, "mask": mask})
    assert np.isfinite(loss) and np.isfinite(grad).all()


def test_a_reset_is_an_option_of_the_model():
    reset = np.array([True, False, False, True])
    _, _, options, _ = measured({"tokens": TOKENS, "reset": reset})
    np.testing.assert_array_equal(options["reset"], reset)


def test_any_metric_may_be_watched():
    sizes = np.arange(7)
    watch = {
        "bits_per_byte": metrics.bits_per(sizes),
        "exact_match": metrics.exact_match,
    }
    watching = objectives.language_modelling(MODEL, pad_token=0, metrics=watch)
    batch = {"tokens": TOKENS}
    _, (_, found) = jax.jit(partial(watching, VARIABLES))(batch)
    targets = TOKENS[:, 1:]
    counts = targets != 0
    total = nats(TOKENS, counts)[0] * counts.sum() / np.log(2)
    expected = total / sizes[targets].sum()
    np.testing.assert_allclose(found["bits_per_byte"].compute(), expected, rtol=1e-6)
    right = TABLE[TOKENS[:, :-1]].argmax(-1) == targets
    rows = counts.any(axis=1)  # One row has no target.
    expected = (right | ~counts)[rows].all(axis=1).mean()
    np.testing.assert_allclose(found["exact_match"].compute(), expected)


def apply_in_parts(variables, x, *, return_features=False, method=None, **_):
    """Logits E Eᵀ of a bigram model of two layers, the features between them."""
    params = variables["params"]
    features = x if method else params[x]
    return features if return_features else features @ params.T, {}


IN_PARTS = Model(MODEL.init, apply_in_parts)


@pytest.mark.parametrize(
    "model",
    [
        IN_PARTS,
        *(
            pytest.param(module, marks=pytest.mark.slow)
            for module in (
                models.GPT(1, 2, 4, vocab_size=7, max_length=5),
                models.Llama(1, 2, 4, 4, vocab_size=7),
                models.Llama(1, 2, 4, 4, vocab_size=7, tie_embeddings=True),
                models.RNNLanguageModel(4, vocab_size=7),
                models.RNNLanguageModel(4, vocab_size=7, tie_embeddings=True),
            )
        ),
    ],
    ids=lambda model: type(model).__name__,
)
def test_chunks_of_tokens_equal_the_whole(model):
    if not isinstance(model, Model):
        model = models.functional(model, TOKENS[:, 1:])
    variables = jax.jit(model.init)(jax.random.key(0))
    batch = {"tokens": TOKENS, "mask": np.array([1, 1, 0, 1], np.float32)}

    @jax.jit
    def both(variables):
        return [
            jax.value_and_grad(
                lambda v, o=o: o(v, batch, jax.random.key(1), train=True), has_aux=True
            )(variables)
            for o in (
                # Five tokens are two chunks and a part of one.
                objectives.language_modelling(model, pad_token=0, chunk_size=2),
                objectives.language_modelling(model, pad_token=0),
            )
        ]

    chunked, whole = both(variables)
    chex.assert_trees_all_close(chunked, whole, rtol=1e-6, atol=1e-7)


def test_chunks_need_the_memory_of_their_logits_alone():
    length, vocab_size = 64, 5000
    variables = {"params": jax.ShapeDtypeStruct((vocab_size, 4), jnp.float32)}
    tokens = jax.ShapeDtypeStruct((2, length + 1), jnp.int32)

    def kept(chunk_size):
        learnt = objectives.language_modelling(IN_PARTS, chunk_size=chunk_size)
        grad = jax.jit(jax.value_and_grad(learnt, has_aux=True))
        compiled = grad.lower(variables, {"tokens": tokens}).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    logits = 2 * length * vocab_size * 4
    assert 2 * logits < kept(None) < 2.2 * logits
    assert kept(8) < 0.6 * logits


def test_what_needs_whole_sequences_is_not_measured_by_chunks():
    watch = {"exact_match": metrics.exact_match}
    learnt = objectives.language_modelling(IN_PARTS, metrics=watch, chunk_size=2)
    with pytest.raises(UserError, match="expected sequences"):
        jax.eval_shape(learnt, VARIABLES, {"tokens": TOKENS})


def test_a_chunk_has_a_token():
    with pytest.raises(UserError, match="chunk_size=0: expected at least one token"):
        objectives.language_modelling(MODEL, chunk_size=0)


@pytest.mark.parametrize(
    "batch, message",
    [
        ({"tokens": TOKENS[:, :1]}, r"tokens.shape=\[4, 1\]: expected \[B, T \+ 1\]"),
        ({"text": TOKENS}, "there is no 'tokens' in a batch"),
        ({"tokens": TOKENS, "mask": np.ones(3)}, r"mask.shape=\[3\]: expected \[4\]"),
        (
            {"tokens": TOKENS, "segments": SEGMENTS[:, 1:]},
            r"segments.shape=\[4, 5\]: expected \[4, 6\], as that of tokens",
        ),
    ],
)
def test_mistakes_are_told_in_a_line(batch, message):
    with pytest.raises(UserError, match=message):
        objective(VARIABLES, batch)
