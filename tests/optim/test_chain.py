import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fdl import optim
from fdl.errors import UserError
from fdl.trees import path_name

PROGRAMS = 230

RANDOM = np.random.default_rng(0)
SHAPES = {
    "body": {"dense": {"kernel": (4, 3), "bias": (3,)}, "norm": {"scale": (3,)}},
    "head": {"kernel": (3, 2), "bias": (2,)},
}


def tree():
    return jax.tree.map(
        lambda shape: jnp.asarray(RANDOM.normal(size=shape), jnp.float32),
        SHAPES,
        is_leaf=lambda x: isinstance(x, tuple),
    )


WEIGHTS, GRADS = tree(), tree()


def updates_of(weights=WEIGHTS, grads=GRADS, **options):
    options = {"name": "sgd", "learning_rate": 0.1, "num_steps": 10} | options
    optimizer = optim.chain(**options)
    return jax.jit(optimizer.update)(grads, optimizer.init(weights), weights)[0]


def flat(updates):
    leaves = jax.tree.leaves_with_path(updates)
    return {path_name(p): np.asarray(x) for p, x in leaves}


@pytest.mark.parametrize(
    "name",
    [
        "adamw",
        "sgd",
        "muon",
        *(
            pytest.param(name, marks=pytest.mark.slow)
            for name in ("lion", "adam", "adan")
        ),
    ],
)
def test_weights_decay_and_biases_and_norms_do_not(name):
    options = {"name": name, "learning_rate": 0.1}
    plain = flat(updates_of(**options))
    decayed = flat(updates_of(**options, weight_decay=0.5))
    for path, weight in flat(WEIGHTS).items():
        decay = 0.1 * 0.5 * weight if path.endswith("kernel") else 0
        np.testing.assert_allclose(
            plain[path] - decayed[path], decay + 0 * weight, rtol=1e-4, atol=1e-6
        )


def test_nothing_decays_unless_it_is_asked_for():
    for name in ("adamw", "lion", "adamaxw", "nadamw", "adan"):
        zeros = jax.tree.map(jnp.zeros_like, GRADS)
        for update in flat(updates_of(grads=zeros, name=name)).values():
            np.testing.assert_array_equal(update, 0)


def test_the_decay_falls_with_the_learning_rate():
    optimizer = optim.chain(
        "sgd", 0.1, num_steps=4, schedule="linear", weight_decay=0.5
    )
    state, zeros = optimizer.init(WEIGHTS), jax.tree.map(jnp.zeros_like, GRADS)
    for step in range(4):
        updates, state = jax.jit(optimizer.update)(zeros, state, WEIGHTS)
        expected = -0.1 * (1 - step / 4) * 0.5 * WEIGHTS["head"]["kernel"]
        np.testing.assert_allclose(updates["head"]["kernel"], expected, rtol=1e-5)


def test_what_is_exempt_can_be_chosen():
    zeros = jax.tree.map(jnp.zeros_like, GRADS)
    decayed = flat(updates_of(grads=zeros, weight_decay=0.5, decay_exempt="head"))
    for path, weight in flat(WEIGHTS).items():
        factor = 0 if path.startswith("head") else -0.05
        np.testing.assert_allclose(decayed[path], factor * weight, rtol=1e-6)
    decayed = flat(updates_of(grads=zeros, weight_decay=0.5, decay_exempt=()))
    for path, weight in flat(WEIGHTS).items():
        np.testing.assert_allclose(decayed[path], -0.05 * weight, rtol=1e-6)


def test_a_penalty_is_added_to_the_gradient_of_the_loss():
    def loss(weights):
        kernels = weights["body"]["dense"]["kernel"], weights["head"]["kernel"]
        penalty = 0.5 * sum(jnp.sum(jnp.square(kernel)) for kernel in kernels)
        linear = sum(
            jnp.vdot(w, g)
            for w, g in zip(*map(jax.tree.leaves, (weights, GRADS)), strict=True)
        )
        return linear + 0.3 * penalty

    for name in ("sgd", "adam"):
        actual = flat(updates_of(name=name, l2=0.3))
        expected = flat(updates_of(name=name, grads=jax.grad(loss)(WEIGHTS)))
        for path in expected:
            np.testing.assert_allclose(actual[path], expected[path], rtol=1e-5)


def test_layers_learn_at_rates_of_their_own():
    rates = {"body": 0.1, "bias": 2.0}
    plain = flat(updates_of(name="adam", weight_decay=0.1))
    scaled = flat(updates_of(name="adam", weight_decay=0.1, learning_rates=rates))
    factors = {"body/dense/kernel": 0.1, "body/dense/bias": 0.2, "body/norm/scale": 0.1}
    factors |= {"head/kernel": 1.0, "head/bias": 2.0}
    for path, factor in factors.items():
        np.testing.assert_allclose(scaled[path], factor * plain[path], rtol=1e-6)


@pytest.mark.parametrize("name", ["adamw", "lamb", "muon", "adafactor", "lbfgs"])
def test_what_is_frozen_keeps_its_bits_and_needs_no_state(name):
    optimizer = optim.chain(
        name, 0.1, num_steps=10, freeze=["body/dense", "bias"], ema=0.9
    )

    def loss(weights, grad_fn=None):
        del grad_fn
        return sum(jnp.sum(jnp.square(w - 1)) for w in jax.tree.leaves(weights))

    @jax.jit
    def step(weights, state):
        value, grads = jax.value_and_grad(loss)(weights)
        updates, state = optimizer.update(
            grads, state, weights, value=value, grad=grads, value_fn=loss
        )
        return optax.apply_updates(weights, updates), state

    weights, state = WEIGHTS, optimizer.init(WEIGHTS)
    assert (4, 3) not in {jnp.shape(x) for x in jax.tree.leaves(state)}
    for _ in range(3):
        weights, state = step(weights, state)
    before, after = flat(WEIGHTS), flat(weights)
    for path in before:
        same = before[path].tobytes() == after[path].tobytes()
        assert same == (path.startswith("body/dense") or path.endswith("bias")), path


@pytest.mark.parametrize(
    "options",
    [{"weight_decay": 0.1, "decay_exempt": "head"}, {"learning_rates": {"head": 0.1}}],
)
def test_what_is_frozen_may_have_options_of_its_own(options):
    actual = flat(updates_of(freeze="head", **options))
    for path, grad in flat(GRADS).items():
        body = grad + options.get("weight_decay", 0) * flat(WEIGHTS)[path]
        expected = 0 if path.startswith("head") else -0.1 * body
        np.testing.assert_allclose(actual[path], expected, rtol=1e-5)


def test_what_is_frozen_counts_in_no_norm():
    options = {"freeze": "body", "clip_by_global_norm": 0.5, "learning_rate": 1.0}
    optimizer = optim.chain("sgd", num_steps=10, **options)
    huge = {**GRADS, "body": jax.tree.map(lambda g: 1e6 * g, GRADS["body"])}
    updates, state = optimizer.update(huge, optimizer.init(WEIGHTS), WEIGHTS)
    np.testing.assert_allclose(optax.tree.norm(updates), 0.5, rtol=1e-6)
    expected = optax.tree.norm(GRADS["head"])
    np.testing.assert_allclose(
        optimizer.report(state).metrics["grad_norm"], expected, rtol=1e-6
    )


def test_clips_are_what_their_names_say():
    by_value = flat(updates_of(clip_by_value=0.2, learning_rate=1.0))
    for path, grad in flat(GRADS).items():
        np.testing.assert_allclose(by_value[path], -np.clip(grad, -0.2, 0.2))
    adaptive = updates_of(adaptive_clip=0.01, learning_rate=1.0)["head"]["kernel"]
    grad, weight = (np.asarray(t["head"]["kernel"]) for t in (GRADS, WEIGHTS))
    limit = 0.01 * np.maximum(np.linalg.norm(weight, axis=0), 1e-3)
    norm = np.linalg.norm(grad, axis=0)
    assert (norm > limit).all()
    np.testing.assert_allclose(adaptive, -grad * limit / norm, rtol=1e-4)


def test_it_is_described_link_by_link():
    optimizer = optim.chain(
        "adamw",
        0.01,
        num_steps=11,
        schedule="linear",
        b1=0.8,
        clip_by_global_norm=1.0,
        weight_decay=0.1,
        freeze="body/dense",
        learning_rates={"head": 0.5},
        ema=0.99,
        skip_nonfinite=3,
    )
    assert optim.describe(optimizer, WEIGHTS) == [
        ("frozen", "15 of 26 parameters"),
        ("skip up to 3 steps in a row that are not finite", "11 of 26 parameters"),
        ("clip_by_global_norm 1", "11 of 26 parameters"),
        ("adamw (b1=0.8)", "11 of 26 parameters"),
        ("weight_decay 0.1", "6 of 26 parameters"),
        ("learning rate linear: 0.01, 0.00545, 0.000909", "11 of 26 parameters"),
        ("learning rate x 0.5: head", "8 of 26 parameters"),
        ("moving average, decay 0.99", "11 of 26 parameters"),
    ]
    shapes = jax.eval_shape(lambda: WEIGHTS)
    assert optim.describe(optimizer, shapes) == optim.describe(optimizer, WEIGHTS)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"name": "adamm"}, "optimizers has no 'adamm'. Did you mean 'adam'"),
        ({"beta": 0.9}, "neither chain nor sgd takes 'beta'"),
        (
            {"clip_by_globalnorm": 1.0},
            "takes 'clip_by_globalnorm'. Did you mean 'clip_by_global_norm'",
        ),
        ({"clip_by_global_norm": 0.0}, "clip_by_global_norm=0.0: expected a positive"),
        ({"weight_decay": -0.1}, "weight_decay=-0.1: expected a positive"),
        ({"learning_rate": float("inf")}, "=inf: expected a positive, finite"),
        (
            {"learning_rates": {"head": -1.0}},
            r"learning_rates\['head'\]=-1.0: expected",
        ),
        ({"freeze": "hed"}, "freeze: 'hed' matches no parameter. Did you mean 'head'"),
        ({"freeze": ["body", "head"]}, "freeze=.*leaves nothing to learn"),
        ({"learning_rates": {"haed": 0.1}}, "learning_rates: 'haed' matches no"),
        ({"weight_decay": 0.1, "decay_exempt": "biass"}, "decay_exempt: 'biass'"),
        ({"name": "lbfgs", "weight_decay": 0.1}, "weight_decay does not go with lbfgs"),
        ({"name": "schedule_free_sgd", "max_norm": 1.0}, "max_norm does not go with"),
        ({"name": "rprop", "schedule": "cosine"}, "expected a constant schedule"),
        ({"name": "rprop", "warmup": 2}, "expected a constant schedule"),
        ({"learning_rate": None}, "missing a required argument: 'learning_rate'"),
    ],
)
def test_mistakes_are_told_in_one_line(options, message):
    with pytest.raises(UserError, match=message):
        updates_of(**options)
