"""LoRA: adapters learn, and the base stays as it is."""

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import fdl
from fdl import models, objectives
from fdl.errors import UserError
from fdl.models.pretrained.convert import flatten, unflatten
from fdl.types import Model

TOKENS = np.random.default_rng(0).integers(16, size=(2, 6)).astype(np.int32)
KEY = jax.random.key(0)
GPT = models.GPT(1, 2, 8, vocab_size=16, max_length=8)
BASE = models.functional(GPT)


class Heads(nn.Module):
    """Attention of flax, whose kernels have three axes."""

    @nn.compact
    def __call__(self, x):
        return nn.MultiHeadDotProductAttention(2, qkv_features=6, name="attention")(x)


def trained(variables):
    """Variables whose adapters are no longer at their beginning."""
    rng = np.random.default_rng(1)
    params = jax.tree.map(
        lambda x: rng.normal(size=x.shape).astype(x.dtype), variables["params"]
    )
    return {**variables, "params": params}


CASES = {
    "scanned": (
        models.functional(GPT.clone(num_layers=2, scan_layers=True, remat=True)),
        TOKENS,
        {"match": ["attention", "mlp/up"]},
    ),
    "heads": (
        models.functional(Heads(), jnp.zeros((1, 3, 4))),
        np.random.default_rng(0).normal(size=(2, 3, 4)).astype(np.float32),
        {"match": "attention"},
    ),
}


@pytest.mark.some(1)
@pytest.mark.parametrize("name", CASES)
def test_at_first_it_is_the_base_to_the_bit_and_merging_is_exact_to_rounding(name):
    base, inputs, options = CASES[name]
    model = models.lora(base, rank=3, alpha=6, **options)
    variables = jax.jit(model.init)(KEY)
    apply, plain = jax.jit(model.apply, static_argnames="adapted"), jax.jit(base.apply)
    before, state = apply(variables, inputs)
    chex.assert_trees_all_equal(state, {k: variables[k] for k in ("base", "lora")})
    at_first, _ = plain({"params": variables["base"]}, inputs)
    np.testing.assert_array_equal(before, at_first)

    before, after = np.asarray(before), trained(variables)
    merged = jax.jit(models.merge_lora)(after)
    adapted = np.asarray(apply(after, inputs)[0])
    np.testing.assert_allclose(adapted, plain(merged, inputs)[0], rtol=1e-4, atol=1e-4)
    assert np.abs(adapted - before).max() > 0.01
    np.testing.assert_array_equal(apply(after, inputs, adapted=False)[0], before)

    merged, frozen = jax.device_get((merged, after["base"]))
    found, kernels = flatten(merged["params"]), flatten(frozen)
    adapters = flatten(after["params"])
    chex.assert_trees_all_equal_shapes_and_dtypes(found, kernels)
    for path, kernel in kernels.items():
        place = path.removesuffix("kernel")
        if place + "lora_a" in adapters:
            a, b = (np.float64(adapters[place + x]) for x in ("lora_a", "lora_b"))
            if name == "scanned":
                change = np.einsum("ldr,lrf->ldf", a, b)
            else:
                change = np.tensordot(a, b, axes=1)
            kernel = kernel + 2 * change
        np.testing.assert_allclose(found[path], kernel, rtol=2e-6, atol=2e-6)


def test_only_adapters_and_what_is_named_learn_and_are_kept():
    given = trained({"params": jax.eval_shape(BASE.init, KEY)["params"]})
    base = models.initialised(BASE, given)
    model = models.lora(base, rank=2, match="query", whole="norm/scale")
    objective = objectives.language_modelling(model)
    plain = fdl.gradient_learner(model, objective, optax.adam(1e-2))
    learner = fdl.learners.adapter_learner(plain, base)
    state = jax.device_get(jax.jit(learner.init)(KEY)._replace(key=0))
    names = [
        *(f"decoder/layers_0/attention/query/lora_{x}" for x in "ab"),
        "norm/scale",
    ]
    assert [*flatten(state.params)] == names
    assert [*flatten(state.opt_state[0].mu)] == names
    # Not before the first step, where B is zero, has A a gradient.
    after, metrics = jax.jit(learner.step)(state._replace(key=KEY), {"tokens": TOKENS})
    after = jax.device_get(after._replace(key=0))
    chex.assert_trees_all_equal(after.model_state, state.model_state)
    moved = jax.tree.map(lambda x, y: (x != y).any(), after.params, state.params)
    assert {k for k, yes in flatten(moved).items() if yes} == {*names[1:]}
    assert metrics["loss"].weight == 10

    kept = learner.persist(after)
    assert "base" not in kept.model_state
    chex.assert_trees_all_equal(jax.jit(learner.revive)(kept, KEY), after)
    # What is evaluated and exported are variables of the base.
    chex.assert_trees_all_equal_shapes(
        jax.eval_shape(learner.variables, after), jax.eval_shape(BASE.init, KEY)
    )


def test_a_base_in_bfloat16_has_adapters_in_float32_and_no_copy_in_another_dtype():
    half = models.functional(GPT.clone(param_dtype="bfloat16", dtype="bfloat16"))
    variables = jax.eval_shape(models.lora(half).init, KEY)
    kinds = {
        name: {str(x.dtype) for x in flatten(variables[name]).values()}
        for name in ("params", "base")
    }
    assert kinds == {"params": {"float32"}, "base": {"bfloat16"}}
    merged = jax.eval_shape(models.merge_lora, variables)
    chex.assert_trees_all_equal_dtypes(merged["params"], variables["base"])


def test_dropout_drops_inputs_of_the_adapters_alone_and_keeps_their_mean():
    class Identity(nn.Module):
        @nn.compact
        def __call__(self, x):
            return nn.Dense(1, kernel_init=nn.initializers.zeros, name="dense")(x)

    model = models.lora(
        models.functional(Identity(), jnp.ones((1, 1))), 1, match="dense", dropout=0.25
    )
    variables = jax.jit(model.init)(KEY)
    ones = {"lora_a": np.ones((1, 1)), "lora_b": np.ones((1, 1))}
    variables = {**variables, "params": {"dense": ones}}
    apply = jax.jit(model.apply, static_argnames="train")
    x = np.ones((4000, 1), np.float32)
    dropped = np.asarray(apply(variables, x, key=KEY, train=True)[0])
    np.testing.assert_allclose(np.unique(dropped), [0, 4 / 3], rtol=1e-6)
    assert abs((dropped == 0).mean() - 0.25) < 0.03
    np.testing.assert_array_equal(apply(variables, x, key=KEY)[0], x)


def test_initial_variables_are_those_that_are_given_of_any_key():
    given = trained({"params": jax.eval_shape(BASE.init, KEY)["params"]})
    model = models.lora(models.initialised(BASE, given), rank=1)
    variables = jax.device_get(jax.jit(jax.vmap(model.init))(jax.random.split(KEY)))
    expected = jax.tree.map(lambda x: np.stack([x, x]), given["params"])
    chex.assert_trees_all_equal(variables["base"], expected)
    adapters = flatten(variables["params"])
    path = "decoder/layers_0/attention/out/lora_a"
    assert (adapters[path][0] != adapters[path][1]).all()
    assert np.abs(adapters[path]).max() < 8**-0.5
    other = unflatten({**flatten(given), "params/norm/scale": np.ones(3, np.float32)})
    with pytest.raises(UserError, match=r"params/norm/scale \[3\]: expected \[8\]"):
        jax.eval_shape(models.initialised(BASE, other).init, KEY)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"rank": 0}, "rank=0: expected an integer from 1 on"),
        ({"alpha": 0.0}, "alpha=0.0: expected a positive number"),
        ({"dropout": 1.0}, "dropout=1.0: expected a rate in"),
        ({"match": "*/atention/*"}, "match: .* matches no parameter. Did you mean"),
        ({"match": "token_embedding"}, "match: .* matches no parameter"),
        ({"whole": "nrm"}, "whole: 'nrm' matches no parameter. Did you mean 'norm'"),
    ],
)
def test_what_does_not_fit_is_one_line(options, message):
    with pytest.raises(UserError, match=message):
        jax.eval_shape(models.lora(BASE, **options).init, KEY)


def test_a_model_without_dense_layers_and_variables_without_adapters_are_one_line():
    bare = Model(lambda key: {"params": {"kernel": jnp.ones(3)}}, BASE.apply)
    with pytest.raises(UserError, match="expected dense layers of flax"):
        jax.eval_shape(models.lora(bare).init, KEY)
    with pytest.raises(UserError, match=r"expected 'base' as well, as of models\.lora"):
        models.merge_lora({"params": {}})
