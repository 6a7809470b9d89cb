from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from fdl import evaluation, experiment, models
from fdl.data import preprocessing
from fdl.errors import UserError
from fdl.types import Model

PROGRAMS = 60

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


@pytest.mark.parametrize("logits", [False, True])
def test_an_autoencoder_embeds_decodes_and_reconstructs(logits):
    """Hinton's, narrower; decoded embeddings are the reconstructions."""
    module = models.deep_autoencoder(
        hidden_sizes=(6,), code_size=3, input_shape=(2, 2, 1)
    )
    model = models.functional(module)
    variables = jax.jit(model.init)(jax.random.key(0))
    images = np.random.default_rng(0).integers(17, size=(5, 2, 2, 1)).astype(np.uint8)
    task = experiment.reconstruction(3, logits=logits)
    pixels = preprocessing.images((2, 2, 1), white=16)
    found = {
        name: partial(evaluation.predict, make(model, pixels), variables)
        for name, make in task.abilities.items()
    }
    restored = found["reconstruct"]({"image": images})["reconstruction"]
    embedding = found["embed"]({"image": images})["embedding"]
    assert embedding.shape == (5, 3)
    decoded = found["decode"]({"embedding": embedding})["sample"]
    np.testing.assert_allclose(decoded, restored, rtol=1e-5, atol=1e-6)
    batch = {"image": jnp.asarray(images / 16)}
    loss, _ = jax.jit(task.objective(model, inputs="image"))(variables, batch)
    x, y = images / 16.0, restored.astype(np.float64)
    cross_entropy = -(x * np.log(y) + (1 - x) * np.log(1 - y)) if logits else None
    expected = cross_entropy.mean() if logits else ((x - y) ** 2).mean()
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
