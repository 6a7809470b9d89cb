import functools

import chex
import jax
import numpy as np

from fdl import models
from fdl.models.features import features

TOKENS = np.ones((1, 4), np.int32)


def test_features_come_in_the_order_in_which_they_arise():
    """By name, layers_10 would stand before layers_2, and a decoder before all."""
    module = models.Transformer(11, 1, 2, 2, 1, vocab_size=5, max_length=4)
    seen = []

    def see(key):
        variables = module.init(key, TOKENS, TOKENS)
        seen.extend(features(module, variables, TOKENS, TOKENS)[1])

    jax.eval_shape(see, jax.random.key(0))  # What it returned would be sorted.
    layers = [f"encoder/layers_{i}" for i in range(11)] + ["decoder/layers_0"]
    assert [name for name in seen if name.endswith("/outputs")] == [
        f"{layer}/outputs" for layer in layers
    ]
    assert seen[-3:] == [
        f"decoder/layers_0/{name}"
        for name in ("attention/weights", "cross_attention/weights", "outputs")
    ]


def test_features_are_seen_in_training_too(random_inputs):
    module = models.ResNet((1, 1), False, num_classes=3, width=4, small_images=True)
    images, model = random_inputs(4, 8, 8, 3), models.functional(module)
    variables = jax.jit(model.init)(jax.random.key(0))
    see = jax.jit(functools.partial(features, module, train=True))
    outputs, seen = see(variables, images)
    expected, _ = jax.jit(functools.partial(model.apply, train=True))(variables, images)
    chex.assert_trees_all_close(outputs, expected, rtol=1e-5)
    assert [*seen] == ["layer1", "layer2"]
