"""Optimizers against PyTorch's, wherever the definitions agree."""

import inspect

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fdl import optim

PROGRAMS = 230

RANDOM = np.random.default_rng(0)
START = RANDOM.normal(size=5).astype(np.float32)
GRADIENTS = RANDOM.normal(size=(10, 5)).astype(np.float32)
RATE = 0.01

# Options of `chain`; PyTorch's optimizer and its options; its weights after ten steps.
CASES = {
    "sgd": (
        {"name": "sgd"},
        ("SGD", {}),
        [0.15471342, -0.15535139, 0.64310592, 0.06542881, -0.55221081],
    ),
    "momentum": (
        {"name": "momentum"},
        ("SGD", {"momentum": 0.9}),
        [0.24999996, -0.25061831, 0.75437397, 0.03272527, -0.57317382],
    ),
    "nesterov": (
        {"name": "nesterov", "momentum": 0.8},
        ("SGD", {"momentum": 0.8, "nesterov": True}),
        [0.23404984, -0.2262906, 0.70144963, 0.00732186, -0.58847898],
    ),
    "sgd with a penalty": (
        {"name": "momentum", "l2": 0.1},
        ("SGD", {"momentum": 0.9, "weight_decay": 0.1}),
        [0.24404046, -0.24370089, 0.72647083, 0.02794782, -0.5523544],
    ),
    "adam": (
        {"name": "adam"},
        ("Adam", {}),
        [0.16218372, -0.16974258, 0.65799189, 0.10568362, -0.52688545],
    ),
    "adam with a penalty": (
        {"name": "adam", "l2": 0.1},
        ("Adam", {"weight_decay": 0.1}),
        [0.16065438, -0.16847247, 0.65394229, 0.10405598, -0.52306873],
    ),
    "adamw": (
        {"name": "adamw", "weight_decay": 0.1},
        ("AdamW", {"weight_decay": 0.1}),
        [0.16084149, -0.16820489, 0.65154958, 0.10448151, -0.52172089],
    ),
    "adam that decays": (
        {"name": "adam", "weight_decay": 0.1},
        ("AdamW", {"weight_decay": 0.1}),
        [0.16084149, -0.16820489, 0.65154958, 0.10448151, -0.52172089],
    ),
    "adamax": (
        {"name": "adamax"},
        ("Adamax", {}),
        [0.14491642, -0.16097471, 0.64603621, 0.11216355, -0.52244377],
    ),
    "adadelta": (
        {"name": "adadelta"},
        ("Adadelta", {}),
        [0.1258669, -0.13214816, 0.64041615, 0.10471822, -0.53572184],
    ),
    "adagrad": (
        {"name": "adagrad", "initial_accumulator_value": 0.0, "eps": 1e-10},
        ("Adagrad", {}),
        [0.14268807, -0.14478353, 0.63813782, 0.08835583, -0.53654701],
    ),
    "rmsprop": (
        {"name": "rmsprop", "decay": 0.99, "eps_in_sqrt": False},
        ("RMSprop", {}),
        [0.29652178, -0.2589899, 0.61656225, -0.06354761, -0.54639769],
    ),
    "rmsprop, centered, with momentum": (
        {
            "name": "rmsprop",
            "decay": 0.99,
            "eps_in_sqrt": False,
            "centered": True,
            "momentum": 0.9,
        },
        ("RMSprop", {"centered": True, "momentum": 0.9}),
        [0.83230412, -0.85073793, 0.73548406, -0.02247831, -0.29771441],
    ),
    "clipped": (
        {"name": "sgd", "clip_by_global_norm": 1.0},
        ("SGD", {}),
        [0.14190806, -0.13511878, 0.64843839, 0.08701409, -0.54724324],
    ),
}


def ten_steps(options):
    optimizer = optim.chain(
        learning_rate=RATE, num_steps=10, decay_exempt=(), **options
    )

    @jax.jit
    def run(weights, gradients):
        def step(carry, gradient):
            weights, state = carry
            updates, state = optimizer.update(gradient, state, weights)
            return (optax.apply_updates(weights, updates), state), None

        return jax.lax.scan(step, (weights, optimizer.init(weights)), gradients)[0][0]

    return run(jnp.asarray(START), jnp.asarray(GRADIENTS))


def torch_steps(name, options, clip):
    import torch

    weights = torch.nn.Parameter(torch.from_numpy(START.copy()))
    optimizer = getattr(torch.optim, name)([weights], lr=RATE, **options)
    for gradient in GRADIENTS:
        weights.grad = torch.from_numpy(gradient.copy())
        if clip is not None:
            torch.nn.utils.clip_grad_norm_([weights], clip)
        optimizer.step()
    return weights.detach().numpy()


@pytest.mark.parametrize("case", CASES)
def test_ten_steps_end_where_torch_ends(case):
    options, _, expected = CASES[case]
    np.testing.assert_allclose(ten_steps(options), expected, rtol=2e-6, atol=2e-6)


@pytest.mark.oracle
@pytest.mark.parametrize("case", CASES)
def test_torch_says_the_same_today(case):
    options, (name, arguments), expected = CASES[case]
    clip = options.get("clip_by_global_norm")
    actual = torch_steps(name, arguments, clip)
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(ten_steps(options), actual, rtol=2e-6, atol=2e-6)


FINDS_ITS_RATE = ("dadapt_adamw", "dog", "prodigy")


def quadratic(weights, grad_fn=None):
    del grad_fn
    return sum(jnp.sum(jnp.square(w - 2)) for w in jax.tree.leaves(weights))


@pytest.mark.parametrize("name", optim.optimizers.__all__)
@pytest.mark.some(10)
def test_every_optimizer_descends_and_keeps_the_type_of_its_state(name):
    rate = 1.0 if name in FINDS_ITS_RATE else 1e-3
    optimizer = optim.chain(name, rate, num_steps=100)
    weights = {"kernel": jnp.ones((3, 4)), "bias": jnp.zeros(4)}
    state = jax.jit(optimizer.init)(weights)
    begin = quadratic(weights)

    @jax.jit
    def step(weights, state):
        value, grads = jax.value_and_grad(quadratic)(weights)
        updates, state = optimizer.update(
            grads, state, weights, value=value, grad=grads, value_fn=quadratic
        )
        return optax.apply_updates(weights, updates), state

    for _ in range(100):
        weights, after = step(weights, state)
        assert jax.tree.map(lambda x: (x.shape, x.dtype), after) == jax.tree.map(
            lambda x: (x.shape, x.dtype), state
        )
        state = after
    assert quadratic(weights) < begin


@pytest.mark.parametrize("name", optim.optimizers.__all__)
@pytest.mark.some(8)
def test_every_optimizer_of_half_precision_keeps_its_types_under_a_guard(name):
    options = {"skip_nonfinite": 2, "warmup": 2, "weight_decay": 0.1}
    if name == "rprop":
        del options["warmup"]
    if name == "lbfgs":
        del options["weight_decay"]
    optimizer = optim.chain(name, num_steps=9, **options)
    weights = {"kernel": jnp.ones((3, 4)), "bias": jnp.ones(4), "scale": jnp.ones(())}
    weights = jax.tree.map(lambda x: x.astype(jnp.bfloat16), weights)
    weights["gain"] = jnp.ones(4)

    def step(weights):
        state = optimizer.init(weights)
        extra = {"value": jnp.ones(()), "grad": weights, "value_fn": quadratic}
        return weights, state, *optimizer.update(weights, state, weights, **extra)

    weights, before, updates, after = jax.eval_shape(step, weights)
    chex.assert_trees_all_equal_shapes_and_dtypes(weights, updates)
    chex.assert_trees_all_equal_shapes_and_dtypes(before, after)


@pytest.mark.parametrize("name", ["dog", "prodigy"])
def test_rates_are_found_in_half_precision_as_in_single(name):
    """Of weights that stay, only what is summed of their gradients counts."""
    optimizer = optim.chain(name, 1.0, num_steps=2000)

    def run(dtype):
        weights = jnp.ones((3, 4), dtype)
        noise = 0.1 * jax.random.normal(jax.random.key(0), (2000, 3, 4))

        def step(state, noise):
            grads = (1 + noise).astype(dtype)
            updates, state = optimizer.update(grads, state, weights)
            return state, optax.tree.norm(updates.astype(jnp.float32))

        return jax.lax.scan(step, optimizer.init(weights), noise)[1]

    half, single = (jax.jit(run, static_argnums=0)(x) for x in ("bfloat16", "float32"))
    np.testing.assert_allclose(half, single, rtol=0.02)


@pytest.mark.parametrize("name", FINDS_ITS_RATE)
@pytest.mark.parametrize("exempt", [(), "bias"])
@pytest.mark.some(2)
def test_decay_is_scaled_by_the_rate_that_is_found(name, exempt):
    """Optax scales it so itself, but has no mask with most of them."""
    weights = {"kernel": jnp.asarray(START), "bias": jnp.asarray(START)}
    maker = getattr(optax.contrib, name)
    decayed = {"weight_decay": 0.1}
    if name == "dog":  # Its sum of gradients has the decay in it.
        decayed["mask"] = {"kernel": True, "bias": not exempt}

    def run(optimizer):
        def step(state, gradient):
            grads = {"kernel": gradient, "bias": -gradient}
            updates, state = optimizer.update(grads, state, weights)
            return state, updates

        state = optimizer.init(weights)
        return jax.jit(lambda: jax.lax.scan(step, state, GRADIENTS)[1])()

    chained = optim.chain(
        name, 1.0, num_steps=10, weight_decay=0.1, decay_exempt=exempt
    )
    actual, expected = run(chained), run(maker(1.0, **decayed))
    if exempt and name != "dog":
        expected["bias"] = run(maker(1.0))["bias"]
    chex.assert_trees_all_close(actual, expected, rtol=1e-6)


OF_NORMS = {
    "adaptive_clip": {"adaptive_clip": 0.01},
    "clip_by_global_norm": {"clip_by_global_norm": 1.0},
    "max_norm": {"max_norm": 1.0},
    "sam": {"sam": 0.5},
    **{
        name: {"name": name}
        for name in ("adafactor", "adam", "lamb", "lars", "muon", "novograd", "prodigy")
    },
}


@pytest.mark.parametrize("options", OF_NORMS.values(), ids=OF_NORMS)
@pytest.mark.parametrize("size", [300, 1e-4])
@pytest.mark.some(6)
def test_half_precision_is_computed_in_single(options, size):
    """Squares overflow in float16 from 256 on, and vanish below 0.0002."""
    options = {"name": "sgd", "learning_rate": 1.0, "num_steps": 9} | options
    optimizer = optim.chain(**options)
    weights = {"kernel": jnp.asarray(GRADIENTS[::-1], jnp.float16)}
    grads = {"kernel": jnp.asarray(size * GRADIENTS, jnp.float16)}

    @jax.jit
    def step(weights, grads):
        def grad_fn(at, _):
            return jax.tree.map(lambda w, g: 50 * w + g, at, grads)

        state = optimizer.init(weights)
        return optimizer.update(grads, state, weights, grad_fn=grad_fn)[0]["kernel"]

    wide = jax.tree.map(lambda x: x.astype(jnp.float32), (weights, grads))
    expected = step(*wide)
    assert jnp.abs(expected).max() > 0
    actual = step(weights, grads)
    assert actual.dtype == jnp.float16
    np.testing.assert_allclose(actual, expected.astype(jnp.float16), 0.01, 1e-6)


def test_sm3_follows_a_schedule_and_equals_optax_without_one():
    weights, grads = jnp.asarray(GRADIENTS), jnp.asarray(GRADIENTS) ** 2
    theirs, ours = optax.sm3(0.1), optim.optimizers.sm3(0.1)
    halved = optim.optimizers.sm3(lambda step: 0.05)
    expected, found, half = (
        jax.jit(x.update)(grads, x.init(weights), weights)[0]
        for x in (theirs, ours, halved)
    )
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(half, expected / 2, rtol=1e-6)


def test_the_registry_holds_optimizers_only():
    for name in optim.optimizers.__all__:
        assert callable(getattr(optim.optimizers, name))
        parameters = inspect.signature(getattr(optim.optimizers, name)).parameters
        assert "learning_rate" in parameters
    assert {n for n in dir(optim.optimizers) if not n.startswith("_")} == set(
        optim.optimizers.__all__
    )


def rosenbrock(weights, grad_fn=None):
    del grad_fn
    x, y = weights
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def test_lbfgs_finds_the_bottom_of_rosenbrocks_valley():
    optimizer = optim.chain("lbfgs", None, num_steps=40)

    def step(carry, _):
        weights, state = carry
        value, grads = jax.value_and_grad(rosenbrock)(weights)
        updates, state = optimizer.update(
            grads, state, weights, value=value, grad=grads, value_fn=rosenbrock
        )
        return (optax.apply_updates(weights, updates), state), value

    @jax.jit
    def run(weights):
        carry = weights, optimizer.init(weights)
        return jax.lax.scan(step, carry, length=40)[0][0]

    np.testing.assert_allclose(run(jnp.array([-1.2, 1.0])), [1, 1], atol=1e-3)


@pytest.mark.parametrize("name", ["schedule_free_sgd", "schedule_free_adamw"])
def test_schedule_free_equals_optax_where_all_decays(name):
    theirs = getattr(optax.contrib, name)(0.1, weight_decay=0.1)
    ours = optim.chain(name, 0.1, weight_decay=0.1, decay_exempt=(), num_steps=10)
    results = []
    for optimizer in (theirs, ours):
        weights = jnp.asarray(START)
        state = optimizer.init(weights)
        for gradient in jnp.asarray(GRADIENTS):
            updates, state = jax.jit(optimizer.update)(gradient, state, weights)
            weights = optax.apply_updates(weights, updates)
        results.append(weights)
    np.testing.assert_allclose(*results, rtol=1e-6, atol=1e-8)
