"""The model zoo: flax modules, their published sizes, and `pure`."""

from fdl.models.actor_critic import ActorCritic
from fdl.models.autoencoder import Autoencoder
from fdl.models.cnn import CNN, lenet5
from fdl.models.features import features
from fdl.models.mlp import MLP, linear
from fdl.models.pure import pure
from fdl.models.resnet import (
    ResNet,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
)
from fdl.models.stack import stack_layers, unstack_layers

__all__ = [
    "CNN",
    "MLP",
    "ActorCritic",
    "Autoencoder",
    "ResNet",
    "features",
    "lenet5",
    "linear",
    "pure",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "stack_layers",
    "unstack_layers",
]
