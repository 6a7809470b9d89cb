import jax
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import fdl
from fdl.data.splits import Splits
from fdl.errors import UserError
from fdl.evaluation import nearest_examples, sample_classes, sampler
from fdl.types import Examples, Experiment

LABELS = np.arange(40) % 4


def examples(seed):
    """Points near the corners of a square, in bytes."""
    corners = np.array([[0, 0], [0, 200], [200, 0], [200, 200]])
    noise = np.random.default_rng(seed).integers(50, size=(40, 2))
    return {"image": (corners[LABELS] + noise).astype(np.uint8), "label": LABELS}


SPLITS = Splits(examples(0), examples(1), examples(2))


def preprocess(batch):
    return {**batch, "image": batch["image"] / 255}


def experiment(draw):
    batches = fdl.data.batches(SPLITS.test, 8, shuffle=False)
    return Experiment(
        None,
        None,
        None,
        test=lambda variables: {"loss": 1.0},
        examples=Examples(batches, None, preprocess),
        abilities={"sample": sampler(draw)},
    )


def copies(variables, temperature, key):
    """The first training examples, moved by a little."""
    del variables, key
    return SPLITS.train["image"][: len(temperature)] / 255 + 0.01 * temperature[:, None]


def measured(draw, **options):
    made = fdl.experiment.with_sample_measures(
        experiment(draw), SPLITS, classifier=LogisticRegression(C=100), **options
    )
    return made.test({})


def test_samples_are_measured_beside_real_examples():
    found = measured(copies, num_samples=20)
    assert found["loss"] == 1.0
    train, test = (preprocess(part)["image"] for part in (SPLITS.train, SPLITS.test))
    model = LogisticRegression(C=100).fit(train, LABELS)
    drawn = train[:20] + 0.01
    for prefix, points in (("sample", drawn), ("real", test[:20])):
        seen = sample_classes(model.predict_proba(points))
        assert found[f"{prefix}_confidence"] == pytest.approx(seen.confidence, 1e-5)
        assert found[f"{prefix}_entropy"] == pytest.approx(seen.entropy, 1e-5)
        nearest = np.median(nearest_examples(points, train).distances)
        assert found[f"{prefix}_nearest"] == pytest.approx(nearest, 1e-5)
    assert found["sample_nearest"] == pytest.approx(0.01 * 2**0.5, 1e-4)
    assert found["sample_precision"] > 0.8 and found["sample_recall"] > 0.8


def test_noise_has_no_precision():
    def noise(variables, temperature, key):
        return 5 + jax.random.uniform(key, (len(temperature), 2))

    found = measured(noise, num_samples=20, temperature=0.5)
    assert found["sample_precision"] == 0 and found["sample_nearest"] > 5


def test_what_cannot_be_measured_is_told():
    with pytest.raises(UserError, match="num_samples=41: expected 4 to 40"):
        measured(copies, num_samples=41)
    plain = experiment(copies)._replace(abilities={})
    with pytest.raises(UserError, match="a test, examples and an ability 'sample'"):
        fdl.experiment.with_sample_measures(plain, SPLITS)
