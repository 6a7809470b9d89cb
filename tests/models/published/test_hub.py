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

from fdl import cli, models
from fdl.errors import UserError
from fdl.models.published.hub import pinned

MODULE = models.GPT(1, 2, 8, vocab_size=5, max_length=4)
NAME, FIRST, SECOND, THIRD = "org/small-model", "1" * 40, "2" * 40, "3" * 40


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


def test_a_commit_stays_while_a_branch_moves_and_a_hub_that_is_away_is_not_asked(
    serve, hub, monkeypatch
):
    serve({"v1": FIRST})
    source = f"hf:{NAME}"
    assert pinned(source) == pinned(f"{source}@v1") == f"{source}@{FIRST}"
    serve({"main": SECOND})
    assert pinned(source) == f"{source}@{SECOND}"
    hub.requests.clear()
    for fixed in (f"{source}@{FIRST}", "some/folder", ""):
        assert pinned(fixed) == fixed
    assert not hub.requests
    models.from_hub(NAME)
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    assert models.from_hub(NAME).source == f"{source}@{SECOND}"
    with pytest.raises(UserError, match=r"other: not in the .* reached: ConnectError"):
        models.from_hub("org/other")
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert models.from_hub(NAME).source == pinned(source) == f"{source}@{SECOND}"
    # Of the other, the config alone is there, which old versions do not notice.
    line = "not all of it: .* HF_HUB_OFFLINE is set|expected model.safetensors"
    with pytest.raises(UserError, match=line):
        models.from_source(f"{source}@{FIRST}")


def test_digests_are_those_of_the_files_and_tell_them_apart(serve, folders, tmp_path):
    serve()
    found = models.from_source(f"hf:{NAME}@main")
    shards = [x.name for x in folders[FIRST].glob("*.safetensors*")]
    assert found.digests == {
        name: hashlib.sha256((folders[FIRST] / name).read_bytes()).hexdigest()
        for name in ("config.json", *shards)
    }
    folder = shutil.copytree(folders[SECOND], tmp_path / "copy")
    before = models.from_source(folder)
    assert (before.source, {*before.digests}) == (
        str(folder),
        {"config.json", "model.safetensors"},
    )
    file = folder / "model.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    after = models.from_source(folder).digests
    assert {k for k in after if after[k] != before.digests[k]} == {file.name}


def test_a_token_goes_to_the_hub_alone(serve, monkeypatch):
    hub = serve(token="secret")
    with pytest.raises(UserError, match=r"model; or it is private: log in by `hf auth"):
        models.from_hub(NAME)
    hub.requests.clear()
    monkeypatch.setenv("HF_TOKEN", "secret")
    models.from_hub(NAME)
    for _, path, token in hub.requests:
        assert token == (None if path.startswith("/cdn/") else "secret")
    assert any(path.startswith("/cdn/") for _, path, _ in hub.requests)


def changed(folder, tmp_path, remove=(), **config):
    """Copy of a folder without some files, and with changes in its config."""
    copy = shutil.copytree(folder, tmp_path / "changed")
    for name in remove:
        (copy / name).unlink()
    path = copy / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | config))
    return {"refs": {"main": THIRD}, "commits": {THIRD: copy}}


def test_what_cannot_be_fetched_is_one_line(serve, folders, tmp_path):
    def fails(match, name=NAME, **options):
        with pytest.raises(UserError, match=match) as caught:
            models.from_hub(name, **options)
        assert "\n" not in str(caught.value) and caught.value.__context__ is None

    serve()
    fails(r"hf:org/other: the hub has no such model", "org/other")
    fails(r"hf:org/small-model@v9: the model has no such revision", revision="v9")
    for name in ("a/b/c", "", "..", "x\ny"):
        fails(r"expected hf:ORGANISATION/NAME", name)
    serve(token="secret", gated=True)
    fails(r"hf:org/small-model: its authors grant access on request: .* HF_TOKEN")
    serve(**changed(folders[SECOND], tmp_path, ["model.safetensors"]))
    fails(rf"small-model@{THIRD}: expected model.safetensors, .* are not fetched")


def test_weights_of_an_architecture_that_is_not_known_are_not_fetched(
    serve, folders, tmp_path
):
    hub = serve(**changed(folders[SECOND], tmp_path, architectures=["GPTX"]))
    with pytest.raises(UserError, match=r"config.json: architectures='GPTX': expected"):
        models.from_hub(NAME)
    assert fetched(hub) == {"config.json"}


@pytest.mark.slow
def test_the_environment_of_the_library_holds(serve, tmp_path):
    hub = serve()
    code = f"from fdl import models; print(models.from_hub({NAME!r}).source)"
    environment = {**os.environ, "HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "h")}
    for offline in "01":
        command = [sys.executable, "-c", code]
        environment["HF_HUB_OFFLINE"] = offline
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.stdout == f"hf:{NAME}@{FIRST}\n", done.stderr
        assert bool(hub.requests) == (offline == "0")
        hub.requests.clear()
    cached = tmp_path / "h/hub/models--org--small-model/snapshots" / FIRST
    assert (cached / "config.json").is_file()


EXPERIMENT = """
import numpy as np
import optax
from ml_collections import ConfigDict

import fdl


def get_config():
    return ConfigDict({"weights": "", "num_steps": 2, "save_every": 1})


def build(config):
    published = fdl.models.from_source(config.weights)
    objective = fdl.objectives.language_modelling(published.model)
    rows = {"tokens": np.arange(20, dtype=np.int32).reshape(4, 5) % 5}
    batches = fdl.data.batches(rows, 2)
    learner = fdl.gradient_learner(published.model, objective, optax.sgd(0.1))
    evaluate = fdl.on_dataset(objective, batches)
    return fdl.Experiment(learner, batches, evaluate, weights=published.digests)
"""


@pytest.mark.slow
def test_a_run_stays_at_its_commit_and_is_not_resumed_from_other_weights(
    serve, folders, tmp_path, monkeypatch, capsys
):
    hub = serve()
    file, run = tmp_path / "tiny.py", tmp_path / "run"
    file.write_text(EXPERIMENT)
    train = ["train", str(file), "--workdir", str(run)]
    assert cli.main([*train, f"--config.weights=hf:{NAME}@main"]) == 0
    config, record = (
        json.loads((run / f"{name}.json").read_text()) for name in ("config", "run")
    )
    assert config["weights"] == f"hf:{NAME}@{FIRST}"
    assert record["weights"] == models.from_source(f"hf:{NAME}@{FIRST}").digests
    serve({"main": SECOND})
    hub.requests.clear()
    capsys.readouterr()
    assert cli.main(["resume", str(run)]) == 0
    assert not fetched(hub)
    assert cli.main([*train, f"--config.weights=hf:{NAME}"]) == 2
    assert f"weights is 'hf:{NAME}@{SECOND}', there" in lines(capsys)
    name = "config.json"
    (cached,) = (tmp_path / "home").rglob(f"snapshots/{FIRST}/{name}")
    cached.write_text(cached.read_text() + " ")
    assert cli.main(["resume", str(run)]) == 2
    assert f"{run} began from have changed, in {name}: put them" in lines(capsys)


def lines(capsys):
    """What was said, in one line."""
    return " ".join(capsys.readouterr().err.split())
