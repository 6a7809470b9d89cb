"""Estimators of returns and advantages of rollouts, [T, ...].

All take the rewards, the values of the observations after them, before any reset, and
where episodes terminated and were truncated. A terminated episode is worth nothing from
then on. A truncated one goes on unseen, and so does the one that the end of the rollout
interrupts: the rest of their return is bootstrapped from the value after the last step.
"""

from fdl.rl.returns.gae import gae
from fdl.rl.returns.off_policy import retrace, vtrace
from fdl.rl.returns.on_policy import discounted_returns, lambda_returns, n_step_returns

__all__ = [
    "discounted_returns",
    "gae",
    "lambda_returns",
    "n_step_returns",
    "retrace",
    "vtrace",
]
