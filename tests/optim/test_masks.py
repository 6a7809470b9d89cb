import jax
import jax.numpy as jnp
import optax
import pytest

from fdl import models
from fdl.errors import UserError
from fdl.optim import masks

PROGRAMS = 270

PARAMS = {
    "encoder": {
        "layer_0": {"kernel": 1.0, "bias": 2.0},
        "layer_1": {"kernel": 3.0, "bias": 4.0},
        "norm": {"scale": 5.0},
    },
    "head": {"kernel": 6.0, "bias": 7.0},
}


def chosen(mask, params=PARAMS):
    tree = mask(params)
    assert jax.tree.structure(tree) == jax.tree.structure(params)
    leaves = map(jax.tree.leaves, (params, tree))
    return {x for x, yes in zip(*leaves, strict=True) if yes}


@pytest.mark.parametrize(
    "patterns, expected",
    [
        ("bias", {2, 4, 7}),
        ("encoder", {1, 2, 3, 4, 5}),
        ("encoder/layer_1", {3, 4}),
        ("/encoder/layer_1/", {3, 4}),
        ("layer_*", {1, 2, 3, 4}),
        ("layer_[0]/kernel", {1}),
        ("encoder/*/kernel", {1, 3}),
        ("encoder*kernel", {1, 3}),
        (["head", "scale"], {5, 6, 7}),
        ("*", {1, 2, 3, 4, 5, 6, 7}),
        ([], set()),
        ("enc", set()),  # Names are whole.
        ("kernel/layer_0", set()),
    ],
)
def test_patterns_match_whole_names_that_follow_each_other(patterns, expected):
    assert chosen(masks.matching(patterns)) == expected
    everything = {1, 2, 3, 4, 5, 6, 7}
    assert chosen(masks.others(masks.matching(patterns))) == everything - expected


def test_a_pattern_that_matches_nothing_is_an_error_where_it_has_a_name():
    mask = masks.matching(["head", "encodr"], "freeze")
    message = "freeze: 'encodr' matches no parameter. Did you mean 'encoder'"
    with pytest.raises(UserError, match=message):
        mask(PARAMS)


def test_weights_are_all_but_biases_norms_and_scalars():
    module = models.ViT(
        patch_size=2, num_layers=1, num_heads=2, hidden_size=8, image_size=4
    )
    example = jnp.zeros((1, 4, 4, 1))
    params = jax.eval_shape(module.init, jax.random.key(0), example)["params"]
    out = {
        path
        for path, yes in zip(
            masks.paths(params), jax.tree.leaves(masks.weights(params)), strict=True
        )
        if not yes
    }
    names = {path.split("/")[-1] for path in out}
    assert names == {"bias", "scale"}
    assert len(out) == sum(p.split("/")[-1] in names for p in masks.paths(params))
    assert masks.weights({"temperature": jnp.zeros(())}) == {"temperature": False}


def test_a_layer_that_is_called_like_a_gain_decays():
    layer = {
        "kernel": jnp.ones((2, 2)),
        "bias": jnp.ones(2),
        "layer_scale": jnp.ones(2),
    }
    expected = {"kernel": True, "bias": False, "layer_scale": False}
    for name in ("upscale", "scale", "debias"):
        assert masks.weights({name: layer}) == {name: expected}


def test_what_is_frozen_can_still_be_named():
    mask = masks.matching(["head", "bias"], "decay_exempt")
    frozen = {**PARAMS, "head": {"kernel": optax.MaskedNode(), "bias": 7.0}}
    assert chosen(mask, frozen) == {2, 4, 7}
    frozen["head"]["bias"] = optax.MaskedNode()
    assert chosen(mask, frozen) == {2, 4}
    with pytest.raises(UserError, match="'haed' matches no parameter"):
        masks.matching("haed", "decay_exempt")(frozen)
