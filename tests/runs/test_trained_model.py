"""A trained model is what its files say, and files of strangers run nothing."""

import json
import shutil

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fdl
from fdl import evaluation, models
from fdl.data import preprocessing
from fdl.errors import RunError, UserError
from fdl.models.pretrained import load_variables, save_variables
from fdl.runs.export_model import export_model
from fdl.runs.model_files import read_description, write_description
from fdl.runs.trained_model import TrainedModel, ability, load_model, load_trained
from fdl.types import Ability, Experiment

CLASSES = ("cat", "dog", "cow")
PICTURES = preprocessing.images((2, 2, 1), white=16)
EXPERIMENT = {"arg": "", "overrides": []}


def trained_model(module=None, **abilities):
    """A model of pictures, not trained."""
    module = module or models.MLP((4,), 3, norm=nn.BatchNorm)
    model = models.functional(module, jnp.zeros((1, 2, 2, 1)))
    variables = jax.jit(model.init)(jax.random.key(0))
    if not abilities:
        abilities["predict"] = evaluation.classifier(model, PICTURES, classes=CLASSES)
    return TrainedModel("pictures", model, variables, abilities, 7)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An export; leave it as it is."""
    folder = tmp_path_factory.mktemp("made") / "export"
    export_model(trained_model(), folder, experiment=EXPERIMENT)
    return folder


@pytest.fixture
def export(made, tmp_path):
    """A copy of the export, to do with as one likes."""
    return shutil.copytree(made, tmp_path / "export")


def test_an_export_is_the_model_again(made):
    ours, theirs = trained_model(), load_model(made)
    assert (theirs.name, theirs.step) == ("pictures", 7)
    assert theirs.model.module == ours.model.module
    chex.assert_trees_all_equal(theirs.variables, ours.variables)
    chex.assert_trees_all_equal_shapes_and_dtypes(
        jax.eval_shape(theirs.model.init, jax.random.key(0)), ours.variables
    )
    images = np.arange(20, dtype="u1").reshape(5, 2, 2, 1) % 17
    found, expected = (
        evaluation.predict(one.abilities["predict"], one.variables, {"image": images})
        for one in (theirs, ours)
    )
    chex.assert_trees_all_equal(found, expected)
    assert theirs.abilities["predict"].outputs["class"] == CLASSES


def test_a_regression_keeps_its_statistics_and_columns(tmp_path):
    table = np.random.default_rng(0).normal(5, 3, (20, 2))
    inputs = preprocessing.features(table, columns=["age", "size"])
    model = models.functional(models.linear(1), jnp.zeros((1, 2)))
    predict = evaluation.regressor(model, inputs, mean=np.float32(7), std=2.0)
    variables = jax.jit(model.init)(jax.random.key(0))
    ours = TrainedModel("table", model, variables, {"predict": predict}, 1)
    export_model(ours, tmp_path / "export", experiment=EXPERIMENT)
    theirs = load_model(tmp_path / "export")
    (tmp_path / "a.csv").write_text("size,age\n1,2\n3,4\n")
    weights = np.float64(variables["params"]["head"]["kernel"])
    rows = (np.array([[2, 1], [4, 3]]) - table.mean(0)) / table.std(0)
    again = theirs.abilities["predict"]
    encoded, _ = fdl.data.read_inputs(again.inputs, [tmp_path / "a.csv"])
    found = evaluation.predict(again, theirs.variables, encoded)["prediction"]
    np.testing.assert_allclose(found, rows @ weights[:, 0] * 2 + 7, rtol=1e-5)


def test_what_is_not_there_is_told():
    trained = trained_model()
    assert ability(trained, "predict", "run") is trained.abilities["predict"]
    with pytest.raises(UserError, match="run cannot generate: it has predict"):
        ability(trained, "generate", "run")
    with pytest.raises(UserError, match="run cannot predict: it has no abilities"):
        ability(trained._replace(abilities={}), "predict", "run")


def test_an_export_has_one_seed_and_one_checkpoint(made, tmp_path):
    chex.assert_trees_all_equal(
        load_trained(made).variables, load_model(made).variables
    )
    for choice in ({"seed": 0}, {"checkpoint": "best"}):
        with pytest.raises(UserError, match="one checkpoint of one seed"):
            load_trained(made, **choice)
    with pytest.raises(UserError, match=r"neither run\.json nor model\.json"):
        load_trained(tmp_path)


# What is described.


class Own(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(3)(x.reshape(len(x), -1))


def custom(variables, inputs, key):
    del variables, key
    return {"mean": inputs["image"].mean(axis=(1, 2, 3))}


NOT_DATA = {
    "a network outside the zoo": (
        lambda: trained_model(Own()),
        "Own cannot be described as data",
    ),
    "no network": (
        lambda: trained_model()._replace(model=None),
        "it has no single flax module",
    ),
    "a function of one's own": (
        lambda: trained_model(predict=Ability(custom, PICTURES)),
        "ability 'predict' is not made by a function of fdl.evaluation",
    ),
    "a name that is a path": (
        lambda: trained_model(**{"../predict": Ability(custom, PICTURES)}),
        "expected an identifier",
    ),
    "numbers that JSON has not": (
        lambda: trained_model(
            predict=evaluation.regressor(trained_model().model, PICTURES, mean=np.nan)
        ),
        "it is no data: Out of range float values",
    ),
}


@pytest.mark.parametrize("case", NOT_DATA)
def test_what_is_no_data_is_not_described(case, tmp_path):
    make, reason = NOT_DATA[case]
    trained = make()
    experiment = Experiment(
        None, None, None, model=trained.model, abilities=trained.abilities
    )
    write_description(tmp_path / "model", "pictures", experiment)
    assert not (tmp_path / "model").exists()
    with pytest.raises(UserError, match=f"{reason}.*--experiment FILE.*--stablehlo"):
        export_model(trained, tmp_path / "export", experiment=EXPERIMENT)
    assert not [*tmp_path.iterdir()]


def test_a_description_stays_as_it_was(tmp_path):
    first, second = trained_model(), trained_model(models.linear(3))
    for name, trained in (("first", first), ("second", second)):
        experiment = Experiment(
            None, None, None, model=trained.model, abilities=trained.abilities
        )
        write_description(tmp_path, name, experiment)
    assert read_description(tmp_path).name == "first"


def test_a_description_is_not_written_through_a_link(tmp_path):
    folder, elsewhere = tmp_path / "model", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    trained = trained_model()
    experiment = Experiment(
        None, None, None, model=trained.model, abilities=trained.abilities
    )
    (folder / next(iter(trained.abilities))).symlink_to(elsewhere)
    with pytest.raises(UserError, match="is a link: expected a file or a folder"):
        write_description(folder, "pictures", experiment)
    assert not [*elsewhere.iterdir()]


def test_an_export_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("fdl.runs.export_model.write_files", full)
    with pytest.raises(RunError, match=r"cannot write .*export: No space left"):
        export_model(trained_model(), tmp_path / "export", experiment=EXPERIMENT)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("stablehlo", [False, True])
def test_only_abilities_with_inputs_have_an_artefact(tmp_path, stablehlo):
    def sample(variables, inputs, key):
        del variables, inputs
        return {"x": jax.random.normal(key, (3,))}

    trained = trained_model(sample=Ability(sample))
    folder, ways = tmp_path / "export", {"needs_experiment": True}
    if stablehlo:
        with pytest.raises(UserError, match="pictures has no ability with inputs"):
            export_model(trained, folder, experiment=EXPERIMENT, stablehlo=True, **ways)
    else:
        export_model(trained, folder, experiment=EXPERIMENT, **ways)
        with pytest.raises(UserError, match="say where the file of its experiment"):
            load_model(folder)


# Exports of strangers.


def edit(**changes):
    """Changes the content of ``model.json``; a function is applied to what is there."""

    def change(export):
        path = export / "model.json"
        content = json.loads(path.read_text())
        for key, value in changes.items():
            content[key] = value(content[key]) if callable(value) else value
        path.write_text(json.dumps(content))

    return change


def edit_predict(**changes):
    return edit(abilities=lambda x: {"predict": {**x["predict"], **changes}})


def edit_fields(**changes):
    return edit(network=lambda x: {**x, "fields": {**x["fields"], **changes}})


def edit_params(function):
    def change(export):
        path = export / "variables.safetensors"
        variables = load_variables(path)
        function(variables)
        save_variables(path, variables)

    return change


def link(name):
    def change(export):
        (export / name).rename(export.parent / "elsewhere")
        (export / name).symlink_to(export.parent / "elsewhere")

    return change


def write(name, content):
    return lambda export: (export / name).write_bytes(content)


def remove(name):
    return lambda export: (export / name).unlink()


DEEP = {"module": "fdl.models.MLP", "fields": {}}
for _ in range(40):
    DEEP = {"module": "fdl.models.MLP", "fields": {"norm": DEEP}}

HOSTILE = {
    "no file": (remove("model.json"), "model.json: No such file"),
    "no JSON": (write("model.json", b"{"), "model.json is damaged: "),
    "a list": (write("model.json", b"[]"), "model.json is damaged: "),
    "depth": (write("model.json", b"[" * 10**5), "model.json is damaged: "),
    "long numbers": (
        write("model.json", b'{"format": 1' + b"0" * 5000 + b"}"),
        "model.json is damaged: ",
    ),
    "another format": (edit(format=2), "format 2 is of another version of fdl"),
    "no format": (edit(format=None), "no format number"),
    "no network": (edit(network={}), "network: expected a dict with the keys"),
    "a name of no text": (edit(name=[1]), "name: expected a string"),
    "a missing key": (write("model.json", b'{"format": 1}'), "got KeyError: 'name'"),
    "a module of another place": (
        edit(network={"module": "os.system", "fields": {}}),
        "expected a public function or module",
    ),
    "a nest of modules": (edit(network=DEEP), "expected at most 16 levels"),
    "no inputs": (edit(inputs=3), "got TypeError"),
    "too many inputs": (
        edit(inputs=[{"shape": [1], "dtype": "float32"}] * 33),
        "inputs: expected at most 32",
    ),
    "inputs of no numbers": (
        edit(inputs=[{"shape": [1], "dtype": "O"}]),
        "dtype: expected one of numbers",
    ),
    "huge inputs": (
        edit(inputs=[{"shape": [2**40], "dtype": "float32"}]),
        "shape: expected at most",
    ),
    "other inputs": (
        edit(inputs=[{"shape": [1, 3], "dtype": "float32"}]),
        "params/dense_0/kernel is float32[4, 4]: expected float32[3, 4]",
    ),
    "a huge layer": (
        edit_fields(hidden_sizes=[2**19]),
        "norm_0/mean is float32[4]: expected float32[524288]",
    ),
    "many layers": (
        edit(
            network={
                "module": "fdl.models.GPT",
                "fields": {"num_layers": 400, "num_heads": 1, "hidden_size": 1},
            },
            inputs=[{"shape": [1, 2], "dtype": "int32"}],
        ),
        "network: expected at most 100 calls of modules",
    ),
    "layers of no size": (edit_fields(hidden_sizes=["a"]), "hidden_sizes"),
    "an ability of another place": (
        edit_predict(name="as_csv"),
        "fdl.evaluation has no ability 'as_csv'",
    ),
    "an argument that there is not": (
        edit_predict(key=1),
        "fdl.evaluation.classifier takes no 'key'",
    ),
    "arguments of no sense": (edit_predict(classes=5), "got TypeError"),
    "too few classes": (
        edit_predict(classes=["cat", "dog"]),
        "ability 'predict': 'probability' has 3 elements: expected 2",
    ),
    "no such input": (edit_predict(inputs="tokens"), "expected the name of an input"),
    "an ability that is a path": (
        edit(abilities=lambda x: {"../../predict": x["predict"]}),
        "ability '../../predict': expected an identifier",
    ),
    "no preprocessing": (
        remove("predict/preprocessing.json"),
        "preprocessing.json: No such file",
    ),
    "preprocessing of an ability left out": (edit(preprocessing=[]), "classifier: "),
    "no step": (edit(step="7"), "step='7': expected an integer"),
    "no variables": (remove("variables.safetensors"), "is no file"),
    "a pickle": (
        write("variables.safetensors", b"\x80\x04\x95" + b"\0" * 20),
        "can run code when it is read",
    ),
    "an array less": (
        edit_params(lambda x: x["params"].pop("head")),
        "params/head/bias is missing: expected float32[3], as in the network",
    ),
    "an array more": (
        edit_params(lambda x: x["params"].update(more=np.zeros(2, "f4"))),
        "params/more is not in the network",
    ),
    "an array of another dtype": (
        edit_params(lambda x: x["params"]["head"].update(bias=np.zeros(3, "i4"))),
        "params/head/bias is int32[3]: expected float32[3]",
    ),
    "a collection less": (
        edit_params(lambda x: x.pop("batch_stats")),
        "batch_stats/norm_0/mean is missing",
    ),
    "a link to another description": (link("model.json"), "model.json is a link"),
    "a link to other variables": (link("variables.safetensors"), "is a link"),
    "a link to another preprocessing": (link("predict"), "predict is a link"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_export_is_one_line_and_runs_nothing(case, export, monkeypatch):
    change, expected = HOSTILE[case]
    change(export)
    monkeypatch.setattr("fdl.runs.trained_model.load_file", pytest.fail)
    monkeypatch.setattr("fdl.runs.model_checks.MAX_CALLS", 100)
    with pytest.raises(UserError) as caught:
        load_model(export)
    text = str(caught.value)
    assert expected in text
    assert str(export) in text and "\n" not in text and len(text) < 600
