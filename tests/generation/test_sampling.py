"""Filters leave the tokens that those of transformers leave."""

import jax
import numpy as np
import pytest

from fdl import generation
from fdl.generation import min_p, temperature, top_k, top_p

LOGITS = np.float32(3 * np.random.RandomState(0).normal(size=(3, 9)))
CHAIN = generation.compose([temperature(2.0), top_k(6), top_p(0.7)])
KEPT = {  # Of transformers 5.24; an oracle test computes them anew.
    "top_k=1": [[3], [7], [6]],
    "top_k=4": [[0, 2, 3, 4], [2, 3, 5, 7], [0, 3, 4, 6]],
    "top_k=90": [[*range(9)]] * 3,
    "top_p=0.3": [[3], [7], [6]],
    "top_p=0.9": [[0, 3, 4], [2, 3, 7], [6]],
    "top_p=1.0": [[*range(9)]] * 3,
    "min_p=0.05": [[0, 3, 4], [2, 3, 7], [6]],
    "min_p=1.0": [[3], [7], [6]],
    "all": [[0, 3, 4], [2, 3, 7], [6]],
}
FILTERS = {
    "top_k=1": top_k(1),
    "top_k=4": top_k(4),
    "top_k=90": top_k(90),
    "top_p=0.3": top_p(0.3),
    "top_p=0.9": top_p(0.9),
    "top_p=1.0": top_p(1.0),
    "min_p=0.05": min_p(0.05),
    "min_p=1.0": min_p(1.0),
    "all": CHAIN,
}
PENALISED = [
    [3.528105, 2.936214, 4.481786, -2.931834, -0.3096566],
    [1.231796, 2.908547, 2.283113, 1.33159, -0.9232122],
    [0.9392031, -7.658969, 1.960856, -3.339743, 0.1372755],
]
SEEN = np.array([[0, 3, 3], [1, 2, 8], [5, 5, 5]])


@pytest.mark.parametrize("name", FILTERS)
def test_filters_leave_what_those_of_transformers_leave(name):
    logits = np.asarray(jax.jit(FILTERS[name])(LOGITS))
    kept = np.isfinite(logits)
    assert [np.flatnonzero(row).tolist() for row in kept] == KEPT[name]
    scale = 2 if name == "all" else 1
    np.testing.assert_allclose(logits[kept], LOGITS[kept] / scale, rtol=1e-6)


@pytest.mark.oracle
def test_what_is_left_is_what_transformers_leaves():
    torch = pytest.importorskip("torch")
    hf = pytest.importorskip("transformers")
    warpers = {
        "top_k": lambda k: hf.TopKLogitsWarper(int(k)),
        "top_p": lambda p: hf.TopPLogitsWarper(float(p)),
        "min_p": lambda p: hf.MinPLogitsWarper(float(p)),
    }
    chain = [hf.TemperatureLogitsWarper(2.0), hf.TopKLogitsWarper(6)]
    chain = [*chain, hf.TopPLogitsWarper(0.7)]
    seen = torch.tensor(SEEN)
    for name in FILTERS:
        kind, _, value = name.partition("=")
        logits = torch.tensor(LOGITS)
        for warp in [warpers[kind](value)] if value else chain:
            logits = warp(seen, logits)
        kept = [np.flatnonzero(row).tolist() for row in torch.isfinite(logits).numpy()]
        assert kept == KEPT[name]
    penalise = hf.RepetitionPenaltyLogitsProcessor(1.5)
    logits = penalise(seen, torch.tensor(LOGITS)).numpy()
    np.testing.assert_allclose(logits[:, [0, 2, 3, 5, 8]], PENALISED, rtol=1e-5)


def test_the_repetition_penalty_is_that_of_transformers():
    seen = (np.arange(9) == SEEN[:, :, None]).any(axis=1)
    logits = generation.repetition_penalty(LOGITS, seen, 1.5)
    np.testing.assert_allclose(logits[:, [0, 2, 3, 5, 8]], PENALISED, rtol=1e-5)


def test_temperature_zero_leaves_the_first_of_the_most_likely():
    logits = np.array([[1.0, 3.0, 3.0], [0.0, -np.inf, -1.0]], np.float32)
    kept = np.isfinite(temperature(0.0)(logits))
    assert kept.tolist() == [[False, True, False], [True, False, False]]


@pytest.mark.parametrize("keep", [top_k(1), top_p(0.1), min_p(1.0)])
def test_tokens_as_likely_as_the_last_one_left_are_left_as_well(keep):
    logits = np.array([2.0, 2.0, 1.0], np.float32)
    assert np.isfinite(keep(logits)).tolist() == [True, True, False]


@pytest.mark.parametrize(
    "make, value, message",
    [
        (temperature, -1.0, "temperature=-1.0: expected a finite number of at least 0"),
        (temperature, float("nan"), "temperature=nan: expected"),
        (top_k, 0, "top_k=0: expected at least 1"),
        (top_p, 0.0, "top_p=0.0: expected a number above 0 and at most 1"),
        (min_p, 1.5, "min_p=1.5: expected a number above 0 and at most 1"),
    ],
)
def test_what_is_no_filter_is_said(make, value, message):
    with pytest.raises(ValueError, match=message):
        make(value)


def test_equal_filters_are_one_function():
    assert top_k(5) is top_k(5) and temperature(0.5) is not temperature(0.6)
