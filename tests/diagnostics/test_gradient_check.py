"""Gradients against differences: what is right, what is wrong, what cannot be told."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fdl
from fdl.diagnostics.float64 import rounded_dtypes, to_float64
from fdl.diagnostics.gradient_check import SINGLE, check_gradients
from fdl.errors import RunError, UserError

PROGRAMS = 130

KEY = jax.random.key(0)
BATCH = {
    "image": jax.random.normal(KEY, (6, 4, 4, 1)),
    "label": jnp.arange(6) % 3,
}


def setup(module, **options):
    model = fdl.models.functional(module, BATCH["image"][:1])
    objective = fdl.objectives.classification(model, **options)
    return objective, jax.jit(model.init)(KEY)


def test_it_says_what_the_definition_says():
    """By hand: f = Σ w³, along the gradient 3w² and in float64."""
    w = np.array([0.5, -1.0, 2.0])

    def objective(variables, batch, key=None, *, train=False):
        assert train
        return (variables["params"]["w"] ** 3).sum(), ({}, {})

    (check,) = check_gradients(
        objective, {"params": {"w": w}}, None, KEY, num_directions=1, noise=0
    )
    g = 3 * w**2
    v, h = g / np.linalg.norm(g), 1e-5
    n = (((w + h * v) ** 3).sum() - ((w - h * v) ** 3).sum()) / (2 * h)
    expected = abs(g @ v - n) / (abs(g @ v) + abs(n))
    assert check.name == "w" and check.size == 3 and check.passed
    np.testing.assert_allclose(check.norm, np.linalg.norm(g))
    np.testing.assert_allclose(check.difference, expected, atol=1e-11)


@pytest.mark.parametrize(
    "module",
    [
        fdl.models.MLP((8,), 3, dropout=0.5),
        fdl.models.MLP((8,), 3, norm=nn.BatchNorm),
        fdl.models.CNN((4,), (8,), 3),
        fdl.models.MLP((8, 8), 3, residual=True, activation=nn.gelu),
    ],
    ids=["dropout", "batch_norm", "convolution", "residual"],
)
@pytest.mark.some(2)
def test_gradients_of_the_zoo_are_right(module):
    checks = check_gradients(*setup(module), BATCH, KEY)
    _, variables = setup(module)
    assert [c.size for c in checks] == [
        leaf.size for leaf in jax.tree.leaves(variables["params"])
    ]
    assert all(check.passed for check in checks)
    # A bias in front of batch norm has none but for rounding.
    assert max(c.difference for c in checks if c.norm > 1e-9) < 1e-8


class Sabotaged(nn.Module):
    """A readout whose gradient is off by a share, in one of its leaves only."""

    share: float

    @nn.compact
    def __call__(self, inputs, *, train=False):
        @jax.custom_vjp
        def multiply(x, kernel):
            return x @ kernel

        def forward(x, kernel):
            return x @ kernel, (x, kernel)

        def backward(saved, g):
            x, kernel = saved
            return g @ kernel.T, (1 + self.share) * (x.T @ g)

        multiply.defvjp(forward, backward)
        x = nn.relu(nn.Dense(5, name="good")(inputs.reshape(len(inputs), -1)))
        kernel = self.param("bad", nn.initializers.lecun_normal(), (5, 3))
        return multiply(x, kernel)


@pytest.mark.parametrize("share", [1e-5, 0.1, 1.0, -2.0])
def test_a_wrong_gradient_is_found_and_its_size_is_told(share):
    checks = check_gradients(*setup(Sabotaged(share)), BATCH, KEY)
    wrong = [check for check in checks if not check.passed]
    assert [check.name for check in wrong] == ["bad"]
    # g = (1 + s) n: |s| / (|1 + s| + 1).
    expected = abs(share) / (abs(1 + share) + 1)
    np.testing.assert_allclose(wrong[0].difference, expected, rtol=1e-3)


def test_a_kink_is_noticed_and_left_out():
    def objective(variables, batch, key=None, *, train=False):
        return nn.relu(variables["params"]["w"]).sum(), ({}, {})

    kink = {"params": {"w": np.zeros(1)}}
    (check,) = check_gradients(objective, kink, None, KEY, noise=0)
    assert check.kinks == check.directions == 4
    assert np.isnan(check.difference) and not check.passed
    (moved,) = check_gradients(objective, kink, None, KEY)
    assert moved.passed and moved.kinks == 0


def test_blank_inputs_and_biases_of_zero_are_no_trouble():
    objective, variables = setup(fdl.models.MLP((8,), 3))
    blank = {**BATCH, "image": jnp.zeros_like(BATCH["image"])}
    for noise, expected in ((0.0, False), (1e-2, True)):
        checks = check_gradients(objective, variables, blank, KEY, noise=noise)
        assert {c.name: c.passed for c in checks}["dense_0/bias"] == expected


def test_a_kink_near_by_is_stepped_around():
    def objective(variables, batch, key=None, *, train=False):
        return jnp.abs(variables["params"]["w"] - 3e-7).sum(), ({}, {})

    (check,) = check_gradients(
        objective, {"params": {"w": np.zeros(1)}}, None, KEY, noise=0
    )
    assert check.passed and check.kinks == 0


def test_a_kink_does_not_hide_what_is_wrong_beside_it():
    """A slope of one, a jump of a thousandth, and a gradient of three."""

    @jax.custom_jvp
    def f(w):
        return (w + 1e-3 * jnp.abs(w)).sum()

    @f.defjvp
    def _(primals, tangents):
        return f(*primals), 3 * tangents[0].sum()

    def objective(variables, batch, key=None, *, train=False):
        return f(variables["params"]["w"]), ({}, {})

    (check,) = check_gradients(
        objective, {"params": {"w": np.zeros(1)}}, None, KEY, noise=0
    )
    assert not check.passed and check.difference > 0.4


def test_what_is_not_used_has_no_gradient_and_is_right():
    def objective(variables, batch, key=None, *, train=False):
        return (variables["params"]["used"] ** 2).sum(), ({}, {})

    params = {"idle": np.ones(2), "used": np.ones(2)}
    idle, used = check_gradients(objective, {"params": params}, None, KEY)
    assert (idle.norm, idle.difference, idle.passed) == (0.0, 0.0, True)
    assert used.norm > 0


def test_a_fixed_dtype_is_told():
    objective, variables = setup(fdl.models.MLP((8,), 3, dtype="float32"))
    with pytest.raises(UserError, match=r"loss\.dtype=float32: expected float64"):
        check_gradients(objective, variables, BATCH, KEY)


class Narrow(nn.Module):
    @nn.compact
    def __call__(self, inputs, *, train=False):
        x = inputs.reshape(len(inputs), -1)
        x = nn.tanh(nn.Dense(8, dtype="bfloat16", name="narrow")(x))
        return nn.Dense(3, name="wide")(x)


def test_a_layer_that_rounds_is_found():
    objective, variables = setup(Narrow())
    checks = {c.name: c for c in check_gradients(objective, variables, BATCH, KEY)}
    assert not checks["narrow/kernel"].passed and checks["wide/kernel"].passed
    assert rounded_dtypes(objective, variables, BATCH, KEY) == "bfloat16"
    mask = {**BATCH, "mask": jnp.ones(6)}
    assert rounded_dtypes(*setup(fdl.models.MLP((8,), 3)), mask, KEY) == ""


class Single(nn.Module):
    """A softmax in float32 whatever it is given, as in the attention of JAX."""

    share: float = 0.0

    @nn.compact
    def __call__(self, inputs, *, train=False):
        x = nn.Dense(8, name="under")(inputs.reshape(len(inputs), -1))
        x = nn.softmax(x.astype(jnp.float32)) * x
        return Sabotaged(self.share, name="over")(x)


def test_what_computes_in_float32_is_checked_as_far_as_that_goes():
    objective, variables = setup(Single())
    assert rounded_dtypes(objective, variables, BATCH, KEY) == "float32"
    options = {"tolerance": SINGLE.min_tolerance, "precision": SINGLE}
    checks = check_gradients(objective, variables, BATCH, KEY, **options)
    assert all(check.passed for check in checks)
    doubles = check_gradients(objective, variables, BATCH, KEY)
    assert not all(check.passed for check in doubles)
    wrong = check_gradients(*setup(Single(0.1)), BATCH, KEY, **options)
    assert [check.name for check in wrong if not check.passed] == ["over/bad"]


def test_a_loss_that_is_not_finite_has_no_gradient_to_check():
    objective, variables = setup(fdl.models.MLP((8,), 3))
    wrong = {**BATCH, "label": jnp.full(6, 7)}
    with pytest.raises(RunError, match="loss=nan: expected a finite"):
        check_gradients(objective, variables, wrong, KEY)


def test_it_leaves_the_precision_as_it_was():
    check_gradients(*setup(fdl.models.MLP((2,), 3)), BATCH, KEY, num_directions=1)
    assert jnp.ones(1).dtype == jnp.float32
    wide = to_float64({"x": jnp.ones(2, jnp.bfloat16), "n": np.int32(3), "key": KEY})
    assert wide["x"].dtype == np.float64 and wide["n"].dtype == np.int32
    assert wide["key"] is KEY
