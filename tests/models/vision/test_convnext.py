import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import models
from fdl.models.pretrained import to_ours
from fdl.models.vision.convnext import ConvNeXt, convnext_s

SMALL = ConvNeXt((1, 2, 1, 1), (8, 12, 16, 24), num_classes=7)
TINY = ConvNeXt((1, 2), (4, 6), patch_size=2, kernel_size=3, num_classes=5)
SHAPE = (2, 76, 70, 3)  # With a remainder wherever it is divided.
KEY = jax.random.key(0)


@pytest.fixture
def gradients(random_inputs):
    """Of the parameters, while the module is trained with nothing random."""

    def of(module, variables):
        images = random_inputs(2, 9, 10, 3)

        def loss(variables):
            return jnp.sum(jnp.sin(module.apply(variables, images, train=True)))

        step = jax.jit(jax.grad(loss))
        jaxpr = str(step.trace(variables).jaxpr)
        assert ("remat" in jaxpr, "scan" in jaxpr) == (module.remat, module.scan_layers)
        return step(variables)

    return of


def assert_trees_close(actual, expected):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(
            a, b, rtol=1e-4, atol=1e-4 * np.max(np.abs(b))
        ),
        actual,
        expected,
    )


def test_it_is_that_of_torchvision(apply, references, random_variables, random_inputs):
    variables = random_variables(SMALL)
    outputs = apply(SMALL, variables, random_inputs(*SHAPE))
    references.agree("ConvNeXt", outputs)


@pytest.mark.slow
def test_scanned_and_recomputed_blocks_have_the_same_gradients(
    random_variables, gradients
):
    plain = TINY.clone(stage_sizes=(2,), widths=(4,))
    variables = random_variables(plain)
    expected = gradients(plain, variables)
    module = plain.clone(scan_layers=True, remat=True)
    stacked = gradients(module, models.stack_layers(variables))
    assert_trees_close(models.unstack_layers(stacked), expected)


@pytest.mark.parametrize("scan", [pytest.param(False, marks=pytest.mark.slow), True])
def test_the_last_block_is_dropped_most(scan, random_variables, random_inputs):
    module = TINY.clone(stochastic_depth=1.0, scan_layers=scan)
    variables, images = random_variables(TINY), random_inputs(2, 9, 10, 3)

    @jax.jit
    def run(variables, key):
        variables = models.stack_layers(variables) if scan else variables
        options = {"train": True, "rngs": {"dropout": key}}
        logits, seen = models.features(module, variables, images, **options)
        return logits, seen["stage0_outputs"]

    def without(stage, layer):
        stages = {**variables["params"]}
        branch = jax.tree.map(jnp.zeros_like, stages[stage][layer])
        stages[stage] = {**stages[stage], layer: branch}
        return {"params": stages}

    logits, first = run(variables, KEY)
    others = [run(variables, key) for key in jax.random.split(KEY, 5)]
    # The first of all blocks is never dropped, and the last one always.
    assert all(np.array_equal(first, same) for _, same in others)
    assert np.abs(first - run(without("stage0", "layers_0"), KEY)[1]).max() > 0.01
    np.testing.assert_array_equal(logits, run(without("stage1", "layers_1"), KEY)[0])
    assert any(np.abs(logits - other).max() > 1e-3 for other, _ in others)


def test_nothing_is_dropped_in_evaluation(apply, random_variables, random_inputs):
    variables, images = random_variables(TINY), random_inputs(2, 9, 10, 3)
    outputs = apply(TINY.clone(stochastic_depth=0.5), variables, images)
    np.testing.assert_array_equal(outputs, apply(TINY, variables, images))


def test_branches_begin_small_and_need_no_scale():
    @jax.jit
    def init(key):
        params = TINY.init(key, jnp.ones((1, 8, 8, 3)))["params"]
        return params["stage1"]["layers_1"]["layer_scale"]

    np.testing.assert_array_equal(init(KEY), np.full(6, np.float32(1e-6)))
    module = models.functional(TINY.clone(layer_scale=None))
    params = jax.eval_shape(module.init, KEY)["params"]
    assert "layer_scale" not in params["stage1"]["layers_1"]


def test_pooled_features_come_out_without_a_head(
    apply, random_variables, random_inputs
):
    variables, images = random_variables(TINY), random_inputs(2, 9, 10, 3)
    logits = apply(TINY, variables, images)
    head = variables["params"].pop("head")
    features = apply(TINY.clone(num_classes=None), variables, images)
    expected = features @ head["kernel"] + head["bias"][None]
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)


def test_bfloat16_is_close(apply, random_variables, random_inputs):
    variables, images = random_variables(TINY), random_inputs(2, 9, 10, 3)
    outputs = apply(TINY.clone(dtype="bfloat16"), variables, images)
    expected = apply(TINY, variables, images)
    assert outputs.dtype == jnp.bfloat16
    worst = np.max(np.abs(outputs.astype(jnp.float32) - expected))
    assert worst < 0.05 * np.max(np.abs(expected))


def theirs(name, stage_sizes, widths, num_classes=7):
    if name == "timm":
        from timm.models.convnext import ConvNeXt

        return ConvNeXt(depths=stage_sizes, dims=widths, num_classes=num_classes)
    from torchvision.models import convnext

    return convnext.ConvNeXt(
        [
            convnext.CNBlockConfig(width, following, size)
            for size, width, following in zip(
                stage_sizes, widths, [*widths[1:], None], strict=True
            )
        ],
        num_classes=num_classes,
    )


every_format = pytest.mark.parametrize("name", SMALL.checkpoints())


@pytest.mark.oracle
@every_format
def test_it_agrees_with_torch(
    torch, name, references, agrees_with_torch, random_inputs
):
    reference = theirs(name, SMALL.stage_sizes, SMALL.widths)
    rules, images = SMALL.checkpoints()[name], random_inputs(*SHAPE)
    references.check("ConvNeXt", agrees_with_torch(SMALL, reference, rules, images))


@pytest.mark.oracle
@every_format
def test_every_array_of_a_published_checkpoint_has_its_place(torch, name):
    module = convnext_s()
    with torch.device("meta"):
        reference = theirs(name, module.stage_sizes, module.widths, 1000)
    zero = np.zeros((), np.float32)
    tensors = {
        key: np.broadcast_to(zero, value.shape)
        for key, value in reference.state_dict().items()
    }
    like = jax.eval_shape(models.functional(module).init, KEY)
    _, report = to_ours(tensors, module.checkpoints()[name], like)
    assert len(report.matched) == len(tensors) == len(jax.tree.leaves(like))
    assert not report.missing and not report.unexpected and not report.mismatched
