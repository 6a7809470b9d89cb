"""A gradient step trains a part of the parameters, and leaves the others alone."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fdl
from fdl import models, objectives, optim
from fdl.errors import UserError
from fdl.types import Mean, Model

KEY = jax.random.key(0)


def quadratic(variables, batch, key=None, *, train=False):
    """Half the squared distance of both networks from a batch."""
    a, b = (variables["params"][name]["w"] for name in ("a", "b"))
    loss = jnp.square(a - batch).sum() / 2 + jnp.square(b - batch).sum() / 2
    seen = {"running": {"a": {"mean": a}, "b": {"mean": b}}}
    return loss, (seen, {"loss": loss})


def both(key):
    del key
    params = {"a": {"w": jnp.zeros(2)}, "b": {"w": jnp.ones(2)}}
    return {
        "params": params,
        "running": {name: {"mean": jnp.full(2, 9.0)} for name in params},
    }


MODEL = Model(both, None)


def test_two_steps_on_one_state_train_each_its_part_and_count_one_step():
    optimizers = {"a": optax.sgd(0.5), "b": optax.adam(0.1)}
    first, second = (
        fdl.gradient_step(quadratic, optimizer, wrt=path)
        for path, optimizer in optimizers.items()
    )
    state = fdl.learners.init_train_state(MODEL, optimizers, KEY)

    def update(state, batch, key):
        state, metrics = first(state, batch, key)
        state, more = second(state, batch, key)
        return state, {**metrics, **fdl.learners.with_prefix("b", more)}

    after, metrics = jax.jit(fdl.learners.counted(update))(state, jnp.full(2, 2.0))
    assert after.step == 1 and after.key == state.key
    np.testing.assert_allclose(after.params["a"]["w"], 1.0)  # 0 − 0.5 (0 − 2)
    np.testing.assert_allclose(after.params["b"]["w"], 1.1, rtol=1e-5)  # Of Adam.
    np.testing.assert_allclose(metrics["grad_norm"].compute(), np.sqrt(8))
    np.testing.assert_allclose(metrics["b/grad_norm"].compute(), np.sqrt(2))


def test_what_is_not_trained_keeps_its_running_statistics():
    state = fdl.learners.init_train_state(MODEL, {"a": optax.sgd(0.5)}, KEY)
    update = fdl.gradient_step(quadratic, optax.sgd(0.5), wrt="a")
    after, _ = update(state, jnp.zeros(2), KEY)
    running = after.model_state["running"]
    assert running["a"]["mean"].tolist() == [0, 0]
    assert running["b"]["mean"].tolist() == [9, 9]


@pytest.mark.parametrize("how", ["wrt", "freeze"])
def test_a_frozen_backbone_keeps_its_batch_statistics(how):
    module = models.MLP((4,), 3, norm=nn.BatchNorm)
    model = models.functional(module, jnp.zeros((1, 4)))
    options = {"wrt": {"wrt": "head"}, "freeze": {}}[how]
    frozen = {"wrt": (), "freeze": ("dense_0", "norm_0")}[how]
    optimizer = optim.chain("sgd", 0.1, num_steps=9, freeze=frozen)
    learner = fdl.gradient_learner(
        model, objectives.classification(model), optimizer, **options
    )
    state = jax.jit(learner.init)(KEY)
    batch = {"image": jnp.ones((6, 4)) * 3, "label": jnp.arange(6) % 3}
    after, _ = jax.jit(learner.step)(state, batch)
    for before, now in zip(
        jax.tree.leaves(state.model_state),
        jax.tree.leaves(after.model_state),
        strict=True,
    ):
        np.testing.assert_array_equal(before, now)
    changed = jax.tree.map(
        lambda x, y: bool((x != y).any()), state.params, after.params
    )
    assert changed["head"]["bias"] and not any(
        jax.tree.leaves({k: v for k, v in changed.items() if k != "head"})
    )


def test_a_plain_optimizer_reports_nothing_and_a_chain_its_rate():
    for optimizer, expected in (
        (optax.adam(0.1), {"loss", "grad_norm", "update_ratio"}),
        (
            optim.chain("adam", 0.1, num_steps=9),
            {"loss", "grad_norm", "update_ratio", "learning_rate"},
        ),
    ):
        state = fdl.learners.init_train_state(MODEL, {"a": optimizer}, KEY)
        update = fdl.gradient_step(quadratic, optimizer, wrt="a")
        assert {*update(state, jnp.zeros(2), KEY)[1]} == expected


def test_any_optimizer_may_report():
    class Reporting(optax.GradientTransformation):
        def report(self, opt_state):
            return optim.Report({"temperature": jnp.float32(0.5)})

    optimizer = Reporting(*optax.sgd(0.1))
    update = fdl.gradient_step(quadratic, optimizer)
    state = fdl.learners.init_train_state(MODEL, optimizer, KEY)
    assert update(state, jnp.zeros(2), KEY)[1]["temperature"].compute() == 0.5


@pytest.mark.parametrize(
    "wrt, optimizer, message",
    [
        ("c", {"a": optax.sgd(1.0)}, "path='c': .* There is: a, b"),
        ("b", {"a": optax.sgd(1.0)}, "wrt='b': expected an optimizer of this path"),
        ("a", optax.sgd(1.0), "wrt='a': expected an optimizer of this path"),
    ],
)
def test_a_part_that_does_not_exist_is_named(wrt, optimizer, message):
    state = fdl.learners.init_train_state(MODEL, optimizer, KEY)
    update = fdl.gradient_step(quadratic, optax.sgd(1.0), wrt=wrt)
    with pytest.raises(UserError, match=message):
        update(state, jnp.zeros(2), KEY)


def test_an_average_that_the_state_lacks_is_named():
    average = optim.exponential_average(0.9)
    update = fdl.gradient_step(quadratic, optax.sgd(1.0), average=average)
    state = fdl.learners.init_train_state(MODEL, optax.sgd(1.0), KEY)
    with pytest.raises(UserError, match=r"state\.average=None: expected"):
        update(state, jnp.zeros(2), KEY)


def test_a_metric_may_be_a_scalar():
    assert fdl.learners.as_metrics({"loss": 2})["loss"] == Mean(2, 1)
    assert isinstance(fdl.learners.as_metrics({"a": Mean(1, 1)})["a"], Mean)
