"""What policies are read out by: the parameters of a distribution of actions."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from flax.typing import Initializer
from jax.typing import DTypeLike

from fdl.models.layers.orthogonal import orthogonal
from fdl.models.rl.encoders import uniform
from fdl.types import Array

Head = Callable[..., nn.Module]  # Called as `head(action_size, name=...)`.

# Policies start nearly the same everywhere (Engstrom et al., 2020).
_small = orthogonal(0.01)


class GaussianParams(NamedTuple):
    """Parameters of a normal distribution without correlations.

    Attributes:
      mean: float [B, A].
      log_std: Logarithms of the standard deviations, float [B, A].
    """

    mean: Array
    log_std: Array


class CategoricalHead(nn.Module):
    """Logits of discrete actions.

    Attributes:
      action_size: How many actions there are.
      kernel_init: Makes the first kernel.
      dtype: What is computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.
    """

    action_size: int
    kernel_init: Initializer = _small
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps features [B, D] to logits, float [B, action_size]."""
        options: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        options["kernel_init"] = self.kernel_init
        return nn.Dense(self.action_size, name="logits", **options)(x)


class GaussianHead(nn.Module):
    """Means that depend on the observation, and deviations that do not: as for PPO.

    Attributes:
      action_size: Numbers that an action has.
      initial_log_std: Logarithm of the standard deviations to begin with.
      kernel_init: Makes the first kernel.
      dtype: What is computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.

    References:
      Schulman et al., `Trust Region Policy Optimization
      <https://arxiv.org/abs/1502.05477>`_, 2015, appendix D.
    """

    action_size: int
    initial_log_std: float = 0.0
    kernel_init: Initializer = _small
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: Array) -> GaussianParams:
        """Maps features [B, D] to means and deviations, float [B, action_size]."""
        options: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        options["kernel_init"] = self.kernel_init
        mean = nn.Dense(self.action_size, name="mean", **options)(x)
        initial = nn.initializers.constant(self.initial_log_std)
        size = (self.action_size,)
        log_std = self.param("log_std", initial, size, self.param_dtype)
        return GaussianParams(
            mean, jnp.broadcast_to(log_std.astype(mean.dtype), mean.shape)
        )


class SquashedGaussianHead(nn.Module):
    """Means and deviations that both depend on the observation: as for SAC.

    They are those of the action before it is squashed between -1 and 1: the tanh is the
    distribution's.

    Attributes:
      action_size: Numbers that an action has.
      min_log_std: Logarithm of the smallest standard deviation.
      max_log_std: Logarithm of the largest.
      kernel_init: Makes the first kernels; by default like Torch.
      dtype: What is computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.

    References:
      Haarnoja et al., `Soft Actor-Critic Algorithms and Applications
      <https://arxiv.org/abs/1812.05905>`_, 2018.
    """

    action_size: int
    min_log_std: float = -20.0
    max_log_std: float = 2.0
    kernel_init: Initializer = uniform
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: Array) -> GaussianParams:
        """Maps features [B, D] to means and deviations, float [B, action_size]."""
        options: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        options["kernel_init"] = self.kernel_init
        mean = nn.Dense(self.action_size, name="mean", **options)(x)
        log_std = nn.Dense(self.action_size, name="log_std", **options)(x)
        log_std = jnp.clip(log_std, min=self.min_log_std, max=self.max_log_std)
        return GaussianParams(mean, log_std)


class DeterministicHead(nn.Module):
    """Actions themselves, each number between -1 and 1: as for DDPG and TD3.

    Attributes:
      action_size: Numbers that an action has.
      kernel_init: Makes the first kernel; by default like Torch.
      dtype: What is computed in; that of inputs and parameters where None.
      param_dtype: What parameters are stored in.

    References:
      Lillicrap et al., `Continuous Control with Deep Reinforcement Learning
      <https://arxiv.org/abs/1509.02971>`_, 2015.
    """

    action_size: int
    kernel_init: Initializer = uniform
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """Maps features [B, D] to actions, float [B, action_size]."""
        options: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        options["kernel_init"] = self.kernel_init
        return nn.tanh(nn.Dense(self.action_size, name="action", **options)(x))
