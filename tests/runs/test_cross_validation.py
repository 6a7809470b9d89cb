"""Folds that are trained side by side have the numbers of each alone."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fdl
from fdl.data.splits import Splits
from fdl.runs import cross_validation

PROGRAMS = 140

RANDOM = np.random.default_rng(0)
ARRAYS = {
    "features": RANDOM.normal(5, 3, (21, 3)).astype(np.float32),
    "label": np.arange(21) % 2,
    "target": RANDOM.normal(100, 20, 21).astype(np.float32),
}
NOTHING = {name: array[:0] for name, array in ARRAYS.items()}
NUM_FOLDS, NUM_STEPS = 2, 7


def build(fold, *, batch_size=4, change=lambda objective, train: objective, width=0):
    splits = Splits(ARRAYS, NOTHING, NOTHING)
    train, test, _ = fdl.data.fold(splits, num_folds=NUM_FOLDS, fold=fold)
    train, test = fdl.data.standardize(train, test)
    model = fdl.models.functional(fdl.models.MLP((4 + width,), 2), jnp.zeros((1, 3)))
    plain = fdl.objectives.classification(model, inputs="features")
    learner = fdl.gradient_learner(model, change(plain, train), optax.adam(0.1))
    return fdl.Experiment(
        learner,
        fdl.data.batches(train, batch_size, seed=2),
        fdl.on_dataset(plain, fdl.data.batches(test, len(test["label"]))),
    )


def times(factor):
    """Of an objective, one that multiplies the gradient by a number."""

    def change(objective, train):
        number = factor(train)

        def scaled(variables, batch, key=None, *, train=False):
            loss, more = objective(variables, batch, key, train=train)
            return loss * number, more

        return scaled

    return change


def inside(function):
    """A constant that only a compiled function inside of the objective holds."""

    def change(objective, train):
        number = np.asarray(function(train))

        @jax.jit
        def multiply(x):
            return (x * number).sum()

        def scaled(variables, batch, key=None, *, train=False):
            loss, more = objective(variables, batch, key, train=train)
            return multiply(loss[None]), more

        return scaled

    return change


@jax.custom_jvp
def twice(x):
    return 2 * x


@twice.defjvp
def twice_jvp(primals, tangents):
    return twice(*primals), 2 * tangents[0]


def own_rule(fold):
    """Outside of the gradient, a function with a rule of its own stays one."""
    experiment = build(fold)

    def change(batch):
        return {**batch, "features": jax.nn.relu(twice(batch["features"]))}

    return experiment._replace(batches=fdl.data.transform(experiment.batches, change))


def transformed(fold):
    """Each fold is shifted by a number of its own, outside of its step."""
    experiment = build(fold)
    mean = experiment.batches.data["target"].mean() / 100

    def shift(batch):
        return {**batch, "features": batch["features"] + mean}

    batches = fdl.data.transform(experiment.batches, shift)
    return experiment._replace(batches=batches)


BUILDS = {
    "same": (build, True),
    "own rule": (own_rule, True),
    "statistics differ": (transformed, True),
    # In one fold the last batch of an epoch is full.
    "masks differ": (functools.partial(build, batch_size=5), False),
    "numbers differ": (
        functools.partial(build, change=times(lambda x: float(x["target"].mean()))),
        False,
    ),
    "arrays differ": (
        functools.partial(build, change=inside(lambda x: x["target"][:1] / 100)),
        False,
    ),
    "models differ": (lambda fold: build(fold, width=fold), False),
}


@pytest.mark.parametrize(
    "name, steps_per_call",
    [
        ("masks differ", 3),
        *(
            pytest.param(name, 3, marks=pytest.mark.slow)
            for name in BUILDS
            if name != "masks differ"
        ),
        *(
            pytest.param(name, 1, marks=pytest.mark.slow)
            for name in ("same", "masks differ")
        ),
    ],
)
def test_each_fold_has_the_numbers_that_it_has_alone(name, steps_per_call):
    make, vmapped = BUILDS[name]
    experiments = [make(fold) for fold in range(NUM_FOLDS)]
    whole = cross_validation.combine_folds(experiments)

    def trained(experiment):
        seen = []
        state = fdl.train.run(
            experiment.learner,
            experiment.batches,
            num_steps=NUM_STEPS,
            steps_per_call=steps_per_call,
            log_every=3,
            log=lambda step, values: seen.append((step, values)),
        )
        return state, seen, experiment.evaluate(experiment.learner.variables(state))

    state, seen, values = trained(whole)
    assert len(state.groups) == (1 if vmapped else NUM_FOLDS)
    alone = [trained(experiment) for experiment in experiments]
    for k, (other, lines, measured) in enumerate(alone):
        part = fdl.select(state, k)
        chex.assert_trees_all_close(part.params, other.params, rtol=1e-4, atol=1e-5)
        assert [step for step, _ in seen] == [step for step, _ in lines]
        for (_, ours), (_, theirs) in zip(seen, lines, strict=True):
            for metric, value in theirs.items():
                np.testing.assert_allclose(ours[metric][k], value, rtol=1e-3)
        for metric, value in measured.items():
            np.testing.assert_allclose(values[metric][k], value, rtol=1e-3)
    first = alone[0][0].params
    assert any(
        not np.allclose(a, b)
        for other, *_ in alone[1:]
        for a, b in zip(*map(jax.tree.leaves, (first, other.params)), strict=False)
        if a.shape == b.shape
    )


def test_other_data_is_another_run():
    experiments = [build(fold) for fold in range(NUM_FOLDS)]
    prints = {
        cross_validation.combine_folds(chosen).batches.fingerprint
        for chosen in (experiments, experiments[:1], experiments[::-1])
    }
    assert len(prints) == 3


def test_the_test_of_the_folds_is_that_of_each():
    folds = [build(fold) for fold in range(NUM_FOLDS)]
    assert cross_validation.combine_folds(folds).test is None
    tests = [
        fold._replace(test=lambda v, k=k: {"k": k}) for k, fold in enumerate(folds)
    ]
    variables = {"params": {"0": {}, "1": {}}}
    assert cross_validation.combine_folds(tests).test(variables) == {"k": [0, 1]}


def test_folds_of_the_same_data_are_refused():
    with pytest.raises(fdl.errors.UserError, match=r"same data.*fdl\.data\.fold"):
        cross_validation.combine_folds([build(0), build(1), build(0)])
