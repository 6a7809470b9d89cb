"""DPO is its equation: Rafailov et al., 2023, equation 7."""

from functools import partial

import jax
import numpy as np
import optax
import pytest

import fdl
from fdl import data, models, objectives
from fdl.data.text import Answer, pad_preferences
from fdl.errors import UserError
from fdl.types import Model

RANDOM = np.random.default_rng(0)
TABLES = RANDOM.normal(size=(2, 7, 7)).astype(np.float32)
BATCH = {
    "chosen": RANDOM.integers(7, size=(4, 5)).astype(np.int32),
    "rejected": RANDOM.integers(7, size=(4, 3)).astype(np.int32),
    "chosen_mask": np.float32([[0, 1, 1, 1, 0], [0, 0, 1, 1, 1], [0, 1, 0, 0, 0]] * 2)[
        :4
    ],
    "rejected_mask": np.float32([[0, 1, 1], [0, 1, 0], [0, 0, 0], [0, 1, 1]]),
}


def bigrams(name):
    def apply(variables, tokens, *, key=None, train=False):
        return variables["params"][name][tokens], {}

    return Model(lambda key: {}, apply)


OBJECTIVE = objectives.preference(bigrams("policy"), bigrams("reference"), beta=0.3)


@jax.jit
def measured(batch):
    params = dict(zip(("policy", "reference"), TABLES, strict=True))
    return jax.value_and_grad(
        lambda params: OBJECTIVE({"params": params}, batch), has_aux=True
    )(params)


def rewards(tokens, mask):
    """β (log π − log π_ref) of the answers, in float64."""
    tables = TABLES.astype(np.float64)
    log_probs = tables - np.log(np.exp(tables).sum(axis=-1, keepdims=True))
    ratio = log_probs[0] - log_probs[1]
    return 0.3 * (mask[:, 1:] * ratio[tokens[:, :-1], tokens[:, 1:]]).sum(axis=1)


@pytest.mark.parametrize("mask", [None, np.float32([1, 0, 1, 0])])
def test_loss_accuracy_and_margin_are_those_of_the_equation(mask):
    batch = BATCH if mask is None else {**BATCH, "mask": mask}
    (loss, (_, found)), grads = measured(batch)
    rows = slice(None) if mask is None else mask > 0
    margin = (
        rewards(BATCH["chosen"], BATCH["chosen_mask"])
        - rewards(BATCH["rejected"], BATCH["rejected_mask"])
    )[rows]
    expected = {
        "loss": np.log1p(np.exp(-margin)).mean(),
        "accuracy": (margin > 0).mean(),
        "margin": margin.mean(),
    }
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(found[name].compute(), value, rtol=1e-5)
    np.testing.assert_allclose(loss, expected["loss"], rtol=1e-5)
    assert not np.any(grads["reference"]) and np.any(grads["policy"])


def test_pairs_without_a_weight_have_no_loss_and_wrong_shapes_are_one_line():
    (loss, (_, found)), _ = measured({**BATCH, "mask": np.zeros(4, np.float32)})
    assert loss == 0 and found["loss"].weight == 0
    wrong = {**BATCH, "chosen_mask": BATCH["chosen_mask"][:, 1:]}
    with pytest.raises(UserError, match=r"chosen_mask.shape=\[4, 4\]: expected"):
        OBJECTIVE({"params": {}}, wrong)
    with pytest.raises(UserError, match="beta=0: expected a positive number"):
        objectives.preference(bigrams("policy"), bigrams("reference"), beta=0)


@pytest.mark.slow
def test_adapters_learn_what_is_preferred_and_the_base_is_the_reference():
    # Of two words after a letter, one is chosen.
    pairs = []
    for i in range(4):
        words = (i % 2, 1 - i % 2)
        both = (Answer(np.array([i]), np.array([4 + word, 6])) for word in words)
        pairs.append(tuple(both))
    base = models.functional(models.GPT(1, 2, 16, vocab_size=8, max_length=4))
    model = models.lora(base, rank=4, match=["attention", "mlp"])
    off = model._replace(apply=partial(model.apply, adapted=False))
    objective = objectives.preference(model, off, beta=5.0)
    learner = fdl.gradient_learner(model, objective, optax.adam(0.01))
    batches = data.batches(pad_preferences(pairs, 4), 4)
    log = []
    fdl.train.run(
        learner,
        batches,
        num_steps=60,
        steps_per_call=20,
        log_every=20,
        log=lambda step, values: log.append(values),
    )
    # Before the first step, the loss is log 2.
    assert log[-1]["loss"] < 0.3 and log[-1]["accuracy"] > 0.9
