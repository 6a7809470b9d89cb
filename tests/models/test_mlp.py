import functools

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl.models import functional
from fdl.models.layers import layer_norm
from fdl.models.mlp import MLP, linear
from fdl.models.pretrained.layer_rules import dense
from fdl.models.pretrained.resnet import batch_norm

PROGRAMS = 240

NORMS = {
    "batch": functools.partial(nn.BatchNorm, momentum=0.9),
    "layer": functools.partial(layer_norm, 1e-5),
}
SIZES = (6, 6, 4, 4)
FORMS = {
    "plain": MLP(SIZES, 3, activation=nn.tanh),
    "residual": MLP(SIZES, 3, activation=nn.tanh, residual=True),
    "batch norm": MLP(SIZES, 3, activation=nn.tanh, norm=NORMS["batch"]),
    "layer norm": MLP(SIZES, 3, nn.tanh, norm=NORMS["layer"], residual=True),
}
RULES = [
    *dense("dense_{i}", "dense_{i}"),
    *batch_norm("norm_{i}", "norm_{i}"),
    *dense("head", "head"),
]
every_form = pytest.mark.parametrize("form", FORMS)


def test_an_mlp_is_the_chain_of_its_layers(random_inputs, random_variables):
    x, module = random_inputs(5, 2, 3), FORMS["plain"]
    variables = random_variables(module, x)
    outputs, model_state = jax.jit(functional(module, x).apply)(variables, x)
    expected = x.reshape(5, 6).astype(np.float64)
    for name in (*(f"dense_{i}" for i in range(4)), "head"):
        layer = variables["params"][name]
        expected = expected @ layer["kernel"] + layer["bias"]
        expected = np.tanh(expected) if name != "head" else expected
    np.testing.assert_allclose(outputs, expected, atol=1e-5)
    assert model_state == {}


@every_form
def test_mlps_are_those_of_torch(
    apply, form, references, random_inputs, random_variables
):
    x = random_inputs(8, 5)
    variables = random_variables(FORMS[form], x)
    references.agree(form, apply(FORMS[form], variables, x))


@pytest.mark.oracle
@every_form
def test_mlps_agree_with_torch(
    form, references, agrees_with_torch, random_inputs, torch
):
    sizes = (5, *SIZES)
    norm = {"batch norm": torch.nn.BatchNorm1d, "layer norm": torch.nn.LayerNorm}
    norm = norm.get(form, lambda size: torch.nn.Identity())

    class Reference(torch.nn.Module):
        def __init__(self):
            super().__init__()
            for i in range(len(SIZES)):
                setattr(self, f"dense_{i}", torch.nn.Linear(sizes[i], sizes[i + 1]))
                setattr(self, f"norm_{i}", norm(sizes[i + 1]))
            self.head = torch.nn.Linear(sizes[-1], 3)

        def forward(self, x):
            for i in range(len(SIZES)):
                y = getattr(self, f"dense_{i}")(x)
                y = torch.tanh(getattr(self, f"norm_{i}")(y))
                skips = FORMS[form].residual and sizes[i] == sizes[i + 1]
                x = x + y if skips else y
            return self.head(x)

    module, reference, x = FORMS[form], Reference(), random_inputs(8, 5)
    normed = form == "batch norm"
    outputs = agrees_with_torch(module, reference, RULES, x, train=not normed)
    references.check(form, outputs)
    if normed:
        # In training, biases in front of a norm have no gradient but rounding: more
        # digits show it. Flax keeps statistics in float32.
        reference.zero_grad()
        with jax.enable_x64():
            module, x = module.clone(param_dtype="float64"), np.float64(x)
            tolerances = {"tolerance": 1e-6, "gradient_tolerance": 1e-6}
            agrees_with_torch(module, reference.double(), RULES, x, **tolerances)


def test_batch_norm_normalises_by_the_batch_in_training_alone(apply, random_inputs):
    x = 5 + random_inputs(64, 4)
    module = MLP((8,), None, lambda x: x, norm=nn.BatchNorm)
    model = functional(module, x)
    variables = jax.jit(model.init)(jax.random.key(0))
    outputs, state = jax.jit(functools.partial(model.apply, train=True))(variables, x)
    np.testing.assert_allclose(outputs.mean(axis=0), np.zeros(8), atol=1e-5)
    np.testing.assert_allclose(outputs.std(axis=0), np.ones(8), atol=1e-3)
    mean, new = (s["batch_stats"]["norm_0"]["mean"] for s in (variables, state))
    assert not mean.any() and new.all()
    outputs, state = apply(model, variables, x)
    assert (jnp.abs(outputs.mean(axis=0)) > 0.01).all()
    chex.assert_trees_all_equal(state["batch_stats"], variables["batch_stats"])


def test_dropout_is_off_in_evaluation_and_follows_its_key_in_training(apply):
    x = jnp.ones((3, 4))
    model = functional(MLP((32,), 2, dropout=0.5), x)
    variables = jax.jit(model.init)(jax.random.key(0))
    plain = functional(MLP((32,), 2), x)
    same, _ = apply(model, variables, x, key=jax.random.key(1))
    np.testing.assert_array_equal(same, apply(plain, variables, x)[0])
    one, again, other = (
        apply(model, variables, x, key=jax.random.key(seed), train=True)[0]
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, again)
    assert (one != other).any() and (one != same).any()


def test_initialisers_are_those_of_the_hidden_layers_and_of_the_readout():
    fill = nn.initializers.constant
    module = MLP((3, 3), 2, kernel_init=fill(1), bias_init=fill(2), input_shape=(4,))
    for head_init, expected in ((None, (1, 2)), ((fill(3), fill(4)), (3, 4))):
        params = jax.jit(functional(module.clone(head_init=head_init)).init)(
            jax.random.key(0)
        )
        for name, layer in params["params"].items():
            kernel, bias = expected if name == "head" else (1, 2)
            assert (layer["kernel"] == kernel).all() and (layer["bias"] == bias).all()


def test_without_a_readout_the_last_hidden_layer_comes_out(apply, see, random_inputs):
    x, module = random_inputs(2, 4), FORMS["layer norm"]
    variables = jax.jit(module.init)(jax.random.key(0), x)
    _, seen = see(module, variables, x)
    assert list(seen) == ["hidden_0", "hidden_1", "hidden_2", "hidden_3"]
    del variables["params"]["head"]
    headless = apply(module.clone(num_outputs=None), variables, x)
    np.testing.assert_array_equal(headless, seen["hidden_3"])


def test_bfloat16_computes_near_float32_and_keeps_its_parameters(
    apply, random_inputs, assert_close
):
    x = random_inputs(4, 8)
    module = MLP((16, 16), 3, norm=nn.BatchNorm, residual=True, dtype="bfloat16")
    variables = jax.jit(module.init)(jax.random.key(0), x)
    assert {x.dtype for x in jax.tree.leaves(variables)} == {jnp.dtype("float32")}
    outputs = apply(module, variables, x)
    assert outputs.dtype == jnp.bfloat16
    expected = apply(module.clone(dtype=None), variables, x)
    assert_close(np.float32(outputs), expected, 0.05)
    params = jax.jit(module.clone(param_dtype="bfloat16").init)(jax.random.key(0), x)[
        "params"
    ]
    assert {str(x.dtype) for x in jax.tree.leaves(params)} == {"bfloat16"}


def test_a_linear_model_is_one_matrix_and_trains_to_the_least_squares(random_inputs):
    x = random_inputs(20, 3)
    y = x @ np.array([[1.0], [-2.0], [0.5]], np.float32) + 3
    module = linear(1, input_shape=(3,))
    variables = jax.jit(functional(module).init)(jax.random.key(0))
    assert list(variables["params"]) == ["head"]

    @jax.jit
    def step(variables):
        gradients = jax.grad(lambda v: jnp.mean((module.apply(v, x) - y) ** 2))
        return jax.tree.map(lambda v, g: v - 0.2 * g, variables, gradients(variables))

    for _ in range(200):
        variables = step(variables)
    head = variables["params"]["head"]
    np.testing.assert_allclose(head["kernel"], [[1], [-2], [0.5]], atol=1e-3)
    np.testing.assert_allclose(head["bias"], [3], atol=1e-3)
