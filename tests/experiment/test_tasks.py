import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import experiment
from fdl.errors import UserError
from fdl.types import Model

PROGRAMS = 20

TAGS = np.array([[1, 0, 2, -1], [2, 2, -1, -1]])
# One of five tags is wrong, and so one of two texts.
OUTPUTS = np.eye(3, dtype=np.float32)[np.array([[1, 0, 2, 0], [2, 1, 0, 0]])]
MODEL = Model(lambda key: {"params": {}}, lambda variables, x, **_: (x, {}))


def test_tags_that_are_padding_do_not_count():
    task = experiment.tagging(classes=["noun", "verb", "other"], pad_token=0)
    objective = task.objective(MODEL, inputs="tokens")

    @jax.jit
    def measured(batch):
        _, (_, found) = objective({}, batch)
        return {name: metric.compute() for name, metric in found.items()}

    found = measured({"tokens": jnp.asarray(OUTPUTS), "tags": TAGS})
    nats = np.log(2 + np.e) - np.array([1, 1, 1, 1, 0])
    np.testing.assert_allclose(found["loss"], nats.mean(), rtol=1e-6)
    np.testing.assert_allclose(found["accuracy"], 4 / 5, rtol=1e-6)
    np.testing.assert_allclose(found["exact_match"], 1 / 2, rtol=1e-6)


def test_tags_have_outputs_for_them():
    check = experiment.tagging().check
    check(3, {"tags": TAGS}, "train")
    with pytest.raises(UserError, match="train, row 1: tags=2: expected 0 to 1, as"):
        check(2, {"tags": TAGS}, "train")
