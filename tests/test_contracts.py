"""A part that is not what its place expects is one line that says what was expected."""

from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fdl
from fdl.errors import UserError
from fdl.runs.experiment_parts import checked
from fdl.train import Hook

KEY = jax.random.key(0)
ARRAYS = {"image": np.zeros((4, 3), np.float32), "label": np.zeros(4, np.int32)}
BATCHES = fdl.data.batches(ARRAYS, 2)
MODULE = fdl.models.linear(2)
MODEL = fdl.models.functional(MODULE, jnp.zeros((1, 3)))
OBJECTIVE = fdl.objectives.classification(MODEL)
SGD = optax.sgd(0.1)
LEARNER = fdl.gradient_learner(MODEL, OBJECTIVE, SGD)


class Pair(NamedTuple):
    first: jax.Array
    second: jax.Array


def init(key):
    del key
    return {"x": jnp.zeros(())}


def step(state, batch):
    del batch
    return state, {}


def run(init=init, step=step, batches=BATCHES, **options):
    return fdl.train.run(fdl.Learner(init, step), batches, num_steps=2, **options)


def returning(outputs):
    """Objective that returns these outputs, of its parameter and the images."""

    def objective(variables, batch, key, train):
        del key, train
        return outputs(sum(map(jnp.sum, jax.tree.leaves(variables))), batch["image"])

    return objective


def train(objective, **options):
    learner = fdl.gradient_learner(MODEL, objective, SGD, **options)
    return fdl.train.run(learner, BATCHES, num_steps=1)


def evaluate(objective, variables=None):
    held_out = fdl.data.batches(ARRAYS, 4, shuffle=False)
    return fdl.on_dataset(objective, held_out)(variables or MODEL.init(KEY))


def experiment(evaluate=lambda variables: {}, **parts):
    made = fdl.Experiment(LEARNER, BATCHES, evaluate)._replace(**parts)
    return checked(made).evaluate(None)


LEARNERS = {
    "a learner that is a pair": (
        lambda: fdl.train.run((init, step), BATCHES, num_steps=1),
        "learner of type tuple: expected Learner, such as fdl.gradient_learner(...)",
    ),
    "batches that are a list": (
        lambda: run(batches=[ARRAYS]),
        "batches of type list: expected Batches, such as fdl.data.batches(arrays, "
        "batch_size)",
    ),
    "an initial state without a key": (
        lambda: run(init=lambda: {}),
        "init(): expected a function init(key)",
    ),
    "a step that is a number": (
        lambda: run(step=3),
        "step of type int: expected a function step(state, batch)",
    ),
    "a step with a key": (
        lambda: run(step=lambda state, batch, key: (state, {})),
        "step(state, batch, key): expected a function step(state, batch)",
    ),
    "a state that is text": (
        lambda: run(init=lambda key: {"name": "adam"}),
        "init returns state/name of type str: expected an array",
    ),
    "a step that returns its state": (
        lambda: run(step=lambda state, batch: state),
        "step returns dict: expected (state, metrics)",
    ),
    "a step that returns a state of two": (
        lambda: run(lambda key: Pair(0.0, 1.0), lambda state, batch: state),
        "step returns Pair: expected (state, metrics)",
    ),
    "a step that returns three": (
        lambda: run(step=lambda state, batch: (state, state["x"], {})),
        "step returns (dict, float32[], dict): expected (state, metrics)",
    ),
    "a step that returns metrics first": (
        lambda: run(step=lambda state, batch: ({"loss": 0.0}, state)),
        "step returns state/loss of float32[]: expected nothing, as of init",
    ),
    "a step that changes a dtype": (
        lambda: run(step=lambda state, batch: ({"x": jnp.zeros((), int)}, {})),
        "step returns state/x of int32[]: expected float32[], as of init",
    ),
    "a step that changes a shape": (
        lambda: run(lambda key: jnp.zeros(2), lambda x, batch: (x[None], {})),
        "step returns a state of float32[1, 2]: expected float32[2], as of init",
    ),
    "a step that changes the structure": (
        lambda: run(lambda key: (0.0, 1.0), lambda x, batch: ([*x], {})),
        "step returns a state of another structure, PyTreeDef([*, *]): expected "
        "PyTreeDef((*, *)), as of init",
    ),
    "metrics that are a list": (
        lambda: run(step=lambda state, batch: (state, [1.0])),
        "metrics=list: expected a mapping of names to metrics, such as "
        "fdl.Mean(total, weight), or to scalars",
    ),
    "a metric of several numbers": (
        lambda: run(step=lambda state, batch: (state, {"a": jnp.ones(3)})),
        "metrics['a']=float32[3]: expected a metric, such as fdl.Mean(total, weight), "
        "or a scalar",
    ),
    "a metric that is a class": (
        lambda: run(step=lambda state, batch: (state, {"a": fdl.Mean})),
        "metrics['a']=type: expected a metric, such as fdl.Mean(total, weight), or a "
        "scalar",
    ),
    "a hook that is a function": (
        lambda: run(hooks=[print]),
        "hook=print: expected Hook, such as fdl.train.Hook(every, call)",
    ),
    "a hook that returns the learner's state": (
        lambda: run(hooks=[Hook(1, lambda step, carry: carry.state)]),
        "hook returns dict: expected its argument, a LoopState, changed or not, or "
        "None",
    ),
}
MODELS = {
    "a module as a model": (
        lambda: fdl.gradient_learner(MODULE, OBJECTIVE, SGD),
        "model of type MLP: expected Model, such as fdl.models.functional(module)",
    ),
    "a module as an objective's model": (
        lambda: fdl.objectives.reconstruction(MODULE),
        "model of type MLP: expected Model, such as fdl.models.functional(module)",
    ),
    "a module of several networks": (
        lambda: fdl.init_train_state(MODULE, {"a": SGD}, KEY),
        "model of type MLP: expected Model, such as fdl.models.functional(module)",
    ),
    "a module that was not made": (
        lambda: fdl.models.functional(nn.Dense, jnp.zeros((1, 3))),
        "module=Dense: expected Module, such as fdl.models.MLP((64,), num_outputs=10)",
    ),
    "a model that is functional already": (
        lambda: fdl.models.functional(MODEL),
        "module of type Model: expected Module, such as fdl.models.MLP((64,), "
        "num_outputs=10)",
    ),
    "a model without params": (
        lambda: fdl.init_train_state(fdl.Model(init, MODEL.apply), SGD, KEY),
        "model.init returns ['x']: expected collections by name, with 'params'",
    ),
    "an optimizer that was not called": (
        lambda: fdl.gradient_learner(MODEL, OBJECTIVE, optax.adam),
        "optimizer=adam: expected GradientTransformation, such as optax.adam(1e-3)",
    ),
    "one optimizer of several": (
        lambda: fdl.init_train_state(MODEL, {"a": optax.adam}, KEY),
        "optimizer=adam: expected GradientTransformation, such as optax.adam(1e-3)",
    ),
    "an optimizer in place of the objective": (
        lambda: fdl.gradient_learner(MODEL, SGD, OBJECTIVE),
        "optimizer=objective: expected GradientTransformation, such as "
        "optax.adam(1e-3)",
    ),
    "a distribution that was not called": (
        lambda: fdl.objectives.ppo(MODEL, fdl.distributions.categorical),
        "distribution=categorical: expected a Distribution: categorical() makes one",
    ),
}
OBJECTIVES = {
    "an objective that is a model": (
        lambda: fdl.gradient_learner(MODEL, MODEL, SGD),
        "objective of type Model: expected a function objective(variables, batch, key, "
        "train=False)",
    ),
    "an objective without a key": (
        lambda: evaluate(lambda variables, batch, train=False: 0.0),
        "objective(variables, batch, train=False): expected a function "
        "objective(variables, batch, key, train=False)",
    ),
    "a loss only": (
        lambda: train(returning(lambda loss, x: loss)),
        "objective returns float32[]: expected (loss, (model_state, metrics)), where "
        "the model state is {} if there is none",
    ),
    "no model state": (
        lambda: train(returning(lambda loss, x: (loss, {"a": 1.0, "b": 1.0}))),
        "objective returns (float32[], dict): expected (loss, (model_state, metrics)), "
        "where the model state is {} if there is none",
    ),
    "outputs that are not nested": (
        lambda: evaluate(returning(lambda loss, x: (loss, {}, {}))),
        "objective returns (float32[], dict, dict): expected (loss, (model_state, "
        "metrics)), where the model state is {} if there is none",
    ),
    "a loss per example": (
        lambda: train(returning(lambda loss, x: (loss + x[:, 0], ({}, {})))),
        "loss=float32[2]: expected a scalar, such as a mean",
    ),
    "a loss that is a metric": (
        lambda: train(returning(lambda loss, x: (fdl.Mean(loss, 1.0), ({}, {})))),
        "loss=Mean: expected a scalar, such as a mean",
    ),
    "a model state of None": (
        lambda: train(returning(lambda loss, x: (loss, (None, {})))),
        "model_state=NoneType: expected collections by name, as model.apply "
        "returns them; {} if there are none",
    ),
    "metrics of an objective that are a number": (
        lambda: train(returning(lambda loss, x: (loss, ({}, loss)))),
        "metrics=float32[]: expected a mapping",
    ),
    "microbatches without a weight": (
        lambda: train(returning(lambda loss, x: (loss, ({}, {}))), num_microbatches=2),
        "num_microbatches: expected a metric 'loss', an fdl.Mean, whose weight is that "
        "of a microbatch",
    ),
    "an array that a batch lacks": (
        lambda: train(fdl.objectives.classification(MODEL, labels="labels")),
        "there is no 'labels' in a batch. Did you mean 'label'?",
    ),
    "a batch that is a pair": (
        lambda: OBJECTIVE(MODEL.init(KEY), (ARRAYS["image"], ARRAYS["label"])),
        "batch of type tuple: expected Mapping, such as {'image': ..., 'label': ...}",
    ),
    "a state in place of variables": (
        lambda: evaluate(OBJECTIVE, LEARNER.init(KEY)),
        "variables of type TrainState: expected Mapping, such as "
        "learner.variables(state)",
    ),
    "a state in place of estimates": (
        lambda: fdl.monte_carlo_estimates(Pair(0.0, 1.0)),
        "variables of type Pair: expected Mapping, such as learner.variables(state)",
    ),
    "evaluation on arrays": (
        lambda: fdl.on_dataset(OBJECTIVE, ARRAYS),
        "batches of type dict: expected Batches, such as fdl.data.batches(arrays, "
        "batch_size)",
    ),
}
EXPERIMENTS = {
    "a learner in place of an experiment": (
        lambda: checked(LEARNER),
        "build returns Learner, expected an fdl.Experiment",
    ),
    "the model as the learner": (
        lambda: experiment(learner=MODEL),
        "learner of type Model: expected Learner, such as fdl.gradient_learner(...)",
    ),
    "arrays as batches": (
        lambda: experiment(batches=ARRAYS),
        "batches of type dict: expected Batches, such as fdl.data.batches(arrays, "
        "batch_size)",
    ),
    "a module as the model": (
        lambda: experiment(model=MODULE),
        "model of type MLP: expected Model, such as fdl.models.functional(module)",
    ),
    "one ability without its name": (
        lambda: experiment(abilities=[print]),
        "abilities of type list: expected Mapping, such as {'predict': "
        "fdl.Ability(...)}",
    ),
    "an ability that is a function": (
        lambda: experiment(abilities={"predict": MODEL.apply}),
        "abilities['predict']=apply: expected Ability, such as "
        "fdl.Ability(function, inputs)",
    ),
    "batches as examples": (
        lambda: experiment(examples=BATCHES),
        "examples of type Batches: expected Examples, such as fdl.Examples(batches, "
        "objective)",
    ),
    "one claim without a list": (
        lambda: experiment(claims=fdl.Claim("it learns", float, at_least=0.9)),
        "claim of type str: expected Claim, such as fdl.Claim('text', measure, "
        "at_least=0.9)",
    ),
    "metrics in place of their function": (
        lambda: experiment(evaluate={"accuracy": 0.9}),
        "evaluate of type dict: expected a function evaluate(variables)",
    ),
    "a test of two": (
        lambda: experiment(test=lambda variables, batches: {}),
        "test(variables, batches): expected a function test(variables)",
    ),
    "an evaluation that returns a number": (
        lambda: experiment(lambda variables: 0.9),
        "evaluate returns float: expected floats by name, such as {'accuracy': 0.9}",
    ),
    "an evaluation that returns arrays": (
        lambda: experiment(lambda variables: {"accuracy": np.ones(2)}),
        "evaluate returns 'accuracy' of type ndarray of shape [2]: expected a float",
    ),
    "an evaluation that returns None": (
        lambda: experiment(lambda variables: {"accuracy": None}),
        "evaluate returns 'accuracy' of type NoneType: expected a float",
    ),
}
CASES = {**LEARNERS, **MODELS, **OBJECTIVES, **EXPERIMENTS}


@pytest.mark.parametrize("written", CASES)
def test_what_was_expected_is_said_in_one_line(written):
    make, message = CASES[written]
    with pytest.raises(UserError) as raised:
        make()
    assert str(raised.value).startswith(message)
    assert "\n" not in str(raised.value)


def test_scalars_are_metrics_and_a_hook_without_a_result_changes_nothing():
    logged = {}
    state = run(
        step=lambda state, batch: ({"x": state["x"] + 1}, {"x": state["x"], "one": 1}),
        hooks=[Hook(1, lambda step, carry: None)],
        log=lambda step, values: logged.update(values),
    )
    assert (state["x"], logged) == (2, {"x": 0.5, "one": 1})


def test_metrics_of_an_evaluation_become_floats():
    values = {"a": jnp.float32(0.5), "b": np.ones(()), "c": fdl.Mean(1.0, 4.0), "d": 2}
    found = experiment(lambda variables: values)
    assert found == {"a": 0.5, "b": 1.0, "c": 0.25, "d": 2.0}
    assert {type(value) for value in found.values()} == {float}
