"""The model zoo: flax modules, their published sizes, and `functional`."""

from fdl.models.cnn import CNN
from fdl.models.combine import combine
from fdl.models.copies import with_copies
from fdl.models.features import features
from fdl.models.functional import functional
from fdl.models.generative.autoencoder import (
    Autoencoder,
    conv_autoencoder,
    deep_autoencoder,
)
from fdl.models.generative.dcgan import (
    DCGANDiscriminator,
    DCGANGenerator,
    dcgan_discriminator,
    dcgan_generator,
)
from fdl.models.generative.ddpm_unet import DDPMUNet, ddpm_256, ddpm_cifar10
from fdl.models.generative.gaussian_mixture import GaussianMixture
from fdl.models.generative.logit_flow import LogitFlow
from fdl.models.generative.pixel_transformer import (
    PixelTransformer,
    pixel_transformer,
)
from fdl.models.generative.pixelcnn import PixelCNN, pixelcnn
from fdl.models.generative.rbm import RBM, rbm_mnist
from fdl.models.generative.realnvp import RealNVP, realnvp
from fdl.models.generative.vae import VAE, VAEOutput, conv_vae, vae_mnist
from fdl.models.generative.vqvae import VQVAE, VQVAEOutput, vqvae
from fdl.models.initialised import initialised
from fdl.models.language.bert import BERT, bert_base, bert_large, bert_tiny
from fdl.models.language.bert_pretraining import BERTPretraining, bert_base_pretraining
from fdl.models.language.gpt import (
    GPT,
    gpt2_large,
    gpt2_medium,
    gpt2_small,
    gpt2_xl,
    nanogpt_124m,
    nanogpt_baby,
    nanogpt_char,
)
from fdl.models.language.llama import (
    Llama,
    llama2_7b,
    llama3_8b,
    stories15m,
    stories42m,
    stories110m,
    tinyllama_1b,
)
from fdl.models.language.rnn_classifier import RNNClassifier, RNNEncoder
from fdl.models.language.rnn_lm import (
    RNNLanguageModel,
    zaremba_large,
    zaremba_medium,
    zaremba_small,
)
from fdl.models.language.seq2seq import Seq2Seq, rnnsearch
from fdl.models.language.text_cnn import TextCNN, kim_cnn
from fdl.models.language.transformer import (
    Transformer,
    transformer_base,
    transformer_big,
)
from fdl.models.layers.attention import Attention
from fdl.models.layers.image_tokens import patchify, resize_positions, unpatchify
from fdl.models.layers.layer_stack import stack_layers, unstack_layers
from fdl.models.layers.masks import (
    causal_mask,
    mask_positions,
    padding_mask,
    segment_mask,
    segment_positions,
)
from fdl.models.layers.noisy_dense import NoisyDense
from fdl.models.layers.recurrent_core import RecurrentCore
from fdl.models.layers.transformer_block import FeedForward, TransformerBlock
from fdl.models.lora import lora, merge_lora
from fdl.models.mlp import MLP, linear
from fdl.models.pretrained import load, save
from fdl.models.pretrained.peft import load_adapters
from fdl.models.pretrained.peft_save import save_adapters
from fdl.models.published import (
    Published,
    from_folder,
    from_hub,
    from_source,
    to_folder,
)
from fdl.models.rl.actor import Actor, Critic, sac_actor, td3_actor, twin_critic
from fdl.models.rl.actor_critic import ActorCritic, atari_ppo, cartpole_ppo, mujoco_ppo
from fdl.models.rl.encoders import ConvEncoder, minatar_encoder, nature_encoder
from fdl.models.rl.policy_heads import (
    BetaHead,
    BetaParams,
    CategoricalHead,
    DeterministicHead,
    GaussianHead,
    GaussianParams,
    SquashedGaussianHead,
)
from fdl.models.rl.q_network import (
    QNetwork,
    c51,
    cartpole_dqn,
    dueling_dqn,
    minatar_dqn,
    nature_dqn,
    qr_dqn,
)
from fdl.models.rl.recurrent_actor_critic import RecurrentActorCritic, atari_lstm_ppo
from fdl.models.rnn import RNN, elman, gru, lstm
from fdl.models.scalar import scalar
from fdl.models.stateful import stateful
from fdl.models.vision.alexnet import AlexNet, alexnet, alexnet_one_tower
from fdl.models.vision.cifar_resnet import (
    resnet20,
    resnet32,
    resnet44,
    resnet56,
    resnet110,
)
from fdl.models.vision.convnext import ConvNeXt, convnext_b, convnext_s, convnext_t
from fdl.models.vision.densenet import DenseNet, densenet121
from fdl.models.vision.efficientnet import EfficientNet, efficientnet_b0
from fdl.models.vision.lenet import LeNet1998, lenet5, lenet5_1998
from fdl.models.vision.mae import MAE, mae_vit_b16, mae_vit_l16
from fdl.models.vision.mlp_mixer import (
    MLPMixer,
    mixer_b16,
    mixer_l16,
    mixer_s16,
    mixer_s32,
)
from fdl.models.vision.mobilenet import MobileNetV2, mobilenet_v2
from fdl.models.vision.nielsen import (
    nielsen_conv1,
    nielsen_conv1_only,
    nielsen_conv2,
    nielsen_conv2_dropout,
    nielsen_conv2_two_hidden,
    nielsen_deep,
    nielsen_shallow,
)
from fdl.models.vision.resnet import (
    ResNet,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
)
from fdl.models.vision.resnext import resnext50_32x4d
from fdl.models.vision.simclr import ProjectionHead, SimCLR, simclr_resnet50
from fdl.models.vision.unet import UNet, unet
from fdl.models.vision.vgg import (
    VGG,
    vgg11,
    vgg11_bn,
    vgg13,
    vgg13_bn,
    vgg16,
    vgg16_bn,
    vgg19,
    vgg19_bn,
)
from fdl.models.vision.vit import ViT, vit_b16, vit_b32, vit_l16, vit_s16, vit_ti16
from fdl.models.vision.wide_resnet import (
    WideResNet,
    wide_resnet50_2,
    wrn16_4,
    wrn16_8,
    wrn28_10,
    wrn40_2,
    wrn40_4,
)

__all__ = [
    "BERT",
    "CNN",
    "GPT",
    "MAE",
    "MLP",
    "RBM",
    "RNN",
    "VAE",
    "VGG",
    "VQVAE",
    "Actor",
    "ActorCritic",
    "AlexNet",
    "Attention",
    "Autoencoder",
    "BERTPretraining",
    "BetaHead",
    "BetaParams",
    "CategoricalHead",
    "ConvEncoder",
    "ConvNeXt",
    "Critic",
    "DCGANDiscriminator",
    "DCGANGenerator",
    "DDPMUNet",
    "DenseNet",
    "DeterministicHead",
    "EfficientNet",
    "FeedForward",
    "GaussianHead",
    "GaussianMixture",
    "GaussianParams",
    "LeNet1998",
    "Llama",
    "LogitFlow",
    "MLPMixer",
    "MobileNetV2",
    "NoisyDense",
    "PixelCNN",
    "PixelTransformer",
    "ProjectionHead",
    "Published",
    "QNetwork",
    "RNNClassifier",
    "RNNEncoder",
    "RNNLanguageModel",
    "RealNVP",
    "RecurrentActorCritic",
    "RecurrentCore",
    "ResNet",
    "Seq2Seq",
    "SimCLR",
    "SquashedGaussianHead",
    "TextCNN",
    "Transformer",
    "TransformerBlock",
    "UNet",
    "VAEOutput",
    "VQVAEOutput",
    "ViT",
    "WideResNet",
    "alexnet",
    "alexnet_one_tower",
    "atari_lstm_ppo",
    "atari_ppo",
    "bert_base",
    "bert_base_pretraining",
    "bert_large",
    "bert_tiny",
    "c51",
    "cartpole_dqn",
    "cartpole_ppo",
    "causal_mask",
    "combine",
    "conv_autoencoder",
    "conv_vae",
    "convnext_b",
    "convnext_s",
    "convnext_t",
    "dcgan_discriminator",
    "dcgan_generator",
    "ddpm_256",
    "ddpm_cifar10",
    "deep_autoencoder",
    "densenet121",
    "dueling_dqn",
    "efficientnet_b0",
    "elman",
    "features",
    "from_folder",
    "from_hub",
    "from_source",
    "functional",
    "gpt2_large",
    "gpt2_medium",
    "gpt2_small",
    "gpt2_xl",
    "gru",
    "initialised",
    "kim_cnn",
    "lenet5",
    "lenet5_1998",
    "linear",
    "llama2_7b",
    "llama3_8b",
    "load",
    "load_adapters",
    "lora",
    "lstm",
    "mae_vit_b16",
    "mae_vit_l16",
    "mask_positions",
    "merge_lora",
    "minatar_dqn",
    "minatar_encoder",
    "mixer_b16",
    "mixer_l16",
    "mixer_s16",
    "mixer_s32",
    "mobilenet_v2",
    "mujoco_ppo",
    "nanogpt_124m",
    "nanogpt_baby",
    "nanogpt_char",
    "nature_dqn",
    "nature_encoder",
    "nielsen_conv1",
    "nielsen_conv1_only",
    "nielsen_conv2",
    "nielsen_conv2_dropout",
    "nielsen_conv2_two_hidden",
    "nielsen_deep",
    "nielsen_shallow",
    "padding_mask",
    "patchify",
    "pixel_transformer",
    "pixelcnn",
    "qr_dqn",
    "rbm_mnist",
    "realnvp",
    "resize_positions",
    "resnet18",
    "resnet20",
    "resnet32",
    "resnet34",
    "resnet44",
    "resnet50",
    "resnet56",
    "resnet101",
    "resnet110",
    "resnet152",
    "resnext50_32x4d",
    "rnnsearch",
    "sac_actor",
    "save",
    "save_adapters",
    "scalar",
    "segment_mask",
    "segment_positions",
    "simclr_resnet50",
    "stack_layers",
    "stateful",
    "stories15m",
    "stories42m",
    "stories110m",
    "td3_actor",
    "tinyllama_1b",
    "to_folder",
    "transformer_base",
    "transformer_big",
    "twin_critic",
    "unet",
    "unpatchify",
    "unstack_layers",
    "vae_mnist",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
    "vit_b16",
    "vit_b32",
    "vit_l16",
    "vit_s16",
    "vit_ti16",
    "vqvae",
    "wide_resnet50_2",
    "with_copies",
    "wrn16_4",
    "wrn16_8",
    "wrn28_10",
    "wrn40_2",
    "wrn40_4",
    "zaremba_large",
    "zaremba_medium",
    "zaremba_small",
]


def __getattr__(name: str):
    from fdl.models.catalog import PUBLISHED_NAMES  # It imports this module.

    if name == "PUBLISHED_NAMES":
        return PUBLISHED_NAMES
    ours = PUBLISHED_NAMES.get(name)
    hint = f": it is called {ours!r} here" if ours else ""
    raise AttributeError(f"module 'fdl.models' has no attribute {name!r}{hint}")
