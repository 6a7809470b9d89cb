"""What holds of every convolutional network with batch norm."""

import functools
import math
from typing import Any, NamedTuple

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import models
from fdl.models.layers.inverted_residual import Stage
from fdl.models.pretrained.convert import flatten
from fdl.models.vision.densenet import DenseNet
from fdl.models.vision.efficientnet import EfficientNet
from fdl.models.vision.mobilenet import MobileNetV2
from fdl.models.vision.wide_resnet import WideResNet

PROGRAMS = 230

STAGES = (Stage(1, 3, 1, 8, 1), Stage(4, 3, 2, 16, 2))
SMALL = {"num_classes": 7, "width": 8}
MODULES = {
    "ResNet": models.ResNet((1, 1), True, **SMALL, small_images=True),
    "ResNet, option A": models.ResNet((1, 1), False, **SMALL, projection=False),
    "WideResNet": WideResNet((1, 1), 1, num_classes=7, dropout=0.5),
    "DenseNet": DenseNet((1, 1), 8, **SMALL, dropout=0.5),
    "MobileNetV2": MobileNetV2(STAGES, num_classes=7, dropout=0.5),
    "EfficientNet": EfficientNet(STAGES, num_classes=7, stochastic_depth=0.5),
}
INITIAL = [  # A kernel, and the standard deviation with which it is drawn.
    ("ResNet", "layer2_0/conv2", math.sqrt(2 / (9 * 16))),
    ("WideResNet", "layer2_0/conv2", math.sqrt(2 / (9 * 32))),
    ("DenseNet", "denseblock1_1/conv2", math.sqrt(2 / (9 * 32))),
    ("MobileNetV2", "inverted2/expand", math.sqrt(2 / 32)),
    ("MobileNetV2", "head", 0.01),
    ("EfficientNet", "inverted2_0/expand", math.sqrt(2 / 32)),
    ("EfficientNet", "head", 1 / math.sqrt(3 * 7)),
]
SIMILAR = {"ResNet, option A", "MobileNetV2"}
SLOW = {*MODULES} - {"ResNet"}
RECOMPUTED = [  # The same in all of them.
    pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in MODULES
]
KEYS = [jax.random.key(i) for i in range(2)]


class Member(NamedTuple):
    """A network, compiled once for all laws.

    ``step(variables, images, key) -> gradients, (logits, model_state)`` and
    ``evaluate(variables, images) -> logits``.
    """

    module: nn.Module
    variables: Any
    images: Any
    step: Any
    evaluate: Any


KINDS = [  # One of each kind of block.
    pytest.param(name, marks=[pytest.mark.slow] * (name in SIMILAR)) for name in MODULES
]


@pytest.fixture(scope="module", params=KINDS)
def member(request, random_variables, random_inputs):
    module, images = MODULES[request.param], random_inputs(4, 24, 24, 3)
    variables = random_variables(module)
    return Member(module, variables, images, step_of(module), jax.jit(module.apply))


def step_of(module):
    @jax.jit
    @chex.assert_max_traces(1)
    def step(variables, images, key):
        def loss(params):
            outputs = models.functional(module).apply(
                {**variables, "params": params}, images, key=key, train=True
            )
            return jnp.mean(jnp.square(outputs[0])), outputs

        return jax.grad(loss, has_aux=True)(variables["params"])

    chex.clear_trace_counter()
    return step


@pytest.mark.some(4)
def test_gradients_reach_every_parameter_in_one_trace(member):
    for key in KEYS:
        gradients, _ = member.step(member.variables, member.images, key)
        chex.assert_tree_all_finite(gradients)
        assert all(np.any(g) for g in jax.tree.leaves(gradients))


@pytest.fixture(scope="module")
def again(member):
    """A step that computes its blocks a second time."""
    return step_of(member.module.clone(remat=True))


@pytest.mark.some(1)
def test_blocks_are_computed_again_if_asked(member, again):
    shapes = jax.tree.leaves(jax.eval_shape(member.step, *member[1:3], KEYS[0]))
    for step, expected in ((again, True), (member.step, False)):
        traced = step.trace(*member[1:3], KEYS[0])
        assert ("remat" in str(traced.jaxpr)) == expected
        chex.assert_trees_all_equal_shapes(jax.tree.leaves(traced.out_info), shapes)


@pytest.mark.parametrize("member", RECOMPUTED, indirect=True)
def test_what_is_computed_again_is_the_same(member, again):
    chex.assert_trees_all_close(
        again(member.variables, member.images, KEYS[0]),
        member.step(member.variables, member.images, KEYS[0]),
        rtol=1e-4,
        atol=1e-5,
    )


def test_training_draws_and_evaluation_does_not(member):
    """It is given no key to draw from."""
    module = member.module
    rates = [getattr(module, name, 0.0) for name in ("dropout", "stochastic_depth")]
    one, other = (np.asarray(member.step(*member[1:3], key)[1][0]) for key in KEYS)
    assert (np.abs(one - other).max() > 0.01) == (max(rates) > 0)
    member.evaluate(member.variables, member.images)


def test_evaluation_sees_each_image_alone_and_training_the_batch(member, assert_close):
    images, variables = member.images, member.variables
    others = images.copy()
    others[1:] *= 3
    alone, among = (np.asarray(member.evaluate(variables, x)) for x in (images, others))
    alone, among = alone[0], among[0]
    assert_close(among, alone, 1e-5)

    _, (alone, state) = member.step(variables, images, KEYS[0])
    _, (among, _) = member.step(variables, others, KEYS[0])
    assert np.abs(np.subtract(among, alone)[0]).max() > 0.01
    before = {"batch_stats": variables["batch_stats"]}
    moved = jax.tree.map(lambda a, b: np.any(np.not_equal(a, b)), state, before)
    assert all(jax.tree.leaves(moved))


def test_the_head_maps_the_features_to_the_logits(member, assert_close):
    params = {**member.variables["params"]}
    head = params.pop("head")
    headless = member.module.clone(num_classes=None)
    features = jax.jit(headless.apply)(
        {**member.variables, "params": params}, member.images
    )
    logits = np.asarray(features) @ head["kernel"] + head["bias"]
    assert_close(logits, member.evaluate(member.variables, member.images), 1e-5)


@pytest.mark.some(2)
def test_bfloat16_stays_near_float32(member, assert_close):
    small = member.module.clone(dtype="bfloat16")
    outputs = jax.jit(small.apply)(member.variables, member.images)
    assert outputs.dtype == "bfloat16"
    expected = member.evaluate(member.variables, member.images)
    assert_close(np.float32(outputs), expected, 0.03)
    shapes = jax.eval_shape(models.functional(small).init, KEYS[0])
    assert {leaf.dtype for leaf in jax.tree.leaves(shapes)} == {jnp.dtype("float32")}


@functools.cache
def initial(name):
    init = models.functional(MODULES[name]).init
    kernels = [
        f"params/{kernel}/kernel" for other, kernel, _ in INITIAL if other == name
    ]

    @jax.jit
    def draw(key):  # What is not returned is not compiled.
        arrays = flatten(init(key))
        return {kernel: arrays[kernel] for kernel in kernels}

    return [draw(key) for key in KEYS]


@pytest.mark.parametrize("name, kernel, expected", INITIAL)
def test_kernels_begin_at_the_published_scale(name, kernel, expected):
    drawn = np.stack([arrays[f"params/{kernel}/kernel"] for arrays in initial(name)])
    assert np.std(drawn) == pytest.approx(expected, rel=0.1)
    # A uniform one ends at 1.7 of its deviations, a truncated normal one at 2.3.
    uniform = (name, kernel) == ("EfficientNet", "head")
    assert (np.abs(drawn).max() < 1.8 * expected) == uniform
    assert (np.abs(drawn).max() > 2.4 * expected) != uniform
