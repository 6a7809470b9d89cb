"""Models of a hub: pinned, cached, fetched without what is not needed; errors."""

import hashlib
import json
import os
import shutil
import subprocess
import sys

import jax
import numpy as np
import pytest

from fdl import models
from fdl.errors import UserError
from fdl.models.published.hub import pinned

MODULE = models.GPT(1, 2, 8, vocab_size=5, max_length=4)
NAME, FIRST, SECOND = "org/small-model", "1" * 40, "2" * 40


@pytest.fixture(scope="module")
def folders(tmp_path_factory, random_variables):
    """Two commits of a model, with files that are not needed, in folders."""
    root = tmp_path_factory.mktemp("commits")
    variables = random_variables(MODULE)
    published = models.Published(models.functional(MODULE), variables)
    models.to_folder(root / FIRST, published, max_shard_bytes=1_000)
    models.to_folder(root / SECOND, published)
    for folder in root.iterdir():
        for name in ("pytorch_model.bin", "modeling.py", "onnx/model.safetensors"):
            (folder / name).parent.mkdir(exist_ok=True)
            (folder / name).write_text("of no use")
    return {commit: root / commit for commit in (FIRST, SECOND)}


@pytest.fixture
def serve(hub, folders):
    """``serve(refs, commits=folders, **fields)``: the hub has the model."""
    kind = hub.Repository

    def make(refs=(), commits=folders, **fields):
        refs = {"main": FIRST, **dict(refs)}
        hub.repositories[NAME] = kind(dict(commits), refs, **fields)
        return hub

    return make


def fetched(hub):
    """Names of the files that were asked for."""
    return {path.rsplit("/", 1)[-1] for _, path, _ in hub.requests if "api" not in path}


def test_a_model_is_fetched_without_what_is_not_needed_and_once(serve, folders):
    hub = serve()
    found = models.from_hub(NAME)
    expected = models.from_folder(folders[FIRST])
    assert found.source == f"hf:{NAME}@{FIRST}"
    assert found.config == expected.config
    jax.tree.map(np.testing.assert_array_equal, found.variables, expected.variables)
    shards = {x.name for x in folders[FIRST].glob("model-*")}
    assert len(shards) > 1
    index = "model.safetensors.index.json"
    assert fetched(hub) == {"config.json", index, *shards}
    hub.requests.clear()
    models.from_hub(NAME, revision="main")
    assert not fetched(hub)
