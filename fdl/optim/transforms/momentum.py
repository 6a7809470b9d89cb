"""Gradient descent with momentum: Polyak's and Nesterov's."""

import optax


def momentum(
    learning_rate: optax.ScalarOrSchedule, momentum: float = 0.9
) -> optax.GradientTransformationExtraArgs:
    """Gradient descent with momentum (heavy ball), v ← μv + g, w ← w − ηv.

    As in PyTorch, the gradient is not scaled by 1 − μ, and η scales the velocity.

    Args:
      learning_rate: η, a number or a schedule.
      momentum: μ, the decay of the velocity.

    References:
      Polyak, `Some methods of speeding up the convergence of iteration methods
      <https://doi.org/10.1016/0041-5553(64)90137-5>`_, 1964.
    """
    return optax.sgd(learning_rate, momentum)


def nesterov(
    learning_rate: optax.ScalarOrSchedule, momentum: float = 0.9
) -> optax.GradientTransformationExtraArgs:
    """Gradient descent with Nesterov momentum, v ← μv + g, w ← w − η(g + μv).

    Args:
      learning_rate: η, a number or a schedule.
      momentum: μ, the decay of the velocity.

    References:
      Sutskever et al., `On the importance of initialization and momentum in deep
      learning <https://proceedings.mlr.press/v28/sutskever13.html>`_, 2013.
    """
    return optax.sgd(learning_rate, momentum, nesterov=True)
