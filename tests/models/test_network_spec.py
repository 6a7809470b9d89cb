"""Modules as data: the whole zoo there and back, and what a spec may not say."""

import dataclasses
import functools
import json

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import models
from fdl.errors import UserError
from fdl.models import layers
from fdl.models.catalog import ZOO
from fdl.models.layers.inverted_residual import Stage
from fdl.models.network_spec import from_spec, to_spec

NORM = functools.partial(nn.BatchNorm, momentum=0.9, dtype=jnp.bfloat16)
CUSTOM = {
    "norm": models.MLP((8, 8), 3, norm=NORM, residual=True),
    "activation": models.MLP([8], np.int64(3), activation=jnp.sin, dropout=0.5),
    "partial": models.GPT(1, 2, 8, activation=functools.partial(nn.gelu, True)),
    "dtypes": models.ViT(
        8, 1, 2, 8, image_size=16, remat=True, dtype=jnp.bfloat16, param_dtype="float16"
    ),
    "numpy's": models.CNN((4,), (), 3, dtype=np.float32, param_dtype=np.dtype("f2")),
    "named tuples": models.MobileNetV2((Stage(6, 3, 2, 8, 1),), width_multiplier=0.25),
    "a module within": models.SimCLR(models.ResNet((1,), False, num_classes=None)),
    "a constructor": models.QNetwork(
        3, encoder=functools.partial(models.nature_encoder, input_shape=(84, 84, 2))
    ),
    "an inherited attribute": models.bert_base_pretraining(pool="none"),
    "a norm of layers": models.TransformerBlock(
        2, 8, norm=functools.partial(layers.layer_norm, epsilon=1e-12)
    ),
    "flax's": nn.Sequential((nn.Dense(4), jax.nn.silu, nn.LayerNorm(), nn.Dense(2))),
}
MODULES = {name: entry.constructor() for name, entry in ZOO.items()} | CUSTOM


def written_and_read(module):
    return from_spec(json.loads(json.dumps(to_spec(module), allow_nan=False)))


def comparable(value):
    """A value that equals another where networks of both compute the same."""
    if isinstance(value, nn.Module):
        fields = [field.name for field in dataclasses.fields(value)]
        values = {name: getattr(value, name) for name in fields if name != "parent"}
        return type(value), named(values)
    if isinstance(value, functools.partial):
        return value.func, comparable(value.args), named(value.keywords)
    if isinstance(value, (tuple, list)) and not hasattr(value, "_fields"):
        return tuple(map(comparable, value))
    return value


def named(values):
    """Values by name, in which any initialiser is as good as another."""
    dtypes = ("dtype", "param_dtype")
    return {
        name: jnp.dtype(value) if name in dtypes and value else comparable(value)
        for name, value in values.items()
        if not name.endswith("_init") or isinstance(value, (bool, float))
    }


@pytest.mark.parametrize("module", MODULES.values(), ids=MODULES)
def test_a_module_is_the_same_after_a_round_trip(module):
    assert comparable(written_and_read(module)) == comparable(module)


@pytest.mark.parametrize("name", ["norm", "dtypes", "named tuples", "a module within"])
def test_variables_have_the_same_shapes_and_dtypes(name):
    def shapes(module):
        return jax.eval_shape(models.functional(module).init, jax.random.key(0))

    assert shapes(written_and_read(CUSTOM[name])) == shapes(CUSTOM[name])


def test_a_spec_states_what_is_not_the_default():
    module = models.MLP((8,), 3, norm=NORM, bias_init=nn.initializers.constant(-8.0))
    assert to_spec(module) == {
        "module": "fdl.models.MLP",
        "fields": {
            "hidden_sizes": [8],
            "num_outputs": 3,
            "norm": {
                "function": "flax.linen.BatchNorm",
                "keywords": {"momentum": 0.9, "dtype": "bfloat16"},
            },
        },
    }


class Own(nn.Module):
    size: int = 3


class Inherited(models.MLP):
    pass


@pytest.mark.parametrize(
    "module, expected",
    [
        (3, "module is a int: expected a flax module"),
        (Own(), "Own cannot be described as data: expected a module of fdl.models or"),
        (Inherited((), 3), "Inherited cannot be described"),
        (models.SimCLR(Own()), "Own cannot be described"),
        (models.MLP((), 3, activation=lambda x: x), r"MLP.activation=.*<lambda>: expe"),
        (models.MLP((), 3, norm=functools.partial(Own, 3)), "MLP.norm=Own: expected a"),
        (models.MLP((), 3, dropout=np.ones(2)), "MLP.dropout=ndarray: expected a num"),
        (models.MLP((), 3, dropout=float("nan")), "MLP.dropout=nan: expected a finite"),
        (models.RealNVP(10**9, (8,)), "RealNVP.num_layers=1000000000: expected at"),
        (models.MLP((2**21,), 2), "MLP.hidden_sizes.*=2097152: expected at most 1048"),
        (models.MLP((), 2**63), "MLP.num_outputs: expected an integer of at most 64 b"),
        (
            models.MLP((), 3, norm=functools.partial(nn.BatchNorm, axis_name=print)),
            "MLP.norm.axis_name=print: expected a number",
        ),
    ],
)
def test_what_has_no_name_is_told_with_class_and_attribute(module, expected):
    with pytest.raises(UserError, match=expected):
        to_spec(module)


def mlp(**fields):
    """Spec of an MLP."""
    fields = {"hidden_sizes": [8], "num_outputs": 3, **fields}
    return {"module": "fdl.models.MLP", "fields": fields}


def nested(depth):
    return [nested(depth - 1)] if depth else 3


@pytest.mark.parametrize(
    "spec, expected",
    [
        ([], "network: expected a dict with the keys module and fields"),
        ({"function": "jax.nn.relu"}, "network: expected a dict"),
        ({"module": "fdl.models.MLP"}, "network=.*: expected a number"),
        ({"module": "fdl.models.MLP", "fields": 3}, "MLP: expected a dict of values"),
        ({"module": "fdl.models.MLP", "fields": {3: 3}}, "MLP: expected a dict of val"),
        ({"module": "fdl.models.MLP", "fields": {}}, "MLP: .* missing 2 required"),
        ({"module": ["x"], "fields": {}}, "network=.*: expected a public function"),
        ({"module": "fdl.models.MPL", "fields": {}}, "Did you mean 'fdl.models.MLP'"),
        ({"module": "subprocess.Popen", "fields": {"args": "ls"}}, "expected a public"),
        ({"module": "fdl.models.load", "fields": {"path": "x"}}, "expected a public"),
        ({"module": "flax.linen.Module", "fields": {}}, "expected a public function"),
        ({"module": "fdl.models.lenet5", "fields": {}}, "expected the name of a modul"),
        (mlp(acivation=3), "MLP has no attribute 'acivation'. Did you mean 'activatio"),
        (mlp(parent=None), "MLP has no attribute 'parent'"),
        (mlp(__class__=3), "MLP has no attribute '__class__'"),
        (mlp(**{"\x1b[31m\n" * 1000: 3}), "MLP has no attribute"),
        (mlp(activation={"function": "jax.numpy.load"}), "MLP.activation='jax.numpy.l"),
        (mlp(activation={"function": "jax.nn.__name__"}), "expected a public functio"),
        (mlp(activation={"function": "x" * 10**6}), "MLP.activation='xxx"),
        (mlp(activation={"function": "jax.nn.gelu", "args": 3}), "a list of args"),
        (mlp(activation={"eval": "3"}), "MLP.activation=.*: expected a number"),
        (
            mlp(activation={"function": "jax.nn.gelu", "keywords": {"a": {"b": 3}}}),
            "MLP.activation.a=.*: expected a number, a string",
        ),
        (mlp(activation="relu"), "MLP.activation='relu': expected .*Callable"),
        (mlp(hidden_sizes="8"), r"MLP.hidden_sizes='8': expected .*Sequence\[int\]"),
        (mlp(hidden_sizes=[True]), r"MLP.hidden_sizes=\(True,\): expected .*Sequence"),
        (mlp(hidden_sizes=nested(900)), "expected at most 16 levels of nesting"),
        (mlp(num_outputs=10**40), "MLP.num_outputs: expected an integer of at most"),
        (mlp(num_outputs=3.5), r"MLP.num_outputs=3.5: expected int \| None"),
        (mlp(dropout=float("inf")), "MLP.dropout=inf: expected a finite number"),
        (mlp(residual=1), "MLP.residual=1: expected bool"),
        (mlp(dtype="float99"), "MLP.dtype='float99': expected a dtype of floats"),
        (mlp(param_dtype="object"), "MLP.param_dtype='object': expected a dtype of f"),
        (mlp(name=3), "MLP.name=3: expected"),
        (
            {"module": "fdl.models.MobileNetV2", "fields": {"stages": [[1, 2]]}},
            r"MobileNetV2.stages=\(\(1, 2\),\): expected .*Sequence",
        ),
    ],
)
def test_a_spec_that_is_none_is_one_line(spec, expected):
    with pytest.raises(UserError, match=expected) as caught:
        from_spec(spec)
    assert str(caught.value).isprintable() and len(str(caught.value)) < 1_000
