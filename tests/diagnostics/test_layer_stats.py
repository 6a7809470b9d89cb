"""What passes through each layer: against NumPy, and through every kind of stack."""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fdl
from fdl import models
from fdl.diagnostics.layer_stats import called_modules, layer_stats
from fdl.types import Model

PROGRAMS = 490

KEY = jax.random.key(0)


def problem(module, inputs, classes=3):
    """Variables, objective and batch of a classifier."""
    model = models.functional(module, inputs)
    labels = np.arange(len(inputs)) % classes
    objective = fdl.objectives.classification(model)
    return jax.jit(model.init)(KEY), objective, {"image": inputs, "label": labels}


@functools.cache
def program(objective):
    return jax.jit(functools.partial(layer_stats, objective))


def measured(variables, objective, batch):
    found = program(objective)(variables, batch)
    return {name: tuple(map(float, norms)) for name, norms in found.items()}


def test_norms_of_two_layers_equal_numpy():
    inputs = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    module = models.MLP((7,), 3, activation=nn.sigmoid)
    variables, objective, batch = problem(module, jnp.asarray(inputs))
    p = jax.tree.map(lambda x: np.asarray(x, np.float64), variables["params"])
    z1 = inputs @ p["dense_0"]["kernel"] + p["dense_0"]["bias"]
    a1 = 1 / (1 + np.exp(-z1))
    z2 = a1 @ p["head"]["kernel"] + p["head"]["bias"]
    odds = np.exp(z2)
    d2 = (odds / odds.sum(1, keepdims=True) - np.eye(3)[batch["label"]]) / 5
    d1 = d2 @ p["head"]["kernel"].T * a1 * (1 - a1)

    def norm(*parts):
        return np.sqrt(sum((part**2).sum() for part in parts))

    expected = {
        "dense_0": (norm(inputs.T @ d1, d1.sum(0)), np.sqrt((z1**2).mean())),
        "head": (norm(a1.T @ d2, d2.sum(0)), np.sqrt((z2**2).mean())),
    }
    found = measured(variables, objective, batch)
    assert list(found) == ["dense_0", "head"]
    for name, pair in expected.items():
        np.testing.assert_allclose(found[name], pair, rtol=1e-5)


def test_layers_come_in_the_order_of_their_calls():
    module = models.MLP((4,) * 12, 3)
    variables, objective, batch = problem(module, jnp.ones((3, 2)))
    found = jax.eval_shape(program(objective), variables, batch)
    assert list(found) == [*(f"dense_{i}" for i in range(12)), "head"]


def test_gradients_vanish_through_sigmoids_and_are_not_lost_where_they_are_tiny():
    inputs = np.random.default_rng(0).normal(size=(8, 16)).astype(np.float32)
    xavier = nn.initializers.xavier_uniform()
    module = models.MLP((16,) * 10, 3, activation=nn.sigmoid, kernel_init=xavier)
    variables, *rest = problem(module, inputs)
    tiny = jax.tree.map(lambda x: 1e-3 * np.asarray(x), variables)
    for params, below in ((variables, 1e-2), (tiny, 1e-25)):
        found = measured(params, *rest)
        norms = [found[f"dense_{i}"][0] for i in range(10)]
        assert 0 < norms[0] < below * norms[-1]
        assert norms[1:] == sorted(norms[1:])
    he = models.MLP((16,) * 10, 3, kernel_init=nn.initializers.he_normal())
    found = measured(*problem(he, inputs))
    assert 0.05 < found["dense_0"][0] / found["dense_9"][0] < 20


def transformer(**options):
    return models.ViT(
        num_classes=3,
        patch_size=2,
        hidden_size=8,
        num_layers=2,
        num_heads=2,
        mlp_size=16,
        image_size=4,
        **options,
    )


@pytest.fixture(scope="module")
def unrolled():
    """Variables and batch of a Transformer, and what passes through its layers."""
    images = np.random.default_rng(0).normal(size=(3, 4, 4, 1)).astype(np.float32)
    variables, objective, batch = problem(transformer(remat=True), images)
    return variables, batch, measured(variables, objective, batch)


@pytest.mark.slow
@pytest.mark.parametrize("remat", [pytest.param(False, marks=pytest.mark.slow), True])
def test_layers_that_are_scanned_are_measured_one_by_one(remat, unrolled):
    variables, batch, apart = unrolled
    stacked = models.stack_layers(variables)
    module = transformer(scan_layers=True, remat=remat)
    model = models.functional(module, batch["image"])
    objective = fdl.objectives.classification(model)
    together = measured(stacked, objective, batch)
    assert len(apart) == len(together) > 10

    def unstacked(name):  # encoder/layers/norm[2] is encoder/layers_2/norm.
        path, _, index = name.partition("[")
        return path.replace("layers/", f"layers_{index[:-1]}/") if index else path

    assert [unstacked(name) for name in together] == list(apart)
    for name, pair in together.items():
        np.testing.assert_allclose(pair, apart[unstacked(name)], rtol=2e-4)
    assert np.isfinite(list(apart.values())).all()


class Twice(nn.Module):
    """One layer, called on its own outputs, and one that is never called."""

    @nn.compact
    def __call__(self, x, *, train=False):
        scale = self.param("scale", nn.initializers.constant(2.0), (1, 1))
        layer = nn.Dense(x.shape[-1], name="again", use_bias=False)
        return layer(layer(x * scale))


def test_a_layer_that_is_called_twice_counts_both_outputs():
    inputs = jax.random.normal(KEY, (6, 3))
    variables, objective, batch = problem(Twice(), inputs)
    kernel = np.asarray(variables["params"]["again"]["kernel"])
    once = 2 * np.asarray(inputs) @ kernel
    both = np.sqrt(np.mean(np.square([once, once @ kernel])))
    found = measured(variables, objective, batch)
    assert list(found) == ["model", "again"]
    assert found["again"][1] == pytest.approx(both, rel=1e-5)
    assert found["model"][1] == pytest.approx(np.sqrt(np.mean((once @ kernel) ** 2)))


@pytest.mark.usefixtures("optimized")  # Two programs are to give the same bits.
def test_batch_statistics_stay_as_they_are_and_are_given_back():
    inputs = jax.random.normal(KEY, (6, 4))
    module = models.MLP((5,), 3, norm=nn.BatchNorm)
    variables, objective, batch = problem(module, inputs)
    found = measured(variables, objective, batch)
    assert list(found) == ["dense_0", "norm_0", "head"]
    model = models.functional(module, inputs)
    asked = {**variables, "intermediates": {}}
    _, state = jax.jit(model.apply)(asked, inputs)
    assert set(state) == {"batch_stats", "intermediates"}
    np.testing.assert_array_equal(
        jax.tree.leaves(state["batch_stats"]), jax.tree.leaves(variables["batch_stats"])
    )
    outputs, unasked = jax.jit(model.apply)(variables, inputs)
    assert set(unasked) == {"batch_stats"}
    _, expected = models.features(module, variables, inputs)
    (hidden,) = state["intermediates"]["hidden_0"]
    np.testing.assert_array_equal(hidden, expected["hidden_0"])
    np.testing.assert_array_equal(outputs, jax.jit(model.apply)(asked, inputs)[0])


def test_a_model_of_plain_functions_has_gradients_alone():
    model = Model(None, lambda variables, x, **_: (x @ variables["params"]["w"], {}))
    objective = fdl.objectives.classification(model)
    batch = {"image": jnp.eye(3), "label": jnp.arange(3)}
    found = measured({"params": {"w": jnp.zeros((3, 3))}}, objective, batch)
    gradient, activation = found.pop("model")
    assert not found and np.isnan(activation)
    assert gradient == pytest.approx(
        np.linalg.norm(np.full((3, 3), 1 / 3) - np.eye(3)) / 3
    )


def test_it_is_the_same_under_vmap():
    inputs = np.random.default_rng(0).normal(size=(2, 4, 5)).astype(np.float32)
    variables, objective, batch = problem(models.MLP((6,), 3), inputs[0])
    many = jax.tree.map(lambda x: np.stack([x, 2 * np.asarray(x)]), variables)
    batches = {"image": inputs, "label": np.stack([batch["label"]] * 2)}
    found = jax.jit(jax.vmap(lambda v, b: layer_stats(objective, v, b)))(many, batches)
    for i in range(2):
        one, some = jax.tree.map(lambda x, i=i: x[i], (many, batches))
        alone = measured(one, objective, some)
        for name, norms in found.items():
            pair = [float(part[i]) for part in norms]
            np.testing.assert_allclose(pair, alone[name], rtol=1e-5)


def test_modules_are_named_in_the_order_of_their_calls_without_running_them():
    module = models.CNN((4,) * 2, (3,), 2, input_shape=(4, 4, 1))
    model = models.functional(module)
    shapes = jax.eval_shape(model.init, KEY)
    paths = called_modules(
        model.apply, shapes, jax.ShapeDtypeStruct((1, 4, 4, 1), jnp.float32)
    )
    assert paths == ["convolution_0", "convolution_1", "dense_0", "head"]
