import itertools

import jax
import numpy as np
import pytest

from fdl import losses
from fdl.errors import UserError

PROGRAMS = 20

LOGITS = np.random.default_rng(0).normal(size=(30, 6, 3)).astype(np.float32)
LENGTHS = np.arange(30) % 7


@pytest.mark.parametrize("blank", [0, 2])
def test_repetitions_are_merged_and_blanks_dropped(blank):
    mask = np.arange(6) < LENGTHS[:, None]
    decode = jax.jit(lambda x, mask: losses.ctc_greedy(x, mask=mask, blank=blank))
    labels, present = jax.device_get(decode(LOGITS, mask))
    for row, frames, found, there in zip(LOGITS, LENGTHS, labels, present, strict=True):
        merged = [label for label, _ in itertools.groupby(row.argmax(-1)[:frames])]
        expected = [label for label in merged if label != blank]
        assert found[there].tolist() == expected
        np.testing.assert_array_equal(there, np.arange(6) < len(expected))
        assert (found[~there] == blank).all()


def test_frames_have_logits():
    with pytest.raises(UserError, match=r"logits of float32\[6, 3\]: expected float\["):
        losses.ctc_greedy(LOGITS[0])
