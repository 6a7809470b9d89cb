"""Catalogue of the model zoo: sizes, parameter counts, papers and published names."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from fdl import models
from fdl.models.catalog import papers
from fdl.models.catalog.papers import Paper


class Entry(NamedTuple):
    """Model of the zoo.

    Attributes:
      constructor: Public function of `fdl.models` whose arguments are all optional.
      parameters: Number of parameters.
      paper: Publication of the model.
      published_names: Names in torchvision, timm or transformers, where they differ.
    """

    constructor: Callable[..., Any]
    parameters: int
    paper: Paper
    published_names: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name in `fdl.models`."""
        return self.constructor.__name__

    @property
    def family(self) -> str:
        """Family: the name of the file of its constructor."""
        return self.constructor.__module__.rpartition(".")[2]

    def example(self) -> tuple[jax.ShapeDtypeStruct, ...]:
        """Shapes and dtypes of example inputs, of a batch of one."""
        return self.constructor().example()

    def formats(self) -> tuple[str, ...]:
        """Formats of published weights that `fdl.models.load` reads."""
        return tuple(getattr(self.constructor(), "checkpoints", dict)())


_ENTRIES = (  # By family, and from small to large.
    Entry(models.td3_actor, 71_942, papers.TD3),
    Entry(models.sac_actor, 73_484, papers.SAC),
    Entry(models.twin_critic, 144_386, papers.TD3),
    Entry(models.cartpole_ppo, 9_155, papers.PPO),
    Entry(models.mujoco_ppo, 11_085, papers.PPO),
    Entry(models.atari_ppo, 1_693_875, papers.PPO),
    Entry(models.alexnet, 60_965_224, papers.ALEXNET),
    Entry(models.alexnet_one_tower, 61_100_840, papers.ALEXNET_ONE_TOWER),
    Entry(models.conv_autoencoder, 270_561, papers.AUTOENCODER),
    Entry(models.deep_autoencoder, 2_837_314, papers.AUTOENCODER),
    Entry(models.bert_tiny, 4_385_920, papers.BERT_TINY),
    Entry(models.bert_base, 109_482_240, papers.BERT),
    Entry(models.bert_large, 335_141_888, papers.BERT),
    Entry(models.bert_base_pretraining, 110_106_428, papers.BERT),
    Entry(models.resnet20, 269_722, papers.RESNET),
    Entry(models.resnet32, 464_154, papers.RESNET),
    Entry(models.resnet44, 658_586, papers.RESNET),
    Entry(models.resnet56, 853_018, papers.RESNET),
    Entry(models.resnet110, 1_727_962, papers.RESNET),
    Entry(models.convnext_t, 28_589_128, papers.CONVNEXT, ("convnext_tiny",)),
    Entry(models.convnext_s, 50_223_688, papers.CONVNEXT, ("convnext_small",)),
    Entry(models.convnext_b, 88_591_464, papers.CONVNEXT, ("convnext_base",)),
    Entry(models.dcgan_discriminator, 2_765_568, papers.DCGAN),
    Entry(models.dcgan_generator, 3_576_704, papers.DCGAN),
    Entry(models.ddpm_cifar10, 35_746_307, papers.DDPM),
    Entry(models.ddpm_256, 113_673_219, papers.DDPM),
    Entry(models.densenet121, 7_978_856, papers.DENSENET),
    Entry(models.efficientnet_b0, 5_288_548, papers.EFFICIENTNET),
    Entry(models.minatar_encoder, 592, papers.MINATAR),
    Entry(models.nature_encoder, 77_984, papers.DQN),
    Entry(models.nanogpt_baby, 804_096, papers.NANOGPT),
    Entry(models.nanogpt_char, 10_745_088, papers.NANOGPT),
    Entry(models.nanogpt_124m, 124_373_760, papers.NANOGPT),
    Entry(models.gpt2_small, 124_439_808, papers.GPT2, ("gpt2",)),
    Entry(models.gpt2_medium, 354_823_168, papers.GPT2),
    Entry(models.gpt2_large, 774_030_080, papers.GPT2),
    Entry(models.gpt2_xl, 1_557_611_200, papers.GPT2),
    Entry(models.lenet5_1998, 60_000, papers.LENET5),
    Entry(models.lenet5, 61_706, papers.LENET5),
    Entry(models.stories15m, 15_191_712, papers.LLAMA2_C),
    Entry(models.stories42m, 41_689_600, papers.LLAMA2_C),
    Entry(models.stories110m, 109_529_856, papers.LLAMA2_C),
    Entry(models.tinyllama_1b, 1_100_048_384, papers.TINYLLAMA),
    Entry(models.llama2_7b, 6_738_415_616, papers.LLAMA2),
    Entry(models.llama3_8b, 8_030_261_248, papers.LLAMA3),
    Entry(models.mae_vit_b16, 111_655_680, papers.MAE),
    Entry(models.mae_vit_l16, 329_239_296, papers.MAE),
    Entry(models.mixer_s16, 18_528_264, papers.MIXER, ("mixer_s16_224",)),
    Entry(models.mixer_s32, 19_104_624, papers.MIXER, ("mixer_s32_224",)),
    Entry(models.mixer_b16, 59_880_472, papers.MIXER, ("mixer_b16_224",)),
    Entry(models.mixer_l16, 208_196_168, papers.MIXER, ("mixer_l16_224",)),
    Entry(models.mobilenet_v2, 3_504_872, papers.MOBILENET_V2, ("mobilenetv2_100",)),
    Entry(models.nielsen_shallow, 23_860, papers.NIELSEN),
    Entry(models.nielsen_deep, 24_790, papers.NIELSEN),
    Entry(models.nielsen_conv1_only, 29_330, papers.NIELSEN),
    Entry(models.nielsen_conv2, 85_670, papers.NIELSEN),
    Entry(models.nielsen_conv2_two_hidden, 95_770, papers.NIELSEN),
    Entry(models.nielsen_conv1, 289_630, papers.NIELSEN),
    Entry(models.nielsen_conv2_dropout, 1_672_570, papers.NIELSEN),
    Entry(models.pixel_transformer, 894_080, papers.PIXEL_TRANSFORMER),
    Entry(models.pixelcnn, 200_386, papers.PIXELCNN),
    Entry(models.cartpole_dqn, 4_610, papers.DQN),
    Entry(models.minatar_dqn, 132_566, papers.MINATAR),
    Entry(models.nature_dqn, 1_693_362, papers.DQN),
    Entry(models.c51, 2_155_062, papers.C51),
    Entry(models.dueling_dqn, 3_300_019, papers.DUELING_DQN),
    Entry(models.qr_dqn, 3_530_928, papers.QR_DQN),
    Entry(models.rbm_mnist, 393_284, papers.RBM),
    Entry(models.realnvp, 804_888, papers.REALNVP),
    Entry(models.atari_lstm_ppo, 2_008_627, papers.DRQN),
    Entry(models.resnet18, 11_689_512, papers.RESNET),
    Entry(models.resnet34, 21_797_672, papers.RESNET),
    Entry(models.resnet50, 25_557_032, papers.RESNET),
    Entry(models.resnet101, 44_549_160, papers.RESNET),
    Entry(models.resnet152, 60_192_808, papers.RESNET),
    Entry(models.resnext50_32x4d, 25_028_904, papers.RESNEXT),
    Entry(models.elman, 20_096, papers.ELMAN),
    Entry(models.gru, 60_416, papers.GRU),
    Entry(models.lstm, 80_384, papers.LSTM),
    Entry(models.zaremba_small, 4_651_600, papers.ZAREMBA),
    Entry(models.zaremba_medium, 19_775_200, papers.ZAREMBA),
    Entry(models.zaremba_large, 66_022_000, papers.ZAREMBA),
    Entry(models.rnnsearch, 80_445_000, papers.RNNSEARCH),
    Entry(models.simclr_resnet50, 27_966_656, papers.SIMCLR),
    Entry(models.kim_cnn, 3_239_706, papers.KIM),
    Entry(models.transformer_base, 63_082_496, papers.TRANSFORMER),
    Entry(models.transformer_big, 214_245_376, papers.TRANSFORMER),
    Entry(models.unet, 31_030_658, papers.UNET),
    Entry(models.conv_vae, 258_025, papers.VAE),
    Entry(models.vae_mnist, 815_824, papers.VAE),
    Entry(models.vgg11, 132_863_336, papers.VGG),
    Entry(models.vgg11_bn, 132_868_840, papers.VGG),
    Entry(models.vgg13, 133_047_848, papers.VGG),
    Entry(models.vgg13_bn, 133_053_736, papers.VGG),
    Entry(models.vgg16, 138_357_544, papers.VGG),
    Entry(models.vgg16_bn, 138_365_992, papers.VGG),
    Entry(models.vgg19, 143_667_240, papers.VGG),
    Entry(models.vgg19_bn, 143_678_248, papers.VGG),
    Entry(models.vit_ti16, 5_717_416, papers.DEIT, ("vit_tiny_patch16_224",)),
    Entry(models.vit_s16, 22_050_664, papers.DEIT, ("vit_small_patch16_224",)),
    Entry(models.vit_b16, 86_567_656, papers.VIT, ("vit_b_16", "vit_base_patch16_224")),
    Entry(models.vit_b32, 88_224_232, papers.VIT, ("vit_b_32", "vit_base_patch32_224")),
    Entry(
        models.vit_l16, 304_326_632, papers.VIT, ("vit_l_16", "vit_large_patch16_224")
    ),
    Entry(models.vqvae, 109_969, papers.VQVAE),
    Entry(models.wrn40_2, 2_243_546, papers.WIDE_RESNET),
    Entry(models.wrn16_4, 2_748_890, papers.WIDE_RESNET),
    Entry(models.wrn40_4, 8_949_210, papers.WIDE_RESNET),
    Entry(models.wrn16_8, 10_961_370, papers.WIDE_RESNET),
    Entry(models.wrn28_10, 36_479_194, papers.WIDE_RESNET),
    Entry(models.wide_resnet50_2, 68_883_240, papers.WIDE_RESNET, ("wide_resnet50",)),
)
ZOO = {entry.name: entry for entry in _ENTRIES}
PUBLISHED_NAMES = {  # Theirs: ours.
    theirs: entry.name for entry in ZOO.values() for theirs in entry.published_names
}
