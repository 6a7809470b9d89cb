"""A supervised experiment is the composition of its parts by hand."""

from functools import partial

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fdl
from fdl import data, experiment, objectives
from fdl.data import preprocessing
from fdl.errors import UserError

RANDOM = np.random.default_rng(0)
CONFIG = fdl.config.base()
CONFIG.update(
    {
        "num_steps": 4,
        "batch_size": 8,
        "seed": 3,
        "optimizer": {"name": "adamw", "learning_rate": 0.01, "schedule": "cosine"},
    }
)
IMAGES = preprocessing.images((4, 4, 1), white=16)
NETWORK = fdl.models.MLP((8,), num_outputs=3, dropout=0.2)


def labelled(size):
    images = RANDOM.integers(0, 17, (size, 4, 4, 1)).astype(np.uint8)
    return {"image": images, "label": RANDOM.integers(0, 3, size).astype(np.int32)}


SPLITS = data.Splits(labelled(21), labelled(10), labelled(13))


def initial(built):
    """Variables of the experiment before its first step."""
    learner = built.learner
    return jax.jit(lambda key: learner.variables(learner.init(key)))(jax.random.key(0))


def trained(built):
    """Variables of the experiment after its steps."""
    state = fdl.train.run(
        built.learner, built.batches, num_steps=CONFIG.num_steps, seed=CONFIG.seed
    )
    return built.learner.variables(state)


def test_it_trains_and_evaluates_as_the_same_parts_by_hand():
    built = fdl.supervised(CONFIG, SPLITS, IMAGES, NETWORK)

    model = fdl.models.functional(NETWORK, jnp.zeros((1, 4, 4, 1)))
    objective = objectives.classification(model)
    optimizer = fdl.optim.chain(**CONFIG.optimizer, num_steps=4)
    learner = fdl.gradient_learner(model, objective, optimizer)
    batches = data.scale(data.batches(SPLITS.train, 8, seed=3), image=1 / 16)
    by_hand = fdl.Experiment(learner, batches, lambda variables: {})
    variables = trained(built)
    chex.assert_trees_all_equal(variables, trained(by_hand))

    for evaluate, split in (
        (built.evaluate, SPLITS.validation),
        (built.test, SPLITS.test),
    ):
        whole = data.batches(split, len(split["label"]), shuffle=False)
        expected = fdl.on_dataset(objective, data.scale(whole, image=1 / 16))
        assert evaluate(variables) == expected(variables)
    predict = jax.jit(built.abilities["predict"].function)
    found = predict(variables, {"image": SPLITS.test["image"]}, None)
    logits = jax.jit(model.apply)(variables, SPLITS.test["image"] / np.float32(16))[0]
    np.testing.assert_array_equal(found["class"], logits.argmax(axis=-1))


def test_small_batches_evaluate_to_the_same_metrics():
    config = CONFIG.copy_and_resolve_references()
    config.test_batch_size = 4
    whole, parts = (
        fdl.supervised(c, SPLITS, IMAGES, NETWORK) for c in (CONFIG, config)
    )
    assert parts.examples.batches.per_step == 4
    variables = initial(whole)
    for name in ("evaluate", "test"):
        found, expected = (getattr(e, name)(variables) for e in (parts, whole))
        chex.assert_trees_all_close(found, expected, rtol=1e-6)


def test_without_a_test_split_examples_are_those_of_the_validation():
    built = fdl.supervised(CONFIG, SPLITS._replace(test=None), IMAGES, NETWORK)
    assert built.test is None
    np.testing.assert_array_equal(
        built.examples.batches.data["label"], SPLITS.validation["label"]
    )


def test_parts_of_the_data_may_be_batches():
    parts = data.Splits(
        data.batches(SPLITS.train, 8, seed=3),
        *(data.batches(part, 5, shuffle=False) for part in SPLITS[1:]),
    )
    built = fdl.supervised(CONFIG, parts, IMAGES, NETWORK)
    arrays = fdl.supervised(CONFIG, SPLITS, IMAGES, NETWORK).batches
    chex.assert_trees_all_equal(
        *(one.take(one.data, next(one.stream(5))) for one in (built.batches, arrays))
    )
    assert built.examples.batches is parts.test


def test_the_training_objective_is_made_of_that_of_the_task():
    doubled = partial(objectives.augmented, augment=lambda key, x: 2 * x)
    network = fdl.models.linear(3)
    plain, built = (
        fdl.supervised(CONFIG, SPLITS, IMAGES, network, training=training)
        for training in (None, doubled)
    )
    variables = initial(plain)
    assert built.evaluate(variables) == plain.evaluate(variables)
    batch = {"image": jnp.ones((2, 4, 4, 1)), "label": jnp.array([0, 1])}
    seen, expected = (
        jax.jit(partial(objective, train=True))(variables, images, jax.random.key(0))[0]
        for objective, images in (
            (built.learner.objective, batch),
            (plain.learner.objective, {**batch, "image": 2 * batch["image"]}),
        )
    )
    assert seen == expected


def test_training_begins_with_given_variables():
    built = experiment.supervised(CONFIG, SPLITS, IMAGES, NETWORK)
    given = jax.tree.map(lambda x: x + 1, initial(built))
    begun = experiment.supervised(CONFIG, SPLITS, IMAGES, NETWORK, variables=given)
    chex.assert_trees_all_equal(initial(begun), given)


def test_another_optimizer_replaces_that_of_the_config():
    given = optax.sgd(0.5)
    options = {"name": "sgd", "learning_rate": 0.5, "schedule": "cosine"}
    ours, chain, default = (
        fdl.supervised(CONFIG, SPLITS, IMAGES, NETWORK, optimizer=one).learner.optimizer
        for one in (given, options, None)
    )
    assert ours is given
    params = {"kernel": jax.ShapeDtypeStruct((2, 3), "float32")}
    for found, expected in ((chain, options), (default, CONFIG.optimizer)):
        expected = fdl.optim.chain(**expected, num_steps=4)
        texts = [fdl.optim.describe(one, params) for one in (found, expected)]
        assert texts[0] == texts[1]


def test_averaged_weights_are_evaluated_with_statistics_of_their_own():
    network = fdl.models.MLP((4,), num_outputs=3, norm=nn.BatchNorm)
    optimizer = {"name": "sgd", "learning_rate": 0.5, "swa": 1}
    built = fdl.supervised(CONFIG, SPLITS, IMAGES, network, optimizer=optimizer)
    variables = trained(built)
    # In one order for all seeds, without the incomplete batch.
    whole = data.batches(SPLITS.train, CONFIG.batch_size, drop_remainder=True)
    whole = data.transform(whole, data.preprocessor(IMAGES))
    expected = fdl.refresh_statistics(built.model, variables, whole)
    chex.assert_trees_all_close(variables, expected, rtol=1e-5)


def test_a_reconstruction_has_the_inputs_as_targets_and_no_prediction():
    network = fdl.models.Autoencoder((8,), code_size=2)
    task = experiment.Task(objectives.reconstruction)
    built = fdl.supervised(CONFIG, SPLITS, IMAGES, network, task)
    assert not built.abilities
    variables = initial(built)
    images = SPLITS.test["image"] / np.float32(16)
    outputs, _ = jax.jit(built.model.apply)(variables, images)
    expected = np.mean((np.asarray(outputs) - images) ** 2)
    np.testing.assert_allclose(built.test(variables)["loss"], expected, rtol=1e-5)


def test_a_regression_learns_standardised_targets_and_predicts_in_their_units():
    train, held_out = (
        {
            "x": RANDOM.normal(size=(size, 2)).astype(np.float32),
            "y": RANDOM.normal(100, 20, size).astype(np.float32),
        }
        for size in (12, 7)
    )
    inputs = preprocessing.arrays(x=jax.ShapeDtypeStruct((2,), "float32"))
    task = experiment.regression(train, targets="y")
    built = fdl.supervised(
        CONFIG, data.Splits(train, held_out), inputs, fdl.models.linear(1), task
    )
    variables = initial(built)
    predict = jax.jit(built.abilities["predict"].function)
    found = np.asarray(predict(variables, {"x": held_out["x"]}, None)["prediction"])
    metrics, errors = built.evaluate(variables), found - held_out["y"]
    np.testing.assert_allclose(metrics["mae"], np.abs(errors).mean(), rtol=1e-5)
    r2 = 1 - np.mean(errors**2) / held_out["y"].var()
    np.testing.assert_allclose(metrics["r2"], r2, rtol=1e-4)
    mean_loss = np.mean((errors / train["y"].std()) ** 2)
    np.testing.assert_allclose(metrics["loss"], mean_loss, rtol=1e-4)


def test_an_unknown_target_is_answered_with_the_near_ones():
    with pytest.raises(UserError, match=r"targets='targt': .* Did you mean 'target'"):
        experiment.regression({"target": np.ones(2)}, targets="targt")


@pytest.mark.parametrize("part", data.Splits._fields)
@pytest.mark.parametrize("label", [-1, 3])
def test_a_label_without_an_output_is_named_before_anything_is_compiled(part, label):
    arrays = getattr(SPLITS, part)
    wrong = {**arrays, "label": np.append(arrays["label"][1:], np.int32(label))}
    splits = SPLITS._replace(**{part: wrong})
    message = f"{part}, row {len(wrong['label'])}: label={label}: expected 0 to 2"
    with pytest.raises(UserError, match=message):
        fdl.supervised(CONFIG, splits, IMAGES, NETWORK)
    ignoring = experiment.classification(ignore=label)
    fdl.supervised(CONFIG, splits, IMAGES, NETWORK, ignoring)
