"""Parallel streams of a corpus, for truncated backpropagation through time."""

from typing import Any

import numpy as np

from fdl.config import in_range
from fdl.data.text.windows import MAX_BATCH, checked, from_starts
from fdl.errors import UserError
from fdl.types import Batches


def streams(tokens: Any, length: int, batch_size: int) -> Batches:
    """Parallel streams of a corpus, for truncated backpropagation through time.

    The corpus is cut into ``batch_size`` streams of equal length. Row b of a batch has
    the next ``length`` targets of stream b, where the batch before has ended, so that a
    recurrent carry goes on from one batch to the next (`models.stateful`): ``{"tokens":
    int32 [B, length + 1], "reset": bool [B]}``. ``reset`` is true in the first step of
    an epoch, in which each stream begins anew; fewer than ``batch_size · length``
    targets at the end of the corpus are left out.

    Tokens lie on the device or are read ahead; see `windows`.

    Args:
      tokens: Token ids, int [N].
      length: Number of targets of a row: the truncation.
      batch_size: Number of streams.

    Returns:
      Batches without end, in units of tokens: the targets.

    Raises:
      UserError: The tokens are no token ids, or too few of them.

    Example:
      >>> batches = streams(np.arange(10), 2, 2)
      >>> for _, item in zip(range(2), batches.stream(0)):
      ...     batch = batches.take(batches.data, item)
      ...     print(batch["tokens"].tolist(), batch["reset"].tolist())
      [[0, 1, 2], [4, 5, 6]] [True, True]
      [[2, 3, 4], [6, 7, 8]] [False, False]

    References:
      Mikolov et al., `Recurrent Neural Network Based Language Model
      <https://doi.org/10.21437/Interspeech.2010-343>`_, 2010.
      Zaremba, Sutskever and Vinyals, `Recurrent Neural Network Regularization
      <https://arxiv.org/abs/1409.2329>`_, 2014.
    """
    tokens = checked(tokens)
    length = in_range("length", length, 1, len(tokens) - 1)
    batch_size = in_range("batch_size", batch_size, 1, MAX_BATCH)
    steps = (len(tokens) - 1) // (batch_size * length)
    if not steps:
        raise UserError(
            f"batch_size={batch_size}, length={length}: expected at most "
            f"{len(tokens) - 1} targets in a batch, all that {len(tokens)} tokens have"
        )
    begins = np.arange(batch_size) * steps * length

    def item(step: int) -> dict[str, np.ndarray]:
        i = step % steps
        return {"start": begins + i * length, "reset": np.full(batch_size, i == 0)}

    batches = from_starts(tokens, length, item)
    return batches._replace(per_step=batch_size * length, steps_per_epoch=steps)
