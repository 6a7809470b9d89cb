import collections
import functools

import chex
import flax.linen as nn
import jax
import numpy as np
import pytest

from fdl.models.functional import zeros
from fdl.models.language.gpt import GPT
from fdl.models.language.llama import Llama
from fdl.models.language.transformer import Transformer
from fdl.models.layers.layer_stack import Stack, unstack_layers
from fdl.models.layers.transformer_block import TransformerBlock


@pytest.fixture
def x(random_inputs):
    return random_inputs(2, 5, 8)


@pytest.mark.parametrize("field", ["dropout", "attention_dropout", "mlp_dropout"])
@pytest.mark.parametrize("pre_norm", [False, True])
@pytest.mark.some(2)
def test_dropout_is_off_in_evaluation_and_on_in_training(
    x, apply, random_variables, field, pre_norm
):
    plain = TransformerBlock(2, 12, pre_norm=pre_norm)
    block = TransformerBlock(2, 12, pre_norm=pre_norm, **{field: 0.2})
    variables = random_variables(block, x, train=False)
    expected = apply(plain, variables, x, train=False)
    np.testing.assert_array_equal(apply(block, variables, x, train=False), expected)

    @jax.jit
    def train(key):
        return block.apply(variables, x, True, rngs={"dropout": key})

    keys = [jax.random.key(seed) for seed in (0, 0, 1)]
    one, again, other = (np.asarray(train(key)) for key in keys)
    np.testing.assert_array_equal(one, again)
    assert (one != other).any() and np.abs(one - expected).max() > 0.01
    chex.assert_tree_all_finite(one)


RATES = {"dropout": 0.1, "attention_dropout": 0.2}


@pytest.mark.parametrize(
    "module, expected",
    [
        (GPT(2, 2, 8, **RATES), {0.1: 1 + 2 * 2, 0.2: 2, 0.0: 2}),
        (Llama(2, 2, 8, 12, **RATES), {0.1: 1 + 2 * 2, 0.2: 2, 0.0: 2}),
        (
            Transformer(1, 2, 8, 12, 2, **RATES, mlp_dropout=0.3),
            {0.1: 2 + 2 + 2 * 3, 0.2: 1 + 2 * 2, 0.3: 1 + 2},
        ),
    ],
    ids=["GPT", "Llama", "Transformer"],
)
def test_embeddings_branches_and_weights_are_dropped(module, expected):
    rates = collections.Counter()

    def see(call, args, kwargs, context):
        if isinstance(context.module, nn.Dropout):
            rates[context.module.rate] += 1
        return call(*args, **kwargs)

    def train(key):
        inputs = zeros(module.example())
        variables = module.init(key, *inputs)
        rates.clear()
        return module.apply(variables, *inputs, train=True, rngs={"dropout": key})

    with nn.intercept_methods(see):
        jax.eval_shape(train, jax.random.key(0))
    assert rates == expected


@pytest.mark.parametrize("scan", [False, True], ids=["unrolled", "scanned"])
def test_a_block_that_is_dropped_changes_nothing(
    scan, apply, random_inputs, random_variables, assert_close
):
    make = functools.partial(TransformerBlock, 2, 12)
    layers, x = Stack(make, 3, scan), random_inputs(2, 5, 8)
    variables = random_variables(layers, x, train=False)

    def train(rates, seed):
        options = {
            "per_layer": (np.array(rates, np.float32),),
            "rngs": {"dropout": jax.random.key(seed)},
        }
        return apply(layers, variables, x, train=True, **options)

    np.testing.assert_array_equal(train([1.0, 1.0, 1.0], 0), x)
    kept = train([0.0, 1.0, 0.0], 0)
    assert_close(kept, train([0.0, 1.0, 0.0], 1), 1e-6)
    first = unstack_layers(variables) if scan else variables
    first = {
        "params": {f"layers_{i}": first["params"][f"layers_{2 * i}"] for i in (0, 1)}
    }
    expected = apply(Stack(make, 2), first, x, train=False)
    assert_close(kept, expected, 1e-5)
