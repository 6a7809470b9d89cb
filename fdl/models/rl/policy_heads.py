"""Policy heads: parameters of a distribution of actions, or actions."""

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from flax.typing import Initializer
from jax.typing import DTypeLike

from fdl.models.layers.orthogonal import orthogonal
from fdl.models.rl.encoders import uniform
from fdl.types import Array

# Constructor of a head, called as `head(action_size, name=...)`.
Head = Callable[..., nn.Module]

# With a small last layer, the initial policy hardly depends on the observation, which
# helps exploration (Engstrom et al., 2020).
_small = orthogonal(0.01)


class GaussianParams(NamedTuple):
    """Parameters of a normal distribution with a diagonal covariance.

    Attributes:
      mean: Means, float [B, A].
      log_std: Logarithms of the standard deviations, float [B, A].
    """

    mean: Array
    log_std: Array


class BetaParams(NamedTuple):
    """Parameters of independent beta distributions.

    Attributes:
      alpha: α, float [B, A], above one.
      beta: β, float [B, A], above one.
    """

    alpha: Array
    beta: Array


class CategoricalHead(nn.Module):
    """Categorical policy head: logits of discrete actions.

    Attributes:
      action_size: Number of actions, A.
      kernel_init: Initialiser of the kernel.
      dtype: Dtype of the computation; that of inputs and parameters where None.
      param_dtype: Dtype of the parameters.
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
    """Gaussian policy head with state-independent standard deviations, as in PPO.

    Attributes:
      action_size: Dimension of the action space, A.
      initial_log_std: Initial logarithm of the standard deviations.
      kernel_init: Initialiser of the kernel of the means.
      dtype: Dtype of the computation; that of inputs and parameters where None.
      param_dtype: Dtype of the parameters.

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
        """Maps features [B, D] to means and log stds, float [B, action_size]."""
        options: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        options["kernel_init"] = self.kernel_init
        mean = nn.Dense(self.action_size, name="mean", **options)(x)
        initial = nn.initializers.constant(self.initial_log_std)
        size = (self.action_size,)
        # A parameter without input: the same deviations for all observations.
        log_std = self.param("log_std", initial, size, self.param_dtype)
        return GaussianParams(
            mean, jnp.broadcast_to(log_std.astype(mean.dtype), mean.shape)
        )


class SquashedGaussianHead(nn.Module):
    """Gaussian policy head with state-dependent standard deviations, as in SAC.

    The parameters are those of the action before it is squashed to (-1, 1): the tanh is
    part of the distribution.

    Attributes:
      action_size: Dimension of the action space, A.
      min_log_std: Lower bound of the logarithm of the standard deviations.
      max_log_std: Upper bound of the logarithm of the standard deviations.
      kernel_init: Initialiser of the kernels; PyTorch's default by default.
      dtype: Dtype of the computation; that of inputs and parameters where None.
      param_dtype: Dtype of the parameters.

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
        """Maps features [B, D] to means and log stds, float [B, action_size]."""
        options: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        options["kernel_init"] = self.kernel_init
        mean = nn.Dense(self.action_size, name="mean", **options)(x)
        log_std = nn.Dense(self.action_size, name="log_std", **options)(x)
        # Unbounded deviations would overflow, or make log-likelihoods infinite.
        log_std = jnp.clip(log_std, min=self.min_log_std, max=self.max_log_std)
        return GaussianParams(mean, log_std)


class BetaHead(nn.Module):
    """Beta policy head: α and β above one, so that the density has a single peak.

    Attributes:
      action_size: Dimension of the action space, A.
      kernel_init: Initialiser of the kernels.
      dtype: Dtype of the computation; that of inputs and parameters where None.
      param_dtype: Dtype of the parameters.

    References:
      Chou, Maturana and Scherer, `Improving Stochastic Policy Gradients in Continuous
      Control with Deep Reinforcement Learning using the Beta Distribution
      <https://proceedings.mlr.press/v70/chou17a.html>`_, 2017.
    """

    action_size: int
    kernel_init: Initializer = _small
    dtype: DTypeLike | None = None
    param_dtype: DTypeLike = "float32"

    @nn.compact
    def __call__(self, x: Array) -> BetaParams:
        """Maps features [B, D] to α and β, float [B, action_size]."""
        options: Any = {"dtype": self.dtype, "param_dtype": self.param_dtype}
        options["kernel_init"] = self.kernel_init
        alpha = nn.Dense(self.action_size, name="alpha", **options)(x)
        beta = nn.Dense(self.action_size, name="beta", **options)(x)
        return BetaParams(1 + nn.softplus(alpha), 1 + nn.softplus(beta))


class DeterministicHead(nn.Module):
    """Deterministic policy head: actions in (-1, 1), as in DDPG and TD3.

    Attributes:
      action_size: Dimension of the action space, A.
      kernel_init: Initialiser of the kernel; PyTorch's default by default.
      dtype: Dtype of the computation; that of inputs and parameters where None.
      param_dtype: Dtype of the parameters.

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
