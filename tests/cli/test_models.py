"""`fdl models`: the list, and the table of layers."""

import re

import flax.linen as nn
import jax
import jax.numpy as jnp
import pytest

from fdl import models
from fdl.cli import models as command
from fdl.diagnostics import summary_table
from fdl.diagnostics.flops import flops
from fdl.diagnostics.summary import summarize
from fdl.models import catalog
from fdl.models.catalog import ZOO, Entry
from fdl.models.catalog.papers import Paper
from fdl.models.layers.layer_stack import Stack
from fdl.models.pretrained.checkpoint import save
from fdl.models.pretrained.layer_rules import dense

# The list.


def test_the_list_names_every_model_with_its_family_parameters_and_paper(fdl):
    called = fdl("models")
    head, *lines = called.out.splitlines()
    assert called.code == 0 and called.error == ""
    assert head.split() == ["model", "family", "parameters", "paper"]
    assert [line.split()[0] for line in lines] == [*ZOO]
    assert {"resnet50", "lenet5"} <= {*ZOO} and not {"linear", "pure", "CNN"} & {*ZOO}
    (line,) = [line for line in lines if line.startswith("resnet50 ")]
    assert re.fullmatch(
        r"resnet50 +resnet +25,557,032  "
        r"He et al\., 2015  https://arxiv\.org/abs/1512\.03385",
        line,
    )


@pytest.mark.parametrize(
    "pattern, expected",
    [
        ("resnet1*", lambda name: name.startswith("resnet1")),
        ("esnet5", lambda name: "esnet5" in name),
        ("lenet", lambda name: "lenet" in name),  # A family.
        ("resnet?[02]", lambda name: bool(re.fullmatch("resnet.[02]", name))),
    ],
)
def test_a_pattern_is_a_part_of_a_name_or_a_glob(fdl, pattern, expected):
    _, *lines = fdl("models", pattern).out.splitlines()
    found = [line.split()[0] for line in lines]
    assert found == [name for name in ZOO if expected(name)] and found


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["resnet500"], "there is no model 'resnet500'. Did you mean 'resnet50'"),
        (["qqqqq"], "there is no model 'qqqqq'. fdl models lists them all"),
        (["resnet18", "--depth", "-1"], "--depth=-1: expected a number"),
        (["resnet", "--depth", "2"], "--depth=2: expected a number, and the name of a"),
        (["--depth", "2"], "--depth=2: expected"),
    ],
)
def test_what_is_not_there_is_told_in_one_line(fdl, arguments, expected):
    called = fdl("models", *arguments)
    assert called.code == 2 and called.out == ""
    assert re.fullmatch(r"fdl: [^\n]+\n", called.error) and expected in called.error


def test_columns_are_as_wide_as_their_heads(fdl):
    head, line = fdl("models", "c5*").out.splitlines()
    assert head == "model  family     parameters  paper"
    assert line.startswith(
        "c51    q_network   2,155,062  Bellemare, Dabney and Munos, "
    )


# The table of layers.


class Block(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        x = x + nn.Dense(5, name="inner")(x)
        return nn.Dropout(0.5, deterministic=not train)(jnp.einsum("ti,tj->tj", x, x))


class Shared(nn.Module):
    """Layers that are stacked, one that is called twice, and one by another name."""

    scan: bool = False
    remat: bool = False

    @nn.compact
    def __call__(self, tokens, *, train=False):
        x = nn.Embed(7, 5, name="embed")(tokens)
        x = Stack(Block, 3, self.scan, self.remat, name="stack")(x, train)
        twice = nn.Dense(5, use_bias=False, name="twice")
        return nn.Embed(7, 5, name="readout").attend(twice(twice(x)))

    def example(self):
        return (jax.ShapeDtypeStruct((4,), jnp.int32),)


def by_path(layer, prefix=""):
    found = {prefix: layer}
    for inner in layer.submodules:
        found |= by_path(inner, f"{prefix}/{inner.name}")
    return found


@pytest.mark.parametrize("remat", [False, True])
@pytest.mark.parametrize("scan", [False, True])
def test_layers_count_what_they_do_and_what_is_inside(scan, remat):
    found = by_path(summarize(Shared(scan, remat)))
    dense, einsum, attend = 2 * 4 * 5 * 5, 2 * 4 * 4 * 5, 2 * 4 * 5 * 7
    einsum = flops(lambda x: jnp.einsum("ti,tj->tj", x, x), jnp.zeros((4, 5)))
    expected = {  # Path: parameters, operations, output.
        "": (3 * 30 + 25 + 2 * 35, 3 * (dense + einsum) + 2 * dense + attend, "4 x 7"),
        "/embed": (35, 0, "4 x 5"),
        "/readout": (35, attend, "4 x 7"),
        "/stack": (3 * 30, 3 * (dense + einsum), "4 x 5"),
        "/twice": (25, 2 * dense, "4 x 5"),
    }
    times = {"layers": 3} if scan else {f"layers_{i}": 1 for i in range(3)}
    for name, n in times.items():
        expected[f"/stack/{name}"] = (n * 30, n * (dense + einsum), "4 x 5")
        expected[f"/stack/{name}/inner"] = (n * 30, n * dense, "4 x 5")
    seen = {path: (x.parameters, x.flops, x.output) for path, x in found.items()}
    assert seen == expected
    assert found["/stack"].kind == "Stack" and found[""].kind == "Shared"


class Part(nn.Module):
    def setup(self):
        self.dense = nn.Dense(3)


class Whole(nn.Module):
    def setup(self):
        self.part = Part()

    def __call__(self, x, *, train=False):
        return self.part.dense(x)

    def example(self):
        return (jax.ShapeDtypeStruct((1, 4), jnp.float32),)


def test_what_is_never_called_itself_has_layers_all_the_same():
    found = by_path(summarize(Whole()))
    assert {path: (layer.kind, layer.flops) for path, layer in found.items()} == {
        "": ("Whole", 24),
        "/part": ("Part", 24),
        "/part/dense": ("Dense", 24),
    }


@pytest.mark.parametrize(
    "module, macs",
    [  # Published multiply-adds.
        (models.lenet5(), 416_520),
        (models.resnet18(), 1_814_073_344),
        (models.CNN((4,), (5,), 3, input_shape=(8, 8, 1)), None),
    ],
)
def test_totals_are_those_of_the_model(module, macs):
    layer, model = summarize(module), models.functional(module)
    variables = jax.eval_shape(model.init, jax.random.key(0))
    assert layer.parameters == sum(
        leaf.size for leaf in jax.tree.leaves(variables["params"])
    )
    assert layer.flops == flops(model.apply, variables, *module.example())
    assert macs is None or layer.flops == 2 * macs
    assert sum(inner.flops for inner in layer.submodules) == layer.flops
    assert sum(inner.parameters for inner in layer.submodules) == layer.parameters


def test_equal_layers_share_a_row():
    layer = summarize(Shared())
    one, two, three = (summary_table.rows(layer, depth) for depth in (1, 2, 3))
    assert [row.name for row in one] == ["Shared", "embed", "stack", "twice", "readout"]
    (row,) = [row for row in two if row.num_layers > 1]
    assert row.name == "layers_0, layers_1, layers_2"
    assert (row.num_layers, row.depth, row.layer.parameters) == (3, 2, 30)
    assert [row.name for row in three][4] == "inner" and len(three) == 7
    assert summary_table.max_depth(layer, max_rows=40) == 3
    assert summary_table.max_depth(layer, max_rows=6) == 2
    assert summary_table.max_depth(layer, max_rows=1) == 1
    assert len(summary_table.rows(layer, 0)) == 1


def test_many_equal_layers_are_named_by_the_first_and_the_last():
    layer = summarize(Shared())
    submodules = tuple(
        layer.submodules[0]._replace(name=f"layers_{i}") for i in range(24)
    )
    _, row = summary_table.rows(layer._replace(submodules=submodules), 1)
    assert (row.name, row.num_layers) == ("layers_0 .. layers_23", 24)


# What is printed of one model.


def test_a_model_is_told_with_its_layers(fdl, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")  # Nobody looks: nothing is cut.
    called = fdl("models", "lenet5", "--depth", "1")
    assert called.code == 0 and called.error == ""
    assert called.out.startswith("lenet5: LeNet-5")
    assert "LeCun et al., Gradient-Based Learning Applied to Document" in called.out
    assert "https://doi.org/10.1109/5.726791" in called.out
    assert re.search(r"│ CNN +│ CNN +│ 1 x 10 +│ +61,706 │ +833,040 │", called.out)
    assert re.search(r"│ Conv +│ 1 x 28 x 28 x 6 +│ +156 │ +235,200 │", called.out)
    assert len(fdl("models", "lenet5", "--depth", "0").out) < len(called.out)


class Tiny(nn.Module):
    @nn.compact
    def __call__(self, x, *, train=False):
        return nn.Dense(3, name="head")(x)

    def example(self):
        return (jax.ShapeDtypeStruct((1, 4), jnp.float32),)

    def checkpoints(self):
        return {"torch": dense("fc", "head")}


def tiny() -> Tiny:
    """A tiny model; 15 parameters."""
    return Tiny()


PAPER = Paper("Ada and Bob", 1999, "A Title", "https://example.org/a_b")


def test_the_example_runs_and_so_does_the_line_that_reads_weights(fdl, monkeypatch):
    monkeypatch.setattr(models, "tiny", tiny, raising=False)
    monkeypatch.setattr(catalog, "ZOO", {"tiny": Entry(tiny, 15, PAPER)})
    monkeypatch.setattr(catalog, "PUBLISHED_NAMES", {"tiny_patch1_4": "tiny"})
    out = fdl("models", "tiny").out
    assert out.startswith(
        "tiny: A tiny model; 15 parameters.\nAda and Bob, A Title, 1999"
    )
    assert "1999\nhttps://example.org/a_b\n" in out
    assert fdl("models", "tiny_patch1_4").out == out
    example, seen = out[out.index("import jax\n") :], {}
    run(example, seen)
    assert seen["outputs"].shape == (1, 3) and "in the format of torch:" in example
    bias = jnp.array([1.0, 2.0, 3.0])
    seen["variables"]["params"]["head"]["bias"] = bias
    save("tiny.safetensors", seen["variables"], of=tiny(), format="torch")
    run(example.replace("# variables", "variables"), seen)
    assert seen["report"].format == "torch" and (seen["outputs"][0] == bias).all()


def run(program, names):
    exec(compile(program, "example", "exec"), names)


@pytest.mark.parametrize(
    "shape, dtype, expected",
    [
        ((1, 28, 28, 1), "float32", "jnp.zeros((1, 28, 28, 1))"),
        ((1, 4), "int32", 'jnp.zeros((1, 4), "int32")'),
        ((4,), "bool", 'jnp.zeros((4,), "bool")'),
    ],
)
def test_inputs_are_made_of_zeros(shape, dtype, expected):
    array = jax.ShapeDtypeStruct(shape, dtype)
    assert command.zeros(array) == expected
    made = eval(expected, {"jnp": jnp})
    assert (made.shape, made.dtype) == (array.shape, array.dtype)
