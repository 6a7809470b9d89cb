"""The model zoo: flax modules, their published sizes, and `pure`."""

from fdl.models.actor_critic import ActorCritic
from fdl.models.autoencoder import Autoencoder
from fdl.models.cnn import CNN, lenet5
from fdl.models.mlp import MLP, linear
from fdl.models.pure import pure

__all__ = ["CNN", "MLP", "ActorCritic", "Autoencoder", "lenet5", "linear", "pure"]
