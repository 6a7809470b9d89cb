"""Parameters of the zoo: exactly as many as were published, by shapes only."""

import jax
import pytest

from fdl import models
from fdl.models.catalog import ZOO

STATISTICS = {  # Running means and variances, where they were published.
    "dcgan_discriminator": 1_792,
    "dcgan_generator": 1_920,
    "mobilenet_v2": 34_112,
    "resnet18": 9_600,
    "resnet20": 1_376,
    "resnet32": 2_272,
    "resnet34": 17_024,
    "resnet44": 3_168,
    "resnet50": 53_120,
    "resnet56": 4_064,
    "resnet101": 105_344,
    "resnet110": 8_096,
    "resnet152": 151_424,
    "resnext50_32x4d": 68_224,
    "vgg16": 0,
    "vgg16_bn": 8_448,
    "wide_resnet50_2": 68_224,
    "wrn28_10": 17_952,
}
VARIANTS = [
    (models.linear(10), 7_850),
    (models.nielsen_shallow(100), 79_510),
    (models.nielsen_deep(3), 25_720),
    (models.nielsen_deep(4), 26_650),
    (models.CNN((32, 64), (64,), 10, input_shape=(8, 8, 1)), 35_914),
    (models.alexnet(towers=1), 62_378_344),
    (models.resnet20(projection=True), 272_474),
    (models.wrn28_10(num_classes=100), 36_536_884),
    (models.unet(num_classes=1), 31_030_593),
    (models.unet(input_shape=(572, 572, 3), num_classes=1), 31_031_745),
    (models.unet(input_shape=(572, 572, 3)), 31_031_810),
    # One bias for each sum, where PyTorch has two.
    (models.elman(20, input_shape=(5, 10)), 20 * (10 + 20 + 1)),
    (models.gru(20, input_shape=(5, 10)), 3 * 20 * (10 + 20 + 1) + 20),
    (models.lstm(20, input_shape=(5, 10)), 4 * 20 * (10 + 20 + 1)),
    (models.transformer_base(vocab_size=32_000), 60_522_496),
    (models.transformer_big(vocab_size=32_000), 209_125_376),
    # Keys, query and score of the alignment network.
    (models.rnnsearch(attention=False), 80_445_000 - 1000 * (2000 + 1000 + 1)),
    (models.bert_base_pretraining(pool="none", num_classes=None), 109_514_298),
    (models.vit_ti16(pool="mean"), 5_717_032),
    (models.vit_s16(pool="mean"), 22_049_896),
    (models.vit_b16(pool="mean"), 86_566_120),
    (models.vit_s16(pool="mean", positions="sincos2d"), 21_974_632),
    (
        models.vit_s16(pool="mean", positions="sincos2d", representation_size=384),
        22_122_472,
    ),
    (models.vae_mnist(hidden_sizes=(400,)), 652_824),
    (models.dcgan_generator(width=128), 12_658_432),
    (models.dcgan_discriminator(width=128), 11_036_160),
    (models.simclr_resnet50(batch_norm=True), 23_508_032 + 4_460_800),
    (models.nature_dqn(action_size=6), 1_687_206),
]


def shapes_of(module):
    if getattr(module, "scan_layers", None) is False:
        module = module.clone(scan_layers=True)  # The same number, and traced once.
    return jax.eval_shape(models.functional(module).init, jax.random.key(0))


def count(shapes, collection="params"):
    return sum(leaf.size for leaf in jax.tree.leaves(shapes.get(collection, {})))


FIRST = {}  # Of each family and type of module; the rest under `slow`.
for _entry in ZOO.values():
    FIRST.setdefault((_entry.family, type(_entry.constructor())), _entry.name)


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(
            entry,
            id=entry.name,
            marks=[] if entry.name in FIRST.values() else pytest.mark.slow,
        )
        for entry in ZOO.values()
    ],
)
@pytest.mark.some(10)
def test_models_have_the_published_number_of_parameters(entry):
    shapes = shapes_of(entry.constructor())
    assert count(shapes) == entry.parameters
    statistics = count(shapes, "batch_stats")
    assert STATISTICS.get(entry.name, statistics) == statistics


# One of each option by default.
SAME = (
    *(models.wrn28_10(num_classes=100), models.nielsen_deep(4)),
    *(models.unet(input_shape=(572, 572, 3)), models.unet(num_classes=1)),
    *(models.transformer_big(vocab_size=32_000), models.vit_s16(pool="mean")),
    *(models.vit_b16(pool="mean"), models.dcgan_discriminator(width=128)),
    models.vit_s16(pool="mean", positions="sincos2d"),
)


@pytest.mark.parametrize(
    "module, parameters",
    [
        pytest.param(*case, marks=[pytest.mark.slow] * (case[0] in SAME))
        for case in VARIANTS
    ],
    ids=lambda x: str(x)[:30],
)
@pytest.mark.some(6)
def test_variants_do_too(module, parameters):
    assert count(shapes_of(module)) == parameters
