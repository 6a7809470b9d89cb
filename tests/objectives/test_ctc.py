import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import losses, objectives
from fdl.errors import UserError
from fdl.types import Model

PROGRAMS = 40

FRAMES = np.random.default_rng(0).normal(size=(4, 6, 3)).astype(np.float32)
LABELS = np.array([[1, 2, -1], [1, -1, -1], [-1, -1, -1], [2, 1, 2]])
LENGTHS = np.array([6, 3, 4, 5])
BATCH = {"features": FRAMES, "labels": LABELS, "lengths": LENGTHS}

MODEL = Model(
    lambda key: {"params": jnp.ones(())},
    lambda variables, x, key=None, train=False, mask=None: (
        x * variables["params"],
        mask,
    ),
)
VARIABLES = MODEL.init(jax.random.key(0))
objective = objectives.ctc(MODEL, lengths="lengths")


@jax.jit
def measured(batch):
    loss, (mask, found) = objective(VARIABLES, batch)
    return loss, mask, {name: metric.compute() for name, metric in found.items()}


@jax.jit
def losses_and_labels(frames):
    return (
        losses.ctc(FRAMES, LABELS, mask=frames, label_mask=LABELS >= 0),
        *losses.ctc_greedy(FRAMES, mask=frames),
    )


@pytest.mark.parametrize("rows", [[0, 1, 2, 3], [0, 3]])
def test_it_is_the_mean_loss_and_the_edits_of_greedy_decoding(rows):
    weights = np.isin(range(4), rows).astype(np.float32)
    loss, mask, found = measured({**BATCH, "mask": weights})
    frames = np.arange(6) < LENGTHS[:, None]
    np.testing.assert_array_equal(mask, frames)
    each, predicted, there = jax.device_get(losses_and_labels(frames))
    np.testing.assert_allclose(loss, each[rows].mean(), rtol=1e-6)
    edits = sum(
        levenshtein(predicted[i][there[i]].tolist(), [x for x in LABELS[i] if x >= 0])
        for i in rows
    )
    expected = edits / (LABELS[rows] >= 0).sum()
    np.testing.assert_allclose(found["label_error_rate"], expected, rtol=1e-6)


def levenshtein(one, other):
    if not one or not other:
        return len(one) + len(other)
    last = levenshtein(one[:-1], other[:-1]) + (one[-1] != other[-1])
    return min(
        last, *(1 + levenshtein(*x) for x in ((one[:-1], other), (one, other[:-1])))
    )


def test_where_no_sequence_counts_nothing_is_learnt():
    loss, _, found = measured({**BATCH, "mask": np.zeros(4, np.float32)})
    assert loss == 0 and np.isnan([*found.values()]).all()


def test_there_is_a_frame_for_each_input():
    shorter = MODEL._replace(apply=lambda _, x, **__: (x[:, ::2], {}))
    with pytest.raises(UserError, match=r"logits.shape=\[4, 3, 3\]: expected \[4, 6\]"):
        objectives.ctc(shorter, lengths="lengths")(VARIABLES, BATCH)
