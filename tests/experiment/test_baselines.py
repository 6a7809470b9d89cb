"""Baselines are scikit-learn's models, fitted and scored by hand."""

import jax
import numpy as np
import pytest
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.neighbors import KNeighborsClassifier

import fdl
from fdl import data, experiment
from fdl.errors import UserError

CONFIG = fdl.config.base()
CONFIG.update({"num_steps": 1, "batch_size": 4, "optimizer": {}})


def initial(built):
    """Variables of the experiment before its first step."""
    learner = built.learner
    return jax.jit(lambda key: learner.variables(learner.init(key)))(jax.random.key(0))


def built(name):
    """Experiment on a bundled table, its splits, and initial variables."""
    table = data.table(data.bundled_rows(name)[::3], "target")
    classes = table.encoding.classes
    base = fdl.supervised(
        CONFIG,
        table.splits,
        data.preprocessing.table(table.encoding),
        fdl.models.linear(len(classes) or 1),
        None if classes else experiment.regression(table.train),
    )
    return base, table.splits, initial(base)


FORESTS = {"iris": RandomForestClassifier, "diabetes": RandomForestRegressor}


@pytest.mark.parametrize("name", ["iris", "diabetes"])
def test_they_are_scored_on_the_examples_of_the_experiment(name):
    base, splits, variables = built(name)
    both = experiment.with_baselines(base, splits, ["linear", "forest"])
    target, score = ("label", "accuracy") if name == "iris" else ("target", "r2")
    linear = LogisticRegression(max_iter=1000) if name == "iris" else LinearRegression()
    models = {"linear": linear, "forest": FORESTS[name](random_state=0)}
    for model in models.values():
        model.fit(splits.train["features"], splits.train[target])
    for evaluate, plain, split in (
        (both.evaluate, base.evaluate, splits.validation),
        (both.test, base.test, splits.test),
    ):
        found, ours = evaluate(variables), plain(variables)
        expected = dict(ours)
        for key, model in models.items():
            value = model.score(split["features"], split[target])
            expected[f"{key}_{score}"] = value
            expected[f"ahead_of_{key}"] = ours[score] - value
        assert found == pytest.approx(expected, abs=1e-6)


def test_estimators_by_name_see_flat_inputs_as_the_model_does_and_are_fitted_once():
    splits = data.Splits(
        *(
            {"image": images, "label": np.arange(len(images), dtype=np.int32) % 2}
            for images in np.split(
                np.random.default_rng(0).integers(0, 17, (18, 2, 2, 1), np.uint8), 3
            )
        )
    )
    base = fdl.supervised(
        CONFIG,
        splits,
        data.preprocessing.images((2, 2, 1), white=16),
        fdl.models.linear(2),
    )
    fits = []

    class Seen(DummyClassifier):
        def fit(self, x, y):
            fits.append(x)
            return super().fit(x, y)

    both = experiment.with_baselines(
        base, splits, {"dummy": Seen(), "near": KNeighborsClassifier(1)}, inputs="image"
    )
    variables = initial(base)
    results = [both.evaluate(variables), both.test(variables), both.test(variables)]
    assert results[1] == results[2] and len(fits) == 1
    images = splits.train["image"].reshape(6, -1)
    np.testing.assert_array_equal(fits[0], images * np.float32(1 / 16))
    near = KNeighborsClassifier(1).fit(images, splits.train["label"])
    expected = near.score(splits.test["image"].reshape(6, -1), splits.test["label"])
    assert results[1]["near_accuracy"] == expected


def test_without_a_test_there_is_none():
    base, splits, _ = built("iris")
    both = experiment.with_baselines(
        base._replace(test=None), splits._replace(test=None)
    )
    assert both.test is None


def test_what_is_unknown_is_answered_with_the_near_ones():
    base, splits, variables = built("iris")
    with pytest.raises(
        UserError, match=r"there is no 'forrest'.*Did you mean 'forest'"
    ):
        experiment.with_baselines(base, splits, ["forrest"])
    other = base._replace(evaluate=lambda variables: {"acuracy": 1.0})
    both = experiment.with_baselines(other, splits, {"dummy": DummyRegressor()})
    with pytest.raises(UserError, match=r"no 'accuracy'.*Did you mean 'acuracy'"):
        both.evaluate(variables)
