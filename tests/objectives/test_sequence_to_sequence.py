from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import objectives
from fdl.errors import UserError
from fdl.types import Model

PROGRAMS = 40

# Of the same numbers, torch.nn.functional.cross_entropy in float64, with ignore_index=0
# and label_smoothing: the loss, and the sum of the squares of its gradient.
THEIRS = {
    0.0: (2.3127639924807477, 0.09747683691121595),
    0.1: (2.313244010936761, 0.08108173153793138),
    0.3: (2.3142040478487877, 0.053434377934219436),
}
LOGITS = np.random.default_rng(0).normal(size=(3, 5, 7)).astype(np.float32)
SOURCE = np.array([[5, 6, 0], [5, 0, 0], [1, 2, 3]])
TARGET = np.array([[1, 3, 4, 2, 0, 0], [1, 5, 2, 0, 0, 0], [1, 6, 3, 5, 4, 2]])
BATCH = {"source": SOURCE, "target": TARGET}


def apply(variables, source, target, *, key=None, train=False, **masks):
    """Logits that are parameters; what the model was given is its model state."""
    return variables["params"], {"source": source, "target": target, **masks}


MODEL = Model(lambda key: {"params": jnp.asarray(LOGITS)}, apply)
VARIABLES = MODEL.init(jax.random.key(0))


@partial(jax.jit, static_argnums=0)
def measured(objective, batch):
    (loss, (given, found)), grad = jax.value_and_grad(
        lambda variables: objective(variables, batch), has_aux=True
    )(VARIABLES)
    return loss, grad["params"], given, {k: x.compute() for k, x in found.items()}


@pytest.mark.parametrize("smoothing", THEIRS)
def test_the_loss_and_its_gradient_equal_those_of_pytorch(smoothing):
    objective = objectives.sequence_to_sequence(
        MODEL, pad_token=0, label_smoothing=smoothing
    )
    loss, grad, _, found = measured(objective, BATCH)
    expected, squares = THEIRS[smoothing]
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    np.testing.assert_allclose(jnp.sum(grad**2), squares, rtol=1e-5)
    np.testing.assert_allclose(found["loss"], THEIRS[0.0][0], rtol=1e-6)
    np.testing.assert_allclose(found["perplexity"], np.exp(THEIRS[0.0][0]), rtol=1e-5)
    counts = TARGET[:, 1:] != 0
    right = (LOGITS.argmax(-1) == TARGET[:, 1:])[counts].mean()
    np.testing.assert_allclose(found["accuracy"], right, rtol=1e-6)
    np.testing.assert_allclose(found.get("smoothed_loss", loss), loss)


def test_half_precision_costs_the_smoothed_loss_no_more_than_the_logits():
    logits = LOGITS * 20
    narrow = logits.astype(jnp.bfloat16)
    objective = objectives.sequence_to_sequence(MODEL, pad_token=0, label_smoothing=0.3)
    found, expected = (
        jax.jit(objective)({"params": jnp.asarray(x)}, BATCH)[0]
        for x in (narrow, narrow.astype(np.float32))
    )
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.oracle
def test_pytorch_says_so_still():
    torch = pytest.importorskip("torch")
    for smoothing, (expected, _) in THEIRS.items():
        loss = torch.nn.functional.cross_entropy(
            torch.tensor(LOGITS.astype(np.float64)).reshape(-1, 7),
            torch.tensor(TARGET[:, 1:]).reshape(-1),
            ignore_index=0,
            label_smoothing=smoothing,
        )
        np.testing.assert_allclose(loss, expected, rtol=1e-6)


objective = objectives.sequence_to_sequence(MODEL, pad_token=0)
EXTREME = objectives.sequence_to_sequence(MODEL, pad_token=99)


def test_the_model_is_given_tokens_and_where_they_are():
    _, _, given, _ = measured(objective, BATCH)
    np.testing.assert_array_equal(given["source_mask"], SOURCE != 0)
    np.testing.assert_array_equal(given["target"], TARGET[:, :-1])
    np.testing.assert_array_equal(given["target_mask"], TARGET[:, :-1] != 0)
    # Padding that is no token of the model.
    other = {name: np.where(x == 0, 99, x) for name, x in BATCH.items()}
    _, _, same, _ = measured(EXTREME, other)
    jax.tree.map(np.testing.assert_array_equal, same, given)


def test_pairs_and_tokens_that_a_mask_leaves_out_do_not_count():
    mask = np.array([1, 0, 1], np.float32)
    loss, grad, _, _ = measured(objective, {**BATCH, "mask": mask})
    padded = np.where(mask[:, None] > 0, TARGET, 0)
    expected, *_ = measured(objective, {**BATCH, "target": padded})
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    assert not grad[1].any()
    of_tokens = np.broadcast_to(mask[:, None], TARGET.shape)
    again, *_ = measured(objective, {**BATCH, "mask": of_tokens})
    np.testing.assert_allclose(again, loss, rtol=1e-6)


def test_where_nothing_counts_nothing_is_learnt():
    batch = {"source": SOURCE, "target": np.zeros_like(TARGET)}
    loss, grad, _, found = measured(objective, batch)
    assert loss == 0 and not grad.any() and np.isnan(found["loss"])


def test_chunks_of_logits_change_nothing():
    def in_chunks(variables, *inputs, method=None, return_features=False, **options):
        if method == "logits":
            return inputs[0] * 2.0, {}
        return variables["params"] / 2.0, {}

    chunked = objectives.sequence_to_sequence(
        MODEL._replace(apply=in_chunks), pad_token=0, label_smoothing=0.1, chunk_size=2
    )
    whole = objectives.sequence_to_sequence(MODEL, pad_token=0, label_smoothing=0.1)
    (loss, grad, _, found), (same, same_grad, _, others) = (
        measured(one, BATCH) for one in (chunked, whole)
    )
    np.testing.assert_allclose(loss, same, rtol=1e-6)
    np.testing.assert_allclose(grad, same_grad, atol=1e-6)
    for name, value in others.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-6)


@pytest.mark.parametrize(
    "options, batch, message",
    [
        ({"label_smoothing": 1.5}, BATCH, r"^label_smoothing=1.5: expected a share"),
        ({"chunk_size": 0}, BATCH, "^chunk_size=0: expected at least one token"),
        ({}, {**BATCH, "target": TARGET[:, :1]}, r"^target.shape=\[3, 1\]: expected"),
        ({}, {**BATCH, "source": SOURCE[:2]}, r"^source.shape=\[2, 3\]: expected"),
        ({}, {"source": SOURCE}, "^there is no 'target' in a batch"),
        ({}, {**BATCH, "mask": np.ones(2)}, r"^mask.shape=\[2\]: expected"),
    ],
)
def test_mistakes_are_one_line(options, batch, message):
    with pytest.raises(UserError, match=message):
        made = objectives.sequence_to_sequence(MODEL, pad_token=0, **options)
        made(VARIABLES, batch)
