import ast
import dataclasses
import functools
import io
import json
import pathlib
import pickle
import random
import re
import struct
import time
import tracemalloc
import zipfile

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from fdl import models
from fdl.errors import UserError
from fdl.models.layers.layer_stack import Stack
from fdl.models.pretrained import checkpoint
from fdl.models.pretrained.checkpoint import load, save
from fdl.models.pretrained.convert import flatten, stand_for
from fdl.models.pretrained.report import WeightsError
from fdl.models.pretrained.rules import DENSE, Rule
from fdl.models.pretrained.safetensors_files import reading

PROGRAMS = 190

KEY = jax.random.key(1)
LAYER = "[model.]blocks.{i}", "params/stack/layers_{i}"
THEIRS = [
    Rule("[model.]positions", "params/positions"),
    Rule(
        f"{LAYER[0]}.qk.weight",
        (f"{LAYER[1]}/query/kernel", f"{LAYER[1]}/key/kernel"),
        DENSE,
    ),
    Rule(f"{LAYER[0]}.qk.bias", (f"{LAYER[1]}/query/bias", f"{LAYER[1]}/key/bias")),
    Rule(f"{LAYER[0]}.mask", ()),
    Rule("head.weight", "params/head/kernel", DENSE),
    Rule("head.bias", "params/head/bias"),
    Rule("again.bias", "params/head/bias"),
]


class Layer(nn.Module):
    param_dtype: str

    @nn.compact
    def __call__(self, x, train):
        dense = functools.partial(nn.Dense, 4, param_dtype=self.param_dtype)
        return x + dense(name="query")(x) * dense(name="key")(x)


class Tiny(nn.Module):
    num_layers: int = 3
    num_classes: int | None = 3
    length: int = 2
    scan_layers: bool = False
    param_dtype: str = "float32"

    @nn.compact
    def __call__(self, x, *, train=False):
        shape, normal = (1, self.length, 4), nn.initializers.normal()
        x = x + self.param("positions", normal, shape, self.param_dtype)
        make = functools.partial(Layer, self.param_dtype)
        x = Stack(make, self.num_layers, self.scan_layers, name="stack")(x, train)
        if self.num_classes is None:
            return x
        return nn.Dense(self.num_classes, param_dtype=self.param_dtype, name="head")(x)

    def example(self):
        return (jax.ShapeDtypeStruct((1, self.length, 4), jnp.float32),)

    def checkpoints(self):
        return {"theirs": THEIRS}

    def resizable(self):
        return {"params/positions": lambda table, shape: np.resize(table, shape)}


class Wide(nn.Module):
    """Sixteen megabytes that are transposed in the file."""

    @nn.compact
    def __call__(self, x, *, train=False):
        for i in range(16):
            x = nn.Dense(512, use_bias=False, name=f"dense_{i}")(x)
        return x

    def example(self):
        return (jax.ShapeDtypeStruct((1, 512), jnp.float32),)

    def checkpoints(self):
        return {"theirs": [Rule("{i}.weight", "params/dense_{i}/kernel", DENSE)]}


@dataclasses.dataclass
class File:
    """A file of Tiny, in the format of others, and what it was made of."""

    path: pathlib.Path
    variables: dict

    def arrays(self):
        return load_file(self.path)

    def rewrite(self, **changes):
        """Replaces, adds, and (None) takes away arrays."""
        arrays = {**self.arrays(), **changes}
        save_file({k: v for k, v in arrays.items() if v is not None}, self.path)


@pytest.fixture
def file(tmp_path):
    path, variables = tmp_path / "tiny.safetensors", filled(Tiny())
    save(path, variables, of=Tiny(), format="theirs")
    return File(path, variables)


def filled(module):
    """Variables of a module, none of them with special numbers alone."""
    shapes = jax.eval_shape(models.functional(module).init, KEY)
    random = np.random.RandomState(0)
    return jax.tree.map(
        lambda leaf: jnp.asarray(random.normal(size=leaf.shape), leaf.dtype), shapes
    )


def same(one, other):
    """Bit for bit, in dtype and in order."""
    one, other = flatten(one), flatten(other)
    assert one.keys() == other.keys()
    for path, leaf in one.items():
        assert leaf.dtype == other[path].dtype and leaf.shape == other[path].shape
        assert np.asarray(leaf).tobytes() == np.asarray(other[path]).tobytes(), path
    return True


def told(path, *arguments, **options):
    """The one line that a file is refused with."""
    with pytest.raises(UserError) as caught:
        load(path, *arguments, **options)
    text = str(caught.value)
    assert str(path) in text and len(text) < 2_000 and text.isprintable(), text
    return text


# The way out and back.


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
@pytest.mark.parametrize("format", ["fdl", "theirs"])
@pytest.mark.parametrize("scan_layers", [False, True])
def test_a_round_trip_is_the_identity(tmp_path, scan_layers, format, dtype):
    module = Tiny(scan_layers=scan_layers, param_dtype=dtype)
    variables = filled(module)
    special = jnp.asarray([jnp.nan, -0.0, jnp.inf], dtype)
    variables["params"]["head"]["bias"] = special
    save(tmp_path / "x.safetensors", variables, of=module, format=format)
    loaded, report = load(tmp_path / "x.safetensors", into=module)
    assert same(loaded, variables) and report.format == format
    assert type(loaded) is dict and isinstance(loaded["params"]["positions"], jax.Array)
    assert not report.cast and not report.missing and not report.unexpected


@pytest.mark.parametrize("format", ["fdl", "torchvision"])
def test_a_round_trip_keeps_statistics_of_batch_norm(tmp_path, format):
    module = models.ResNet((1, 1), True, num_classes=3, width=2, small_images=True)
    variables = filled(module)
    save(tmp_path / "x.safetensors", variables, of=module, format=format)
    assert same(load(tmp_path / "x.safetensors", into=module)[0], variables)


def test_theirs_is_laid_out_as_the_rules_say(file):
    arrays, params = file.arrays(), file.variables["params"]
    layer = params["stack"]["layers_2"]
    fused = np.concatenate([layer["query"]["kernel"].T, layer["key"]["kernel"].T])
    assert np.array_equal(arrays["model.blocks.2.qk.weight"], fused)
    assert np.array_equal(arrays["head.weight"], params["head"]["kernel"].T)
    assert np.array_equal(arrays["again.bias"], params["head"]["bias"])
    assert len(arrays) == 1 + 2 * 3 + 3
    with safe_open(file.path, "np") as opened:
        assert opened.metadata() == {"format": "pt"}


def test_a_file_does_not_know_whether_layers_are_scanned(tmp_path):
    module, scanned = Tiny(11), Tiny(11, scan_layers=True)
    variables = jax.tree.map(lambda x: 0.1 * x, filled(module))
    save(tmp_path / "x.safetensors", variables, of=module, format="theirs")
    loaded, _ = load(tmp_path / "x.safetensors", into=scanned)
    assert same(loaded, models.stack_layers(variables))
    x = jnp.ones((1, 2, 4))
    outputs = jax.jit(scanned.apply)(loaded, x)
    assert np.allclose(module.apply(variables, x), outputs, rtol=1e-4)


def test_a_part_that_is_scanned_is_found_too():
    class Outer(nn.Module):
        inner: nn.Module

    outer = Outer(Tiny(scan_layers=True))
    assert not checkpoint.unrolled(outer).inner.scan_layers
    assert checkpoint.unrolled(Tiny()) == Tiny()


def test_rules_of_ones_own_are_a_format(tmp_path):
    module, rules = Tiny(0), [Rule(rule.theirs + ".x", *rule[1:]) for rule in THEIRS]
    variables = filled(module)
    save(tmp_path / "x.safetensors", variables, of=module, format=rules)
    assert "head.weight.x" in load_file(tmp_path / "x.safetensors")
    assert same(
        load(tmp_path / "x.safetensors", into=module, format=rules)[0], variables
    )


# What the report says.


@pytest.mark.parametrize("there", ["float16", "bfloat16", "float64"])
def test_what_has_another_dtype_is_cast_and_the_report_says_so(file, there):
    dtype = jnp.dtype(there)
    file.rewrite(**{k: v.astype(dtype) for k, v in file.arrays().items()})
    loaded, report = load(file.path, into=Tiny())
    expected = jax.tree.map(
        lambda x: np.asarray(x).astype(dtype).astype("float32"), file.variables
    )
    assert same(loaded, expected)
    assert f"cast: {len(report.matched) + 1} from {there} to float32" in str(report)


def test_a_report_says_what_matched(file):
    _, report = load(file.path, into=Tiny())
    assert str(report) == f"{file.path} (theirs): 15 arrays matched"
    assert sorted(report.matched) == sorted(flatten(file.variables))


def test_another_number_of_classes_keeps_the_rest(file):
    module = Tiny(num_classes=5)
    text = told(file.path, into=module)
    assert (
        "2 mismatched: params/head/bias is float32 [3], expected float32 [5], " in text
    )
    assert "13 arrays match" in text and "allow=" in text
    for allow in (["params/head/*"], "params/head/*", ["head.*", "again.*"]):
        loaded, report = load(file.path, into=module, allow=allow)
        initialised = jax.jit(models.functional(module).init)(jax.random.key(0))
        assert same(loaded["params"].pop("head"), initialised["params"]["head"])
        expected = {k: v for k, v in file.variables["params"].items() if k != "head"}
        assert same(loaded["params"], expected)
        assert "mismatched, initialised: params/head/bias" in str(report)
    other, _ = load(file.path, into=module, allow="params/head/*", key=KEY)
    kernel = jax.jit(models.functional(module).init)(KEY)["params"]["head"]["kernel"]
    assert np.array_equal(other["params"]["head"]["kernel"], kernel)


def test_no_head_leaves_theirs_over(file):
    module = Tiny(num_classes=None)
    text = told(file.path, into=module)
    assert "3 unexpected: again.bias, head.bias, head.weight" in text
    for allow in (["head.*", "again.bias"], ["params/head/*"]):
        loaded, report = load(file.path, into=module, allow=allow)
        assert report.unexpected == ["again.bias", "head.bias", "head.weight"]
        assert loaded["params"].keys() == {"positions", "stack"}


def test_what_the_module_can_resize_is_resized_if_allowed(file):
    module = Tiny(length=4)
    assert "params/positions" in told(file.path, into=module)
    assert "params/positions" in told(file.path, into=module, allow="params/head/*")
    loaded, report = load(file.path, into=module, allow="params/positions")
    table = np.resize(file.variables["params"]["positions"], (1, 4, 4))
    assert np.array_equal(loaded["params"]["positions"], table)
    assert report.resized == [("params/positions", "[1, 2, 4]", "[1, 4, 4]")]
    assert "resized: params/positions from [1, 2, 4] to [1, 4, 4]" in str(report)
    assert "params/positions" in report.matched and not report.mismatched


def test_what_cannot_be_resized_says_why(file, monkeypatch):
    def fails(table, shape):
        raise ValueError("no square grid.")

    monkeypatch.setattr(Tiny, "resizable", lambda self: {"*": fails})
    with pytest.raises(UserError, match=r"params/positions .* resized: no square"):
        load(file.path, into=Tiny(length=4), allow="*")


FAULTS = {
    "a name that is nearly right": (
        {"head.weight": None, "hed.weight": np.zeros((3, 4), "f")},
        r"1 missing: params/head/kernel, there head.weight, near hed.weight; "
        r"1 unexpected: hed.weight; to load it anyway, allow its differences: "
        r"allow=\['params/head/kernel', 'hed.weight'\]$",
    ),
    "another shape": (
        {"head.weight": np.zeros((3, 5), "f")},
        r"1 mismatched: params/head/kernel is float32 \[5, 3\], expected float32 "
        r"\[4, 3\]; to",
    ),
    "another rank": (
        {"head.weight": np.zeros(3, "f")},
        r"kernel is float32 \[3\], expected",
    ),
    "a scalar": (
        {"head.weight": np.ones((), "f")},
        r"kernel is float32 \[\], expected",
    ),
    "parts of unequal size": (
        {"model.blocks.0.qk.weight": np.zeros((9, 4), "f")},
        r"2 mismatched: params/stack/layers_0/query/kernel is float32 \[9, 4\]",
    ),
    "a scalar to be split": (
        {"model.blocks.0.qk.bias": np.ones((), "f")},
        r"2 mismatched: params/stack/layers_0/query/bias is float32 \[\]",
    ),
    "whole numbers": (
        {"head.bias": np.zeros(3, "int8")},
        r"1 mismatched: params/head/bias is int8 \[3\], expected float32 \[3\]",
    ),
    "two copies that differ": (
        {"again.bias": np.ones(3, "f")},
        r"1 conflicting: head.bias with params/head/bias; to",
    ),
    "more layers": (
        {"model.blocks.3.qk.bias": np.zeros(8, "f")},
        r"1 unexpected: model.blocks.3.qk.bias; to",
    ),
    "fewer layers": (
        {"model.blocks.1.qk.bias": None},
        r"2 missing: params/stack/layers_1/key/bias, there model.blocks.1.qk.bias, "
        r"params/stack/layers_1/query/bias",
    ),
    "more differences than are listed": (
        {f"{name}.{i}": np.zeros(1, "f") for name in "ab" for i in range(3)},
        r"6 unexpected: .*: allow=\['a.\*', 'b.\*'\]$",
    ),
    "names that do not print": (
        {"a\nb" + 10**6 * "c": np.zeros(1, "f")},
        r"1 unexpected: a\\nbc+…; to",
    ),
}


@pytest.mark.parametrize("changes, expected", FAULTS.values(), ids=FAULTS)
@pytest.mark.some(5)
def test_what_does_not_fit_is_one_line_that_names_it(file, changes, expected):
    file.rewrite(**changes)
    text = told(file.path, into=Tiny())
    assert re.search(expected, text), text
    with pytest.raises(WeightsError) as caught:
        load(file.path, into=Tiny())
    report = caught.value.report
    assert (
        report.missing or report.unexpected or report.mismatched or report.conflicting
    )
    # What is advised, unless a name is too long to be shown, is enough.
    allow = "*" if "…" in text else ast.literal_eval(text.rpartition("allow=")[2])
    loaded, _ = load(file.path, into=Tiny(), allow=allow)
    assert jax.tree.map(jnp.shape, loaded) == jax.tree.map(jnp.shape, file.variables)


def test_what_belongs_to_nothing_that_is_learned_is_passed_over(file):
    file.rewrite(**{"model.blocks.0.mask": np.zeros(3, "int8")})
    assert same(load(file.path, into=Tiny())[0], file.variables)


def test_names_may_lack_what_is_in_brackets(file):
    arrays = {k.removeprefix("model."): v for k, v in file.arrays().items()}
    save_file(arrays, file.path)
    assert same(load(file.path, into=Tiny())[0], file.variables)


# Which format it is.


def test_a_file_of_another_family_says_so(file, tmp_path):
    text = told(file.path, into=models.lenet5())
    assert "none of its 10 arrays (again.bias, head.bias, head.weight and 7" in text
    resnet = models.ResNet((1, 1), False, num_classes=3, width=2, small_images=True)
    path = tmp_path / "resnet.safetensors"
    save(path, filled(resnet), of=resnet, format="torchvision")
    text = told(path, into=Tiny())
    assert (
        "one of Tiny in format fdl or theirs; they look like resnet (torchvision)"
        in text
    )


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model._orig_mod.net."])
def test_what_a_wrapper_puts_in_front_of_all_names_is_left_out(file, prefix):
    arrays = load_file(file.path)
    save_file({prefix + name: x for name, x in arrays.items()}, file.path)
    loaded, report = load(file.path, into=Tiny())
    assert same(loaded, file.variables)
    assert f"(theirs after '{prefix}'): 15 arrays matched" in str(report)
    # Patterns may have the names with it or without.
    module = Tiny(num_classes=None)
    text = told(file.path, into=module)
    assert f"3 unexpected: {prefix}again.bias, {prefix}head.bias" in text
    for start in ("", prefix):
        allow = [f"{start}head.*", f"{start}again.bias"]
        assert load(file.path, into=module, allow=allow)[1].prefix == prefix


def test_other_weights_in_a_wrapper_are_known_too(tmp_path):
    resnet = models.ResNet((1, 1), False, num_classes=3, width=2, small_images=True)
    path = tmp_path / "resnet.safetensors"
    save(path, filled(resnet), of=resnet, format="torchvision")
    arrays = load_file(path)
    save_file({f"module.{name}": x for name, x in arrays.items()}, path)
    assert "they look like resnet (torchvision)" in told(path, into=Tiny())


def test_a_prefix_of_some_names_is_a_difference(file):
    arrays = load_file(file.path)
    arrays["module.head.weight"] = arrays.pop("head.weight")
    save_file(arrays, file.path)
    text = told(file.path, into=Tiny())
    assert "1 missing: params/head/kernel, there head.weight, near module.head" in text


def test_the_format_can_be_asked_for(file):
    assert load(file.path, into=Tiny(), format="theirs")[1].format == "theirs"
    text = told(file.path, into=Tiny(), format="fdl")
    assert "as one of Tiny in format fdl; they look like theirs" in text
    with pytest.raises(
        UserError, match=r"format='thiers': no such format. Did you mean"
    ):
        load(file.path, into=Tiny(), format="thiers")


def test_what_is_no_module_of_the_zoo_is_told(file):
    class Plain(nn.Module):
        pass

    with pytest.raises(UserError, match="Plain has no method example"):
        load(file.path, into=Plain())
    with pytest.raises(UserError, match="module is a Model: expected a flax module"):
        load(file.path, into=models.functional(Tiny()))


def test_of_two_rules_the_first_counts():
    one, any_of = Rule("blocks.1.w", "params/one"), Rule("blocks.{i}.w", "params/{i}")
    for rules, path in {(one, any_of): "params/one", (any_of, one): "params/1"}.items():
        assert stand_for(["blocks.1.w"], rules) == {"blocks.1.w": (rules[0], [path])}


def test_thousands_of_names_take_a_moment():
    rules = [
        Rule(f"layers.{{i}}.{j}.{{k}}.weight", f"params/{j}/{{i}}/{{k}}")
        for j in range(30)
    ]
    names = [f"layers.{i}.{i % 30}.{i % 7}.weight" for i in range(3_000)]
    found = stand_for(names, rules)
    assert found["layers.31.1.3.weight"][1] == ["params/1/31/3"] and len(found) == 3_000


@pytest.mark.parametrize("count, copies", [(20_000, 1), (60_000, 2)])
def test_a_header_of_many_names_takes_a_moment(tmp_path, count, copies):
    """A quadratic search would take minutes."""
    names = ", ".join(
        f'"layer1.{i // copies}.x": {json.dumps(entry("F32", (0,), (0, 0)))}'
        for i in range(count)
    )
    path = tmp_path / "x.safetensors"
    path.write_bytes(written(f"{{{names}}}".encode()))
    start = time.process_time()
    expected = {
        1: "none of its 20,000 arrays",
        2: "named layer1.0.x, layer1.1.x, layer",
    }
    assert expected[copies] in told(path, into=Tiny(), allow="y")
    assert time.process_time() - start < 5


# Writing.


def test_what_is_written_is_whole_or_not_there(file, monkeypatch):
    before = file.path.read_bytes()

    def fails(arrays, path, metadata):
        path.write_bytes(b"half of it")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("safetensors.numpy.save_file", fails)
    with pytest.raises(UserError, match=r"tiny\.safetensors: No space left on device"):
        save(file.path, file.variables, of=Tiny())
    assert file.path.read_bytes() == before
    assert [path.name for path in file.path.parent.iterdir()] == ["tiny.safetensors"]


def test_what_is_written_can_be_read_by_whom_the_umask_lets(file, tmp_path):
    (tmp_path / "other").touch()
    assert file.path.stat().st_mode == (tmp_path / "other").stat().st_mode


def test_what_cannot_be_written_is_told(file, tmp_path):
    module, variables = Tiny(), file.variables
    long = f"{'x' * 300}.safetensors"
    for path, expected in {
        tmp_path / "nowhere/x.safetensors": "nowhere/x.safetensors: No such file",
        file.path / "x.safetensors": "x.safetensors: Not a directory",
        tmp_path / long: f"{long}: File name too long",
        tmp_path / "\0.safetensors": "cannot be written: .*embedded null",
        tmp_path / "x.pt": r"x.pt: expected the suffix \.safetensors",
    }.items():
        with pytest.raises(UserError, match=expected):
            save(path, variables, of=module)
    path = tmp_path / "x.safetensors"
    for other, expected in {
        Tiny(2): "not the variables of Tiny: params/stack/layers_2/key/bias",
        Tiny(num_classes=5): r"params/head/bias \[3\], expected \[5\]",
        Tiny(scan_layers=True): "not the variables of Tiny: params/stack/layers/key",
    }.items():
        with pytest.raises(UserError, match=expected):
            save(path, variables, of=other)
    with pytest.raises(UserError, match="format own rules has no name for params/head"):
        save(path, variables, of=module, format=THEIRS[:3])
    assert not path.exists()


# Reading.


def test_a_checkpoint_may_be_in_several_files(file):
    arrays, folder = file.arrays(), file.path.parent
    names = {name: f"{i % 2}.safetensors" for i, name in enumerate(arrays)}
    for part in ("0.safetensors", "1.safetensors"):
        save_file({k: v for k, v in arrays.items() if names[k] == part}, folder / part)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": names}))
    loaded, report = load(index, into=Tiny())
    assert same(loaded, file.variables) and report.source == str(index)
    for broken, expected in {
        json.dumps({"weight_map": {**names, "x": "0.safetensors"}}): "names x, not in",
        json.dumps({"weight_map": {"x": "2.safetensors"}}): "2.safetensors is no file",
        json.dumps(
            {"weight_map": {"x": "../y.safetensors"}}
        ): "name '../y.safetensors'",
        json.dumps({"weight_map": {"x": 3}}): "is damaged",
        json.dumps({"weight_map": [1, 2]}): "is damaged",
        json.dumps([1, 2]): "is damaged",
        "{": "is damaged",
        "[" * 100_000: "is damaged",
        "\xff": "is damaged",
    }.items():
        index.write_text(broken, encoding="latin1")
        with pytest.raises(UserError) as caught:
            load(index, into=Tiny())
        assert expected in str(caught.value) and str(caught.value).isprintable()


def test_a_file_that_is_shortened_while_it_is_read_is_told(file):
    with reading(file.path) as tensors:
        file.path.write_bytes(file.path.read_bytes()[:-100])
        with pytest.raises(UserError, match=r"tiny.safetensors"):
            [tensors[name] for name in tensors]


def test_no_more_than_one_model_is_held_in_memory(tmp_path):
    module = Wide()
    save(tmp_path / "x.safetensors", filled(module), of=module, format="theirs")
    size = (tmp_path / "x.safetensors").stat().st_size
    tracemalloc.start()
    load(tmp_path / "x.safetensors", into=module)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size > 16 * 2**20 and peak < 1.3 * size


# Files that are damaged, hostile or something else.


def written(header, data=b"", length=None):
    """A file with such a header, whatever it says."""
    if not isinstance(header, bytes):
        header = json.dumps(header).encode()
    return struct.pack("<Q", len(header) if length is None else length) + header + data


def entry(dtype="F32", shape=(2,), data_offsets=(0, 8)):
    return {"dtype": dtype, "shape": shape, "data_offsets": data_offsets}


def of_objects(protocol):
    return pickle.dumps({"head.weight": [1.0, 2.0]}, protocol)


def zipped():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("data.pkl", of_objects(2))
    return file.getvalue()


EIGHT, TWICE = bytes(8), b'{"a":%b,"a":%b}' % ((json.dumps(entry()).encode(),) * 2)
DAMAGED = "is damaged or no safetensors file"
OBJECTS = "a file of Python objects, which can run code"
BROKEN = {
    "empty": (b"", DAMAGED),
    "only a length": (struct.pack("<Q", 100), DAMAGED),
    "no header": (struct.pack("<Q", 0), DAMAGED),
    "a length of 2**63": (written({"a": entry()}, EIGHT, 2**63), DAMAGED),
    "a length of 2**64 - 1": (written({"a": entry()}, EIGHT, 2**64 - 1), DAMAGED),
    "a length of 90 million": (written({"a": entry()}, EIGHT, 90_000_000), DAMAGED),
    "no JSON": (written(b"once upon a time"), DAMAGED),
    "no text": (written(b"\xff\xfe\xfd"), DAMAGED),
    "a list": (written([1, 2]), DAMAGED),
    "a deep header": (written(b'{"a":' * 100_000), DAMAGED),
    "a long message": (written({"a": entry(10**6 * "x")}, EIGHT), DAMAGED),
    "no such dtype": (written({"a": entry("F33")}, EIGHT), DAMAGED),
    "a dtype of few": (
        written({"a": entry("F8_E4M3", (8,))}, EIGHT),
        "a is of dtype F8_E4M3: expected one of BF16, BOOL",
    ),
    "complex numbers": (written({"a": entry("C64", (1,))}, EIGHT), "dtype C64: exp"),
    "too few bytes": (written({"a": entry()}, bytes(7)), DAMAGED),
    "too many bytes": (written({"a": entry()}, bytes(9)), DAMAGED),
    "another size": (written({"a": entry(shape=(3,))}, EIGHT), DAMAGED),
    "a negative size": (written({"a": entry(shape=(-2,))}, EIGHT), DAMAGED),
    "two negative sizes": (written({"a": entry(shape=(-2, -1))}, EIGHT), DAMAGED),
    "a fractional size": (written({"a": entry(shape=(2.0,))}, EIGHT), DAMAGED),
    "a size of 2**124": (written({"a": entry(shape=(2**62, 2**62))}, EIGHT), DAMAGED),
    "a size of 2**64": (written({"a": entry(shape=(2**64,))}, EIGHT), DAMAGED),
    "nothing, 2**62 times": (
        written({"head.bias": entry("F32", (0, 2**62), (0, 0))}),
        DAMAGED,
    ),
    "offsets that overlap": (
        written({"a": entry(), "b": entry(data_offsets=(4, 12))}, bytes(12)),
        DAMAGED,
    ),
    "offsets with a hole": (
        written({"a": entry(), "b": entry(data_offsets=(12, 20))}, bytes(20)),
        DAMAGED,
    ),
    "offsets that go back": (
        written({"a": entry(data_offsets=(8, 0))}, EIGHT),
        DAMAGED,
    ),
    "offsets far away": (
        written({"a": entry(data_offsets=(2**60, 2**60 + 8))}, EIGHT),
        DAMAGED,
    ),
    "offsets below zero": (written({"a": entry(data_offsets=(-8, 0))}, EIGHT), DAMAGED),
    "the same name twice": (
        written(TWICE, EIGHT),
        "is damaged: it has several arrays named a",
    ),
    "a strange header": (written({"__metadata__": {"a": 3}}), DAMAGED),
    "no arrays": (written({}), "none of its 0 arrays"),
    "a pickle": (of_objects(2), OBJECTS),
    "a newer pickle": (of_objects(5), OBJECTS),
    "a zip": (zipped(), OBJECTS),
    "a pointer": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
        "only points to the weights: fetch them by git lfs pull",
    ),
    "a page": (b"<!DOCTYPE html><html><body>Not found</body></html>", DAMAGED),
}


@pytest.mark.parametrize("content, expected", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_one_line_and_takes_no_memory(tmp_path, content, expected):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    told(path, into=Tiny(0))  # What is made once, such as compiled patterns.
    tracemalloc.start()
    text = told(path, into=Tiny(0))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert expected in text and peak < 40 * 2**20


@pytest.mark.parametrize("length", [0x380, 0x480, 0x580])
def test_a_file_that_begins_like_a_pickle_is_none(file, length):
    arrays = file.arrays()
    save_file(arrays, file.path)
    content = file.path.read_bytes()
    start = 8 + int.from_bytes(content[:8], "little")
    header = content[8:start].ljust(length)
    file.path.write_bytes(written(header, content[start:]))
    assert file.path.read_bytes()[:1] == b"\x80"
    assert same(load(file.path, into=Tiny())[0], file.variables)
    file.path.write_bytes(written(header, content[start:-1]))
    assert DAMAGED in told(file.path, into=Tiny())


def test_what_is_no_file_is_told(tmp_path):
    assert "nowhere is no file" in told(tmp_path / "nowhere", into=Tiny(0))
    assert "is a folder" in told(tmp_path, into=Tiny(0))
    for suffix in (".safetensors", ".safetensors.index.json"):
        # Older Pythons ask the system of such a path, which refuses to answer.
        text = told(tmp_path / f"{'x' * 300}{suffix}", into=Tiny(0))
        assert "File name too long" in text or "is no file" in text
    for suffix in (".bin", ".pt", ".pth", ".ckpt"):
        path = tmp_path / f"model{suffix}"
        path.write_bytes(b"anything")
        text = told(path, into=Tiny(0))
        assert OBJECTS in text and "weights_only=True" in text


def test_a_damaged_file_is_read_or_refused_and_nothing_else(tmp_path, monkeypatch):
    module, whole, path = Tiny(0), tmp_path / "whole.safetensors", tmp_path / "x"
    variables = filled(module)
    save(whole, variables, of=module, format="theirs")
    shapes = jax.eval_shape(lambda: variables)
    monkeypatch.setattr("fdl.models.pretrained.formats.shapes", lambda module: shapes)
    content, chance = whole.read_bytes(), random.Random(0)
    damaged = [content[:length] for length in range(len(content))]
    for _ in range(600):
        changed = bytearray(content)
        for _ in range(chance.choice((1, 1, 2, 8))):
            changed[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        damaged.append(bytes(changed))
    for _ in range(100):
        start, stop = sorted(chance.choices(range(len(content)), k=2))
        damaged.append(content[:start] + content[stop:])
        damaged.append(content[:stop] + content[start:])
    refused = 0
    for content in damaged:
        path.write_bytes(content)
        try:
            loaded, _ = load(path, into=module)
        except UserError as error:
            refused += 1
            assert str(path) in str(error) and len(str(error)) < 2_000
            assert str(error).isprintable()
        else:  # A number is another one, and nothing can tell.
            assert jax.tree.map(jnp.shape, loaded) == jax.tree.map(jnp.shape, shapes)
    assert refused > 0.6 * len(damaged)


# What others read and write.


@pytest.mark.oracle
def test_torchvision_and_we_read_what_the_other_writes(torch, tmp_path, assert_close):
    from safetensors.torch import load_file as load_torch
    from safetensors.torch import save_file as save_torch
    from torchvision.models import resnet18

    reference, module = resnet18().eval(), models.resnet18()
    with torch.no_grad():
        for name, buffer in reference.named_buffers():
            if name.endswith("mean"):
                buffer.uniform_(-0.1, 0.1)
            elif name.endswith("var"):
                buffer.uniform_(0.5, 1.5)
    save_torch(reference.state_dict(), tmp_path / "theirs.safetensors")
    variables, report = load(tmp_path / "theirs.safetensors", into=module)
    assert report.format == "torchvision" and len(report.matched) == 102
    images = np.random.RandomState(0).normal(size=(2, 64, 64, 3)).astype("f")
    with torch.no_grad():
        expected = reference(torch.tensor(images.transpose(0, 3, 1, 2))).numpy()
    outputs = jax.jit(module.apply)(variables, images)
    assert np.abs(expected[0] - expected[1]).max() > 0.1
    print("resnet18", assert_close(outputs, expected, 1e-5))

    save(tmp_path / "ours.safetensors", variables, of=module, format="torchvision")
    back = resnet18().eval()
    back.load_state_dict(load_torch(tmp_path / "ours.safetensors"), strict=True)
    state = back.state_dict()
    for name, array in reference.state_dict().items():
        assert torch.equal(array, state[name]), name
