"""Parameters of every model that has a published count: exact, and by shapes only."""

import jax
import pytest

from fdl import models
from fdl.models import catalog

FEEDFORWARD = [
    (models.linear(10), 7_850),
    (models.nielsen_shallow(30), 23_860),
    (models.nielsen_shallow(100), 79_510),
    (models.nielsen_deep(2), 24_790),
    (models.nielsen_deep(3), 25_720),
    (models.nielsen_deep(4), 26_650),
    (models.mixer_s32(), 19_104_624),
    (models.mixer_s16(), 18_528_264),
    (models.mixer_b16(), 59_880_472),
    (models.mixer_l16(), 208_196_168),
]
CONVOLUTIONAL = [
    (models.nielsen_conv1_only(), 29_330),
    (models.nielsen_conv1(), 289_630),
    (models.nielsen_conv2(), 85_670),
    (models.nielsen_conv2_two_hidden(), 95_770),
    (models.nielsen_conv2_dropout(), 1_672_570),
    (models.CNN((32, 64), (64,), 10, input_shape=(8, 8, 1)), 35_914),
    (models.lenet5(), 61_706),
    (models.lenet5_1998(), 60_000),
    (models.alexnet(), 60_965_224),
    (models.alexnet(towers=1), 62_378_344),
    (models.alexnet_one_tower(), 61_100_840),
    (models.vgg11(), 132_863_336),
    (models.vgg13(), 133_047_848),
    (models.vgg16(), 138_357_544),
    (models.vgg16_bn(), 138_365_992, 8_448),
    (models.vgg19(), 143_667_240),
    (models.resnet18(), 11_689_512, 9_600),
    (models.resnet34(), 21_797_672, 17_024),
    (models.resnet50(), 25_557_032, 53_120),
    (models.resnet101(), 44_549_160, 105_344),
    (models.resnet152(), 60_192_808, 151_424),
    (models.resnext50_32x4d(), 25_028_904, 68_224),
    (models.wide_resnet50_2(), 68_883_240, 68_224),
    (models.resnet20(), 269_722, 1_376),
    (models.resnet20(projection=True), 272_474, 1_568),
    (models.resnet32(), 464_154, 2_272),
    (models.resnet44(), 658_586, 3_168),
    (models.resnet56(), 853_018, 4_064),
    (models.resnet110(), 1_727_962, 8_096),
    (models.wrn16_4(), 2_748_890, None),
    (models.wrn16_8(), 10_961_370, None),
    (models.wrn40_2(), 2_243_546, None),
    (models.wrn40_4(), 8_949_210, None),
    (models.wrn28_10(), 36_479_194, 17_952),
    (models.wrn28_10(num_classes=100), 36_536_884, 17_952),
    (models.densenet121(), 7_978_856, None),
    (models.mobilenet_v2(), 3_504_872, 34_112),
    (models.efficientnet_b0(), 5_288_548, None),
    (models.convnext_t(), 28_589_128),
    (models.convnext_s(), 50_223_688),
    (models.convnext_b(), 88_591_464),
    (models.unet(), 31_030_658),
    (models.unet(num_classes=1), 31_030_593),
    (models.unet(input_shape=(572, 572, 3), num_classes=1), 31_031_745),
    (models.unet(input_shape=(572, 572, 3)), 31_031_810),
]
RECURRENT = [  # One bias for each sum, where PyTorch has two.
    (models.elman(20, input_shape=(5, 10)), 20 * (10 + 20 + 1)),
    (models.gru(20, input_shape=(5, 10)), 3 * 20 * (10 + 20 + 1) + 20),
    (models.lstm(20, input_shape=(5, 10)), 4 * 20 * (10 + 20 + 1)),
]
TRANSFORMERS = [
    (models.transformer_base(), 63_082_496),
    (models.transformer_base(vocab_size=32_000), 60_522_496),
    (models.transformer_big(), 214_245_376),
    (models.transformer_big(vocab_size=32_000), 209_125_376),
    (models.gpt2_small(), 124_439_808),
    (models.gpt2_medium(), 354_823_168),
    (models.gpt2_large(), 774_030_080),
    (models.gpt2_xl(), 1_557_611_200),
    (models.nanogpt_char(), 10_745_088),
    (models.nanogpt_baby(), 804_096),
    (models.nanogpt_124m(), 124_373_760),
    (models.llama2_7b(), 6_738_415_616),
    (models.tinyllama_1b(), 1_100_048_384),
    (models.llama3_8b(), 8_030_261_248),
    (models.stories15m(), 15_191_712),
    (models.stories42m(), 41_689_600),
    (models.stories110m(), 109_529_856),
    (models.bert_tiny(), 4_385_920),
    (models.bert_base(), 109_482_240),
    (models.bert_large(), 335_141_888),
    (models.bert_base_pretraining(), 110_106_428),
    (models.bert_base_pretraining(pool="none", num_classes=None), 109_514_298),
    (models.vit_ti16(), 5_717_416),
    (models.vit_s16(), 22_050_664),
    (models.vit_b16(), 86_567_656),
    (models.vit_b32(), 88_224_232),
    (models.vit_l16(), 304_326_632),
    (models.vit_ti16(pool="mean"), 5_717_032),
    (models.vit_s16(pool="mean"), 22_049_896),
    (models.vit_b16(pool="mean"), 86_566_120),
    (models.vit_s16(pool="mean", positions="sincos2d"), 21_974_632),
    (
        models.vit_s16(pool="mean", positions="sincos2d", representation_size=384),
        22_122_472,
    ),
    # The published 111,907,840 has 252,160 positions that are not learned.
    (models.mae_vit_b16(), 111_655_680),
]
GENERATIVE = [
    (models.deep_autoencoder(), 2_837_314),
    (models.vae_mnist(hidden_sizes=(400,)), 652_824),
    (models.vae_mnist(), 815_824),
    (models.dcgan_generator(), 3_576_704, 1_920),
    (models.dcgan_discriminator(), 2_765_568, 1_792),
    (models.dcgan_generator(width=128), 12_658_432, None),
    (models.dcgan_discriminator(width=128), 11_036_160, None),
    (models.ddpm_cifar10(), 35_746_307),
    (models.ddpm_256(), 113_673_219),
    (models.simclr_resnet50(), 23_508_032 + 4_458_624, None),
    (models.simclr_resnet50(batch_norm=True), 23_508_032 + 4_460_800, None),
]
CONTROL = [
    (models.cartpole_ppo(), 9_155),
    (models.cartpole_dqn(), 4_610),
    (models.nature_dqn(action_size=18), 1_693_362),
    (models.nature_dqn(action_size=6), 1_687_206),
    (models.minatar_dqn(), 132_566),
]
MODELS = FEEDFORWARD + CONVOLUTIONAL + RECURRENT + TRANSFORMERS + GENERATIVE + CONTROL


def name(row):
    return f"{type(row[0]).__name__}-{row[1]}"


def shapes_of(module):
    if getattr(module, "scan_layers", None) is False:
        module = module.clone(scan_layers=True)  # The same number, and traced once.
    return jax.eval_shape(models.functional(module).init, jax.random.key(0))


def count(shapes, collection="params"):
    return sum(leaf.size for leaf in jax.tree.leaves(shapes.get(collection, {})))


@pytest.mark.parametrize("row", MODELS, ids=name)
def test_models_have_the_published_number_of_parameters(row):
    module, params, *statistics = row
    shapes = shapes_of(module)
    assert count(shapes) == params
    if statistics != [None]:  # Published for some only.
        assert count(shapes, "batch_stats") == (statistics or [0])[0]


@pytest.mark.parametrize("size", catalog.zoo().items(), ids=lambda size: size[0])
def test_docstrings_state_the_number_of_parameters(size):
    _, make = size
    module = make()
    published = [params for other, params, *_ in MODELS if other == module]
    expected = published[0] if published else count(shapes_of(module))
    assert catalog.parameters(make) == expected
