"""`fdl sample`, `embed` and `interpolate`, and the pictures of a training."""

import csv
import io
import pathlib

import jax
import numpy as np
import pyarrow.parquet
import pytest
from PIL import Image

import fdl as package
from fdl import cli
from fdl.cli.interpolate import linear, spherical

VAE = pathlib.Path(__file__).parents[2] / "experiments/unsupervised/digits_vae.py"


@pytest.fixture(scope="module")
def trained(tmp_path_factory, data_dir):
    """A folder with a small run of a VAE; leave it as it is."""
    del data_dir
    folder = tmp_path_factory.mktemp("generative")
    cache = pathlib.Path(jax.config.jax_compilation_cache_dir).parent
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("FDL_CACHE_DIR", str(cache))
        monkeypatch.setattr("fdl.runs.process.keep_freed_memory", lambda: False)
        monkeypatch.chdir(folder)
        assert cli.main(["train", f"{VAE}:smoke", "--workdir", "vae"]) == 0
    return folder


@pytest.fixture
def folder(trained, monkeypatch):
    """The folder of the run, to work in."""
    monkeypatch.chdir(trained)
    return trained


def arrays(path):
    with np.load(path) as content:
        return dict(content)


def test_each_evaluation_has_a_picture_and_the_run_an_animation(fdl, folder):
    pictures = sorted((folder / "vae/samples").iterdir())
    assert pictures and (folder / "vae/plots/samples.png").is_file()
    called = fdl("plot", "vae", "--gif")
    assert called.code == 0, called
    with Image.open(folder / "vae/plots/samples.gif") as animation:
        assert animation.n_frames == len(pictures)


def test_samples_are_those_of_the_seed_and_the_temperature(fdl, folder):
    def samples(*options):
        called = fdl("sample", "vae", "--num", "3", "--output", "s.npz", *options)
        assert called.code == 0, called
        return arrays("s.npz")["sample"]

    first = samples()
    assert first.shape == (3, 8, 8, 1) and (first > 0).all() and (first < 1).all()
    np.testing.assert_array_equal(first, samples("--seed", "0"))
    assert np.abs(first - samples("--seed", "1")).max() > 1e-4
    cold = samples("--temperature", "0")  # All of the latents zero.
    np.testing.assert_allclose(cold, np.broadcast_to(cold[:1], cold.shape), rtol=1e-5)


def test_samples_are_drawn(fdl, folder):
    assert fdl("sample", "vae", "--num", "4").code == 0
    with Image.open("samples.png") as picture:
        assert picture.width > 300


def test_test_examples_are_embedded_beside_their_labels(fdl, folder):
    assert fdl("embed", "vae", "--output", "e.npz").code == 0
    found = arrays("e.npz")
    labels = package.data.load("digits", "test")["label"]
    np.testing.assert_array_equal(found["label"], labels)
    assert found["embedding"].shape[0] == len(labels)
    assert fdl("embed", "vae", "--output", "e.parquet").code == 0
    table = pyarrow.parquet.read_table("e.parquet").to_pydict()
    np.testing.assert_allclose(table["embedding"], found["embedding"], rtol=1e-6)
    rows = [*csv.DictReader(io.StringIO(fdl("embed", "vae").out))]
    assert float(rows[5]["embedding_0"]) == pytest.approx(found["embedding"][5, 0])


def test_lines_lead_from_one_example_to_the_next(fdl, folder):
    assert fdl("embed", "vae", "--output", "e.npz").code == 0
    ends = arrays("e.npz")["embedding"][[3, 1, 4]]
    options = ["--rows", "3", "1", "4", "--steps", "5", "--output", "i.npz"]
    called = fdl("interpolate", "vae", *options)
    assert called.code == 0 and "2 lines of 5" in called.out
    found = arrays("i.npz")
    assert found["sample"].shape == (10, 8, 8, 1)
    np.testing.assert_allclose(found["embedding"][[0, 4, 5, 9]], ends[[0, 1, 1, 2]])
    np.testing.assert_allclose(
        found["embedding"][2], ends[:2].mean(axis=0), rtol=1e-5, atol=1e-6
    )


def test_spherical_interpolation_keeps_lengths_and_halves_angles():
    start, end = np.array([[2.0, 0], [1, 0]]), np.array([[0, 2.0], [3, 0]])
    points = spherical(start, end, np.array([0, 0.5, 1]))
    np.testing.assert_allclose(points[:, [0, 2]], np.stack([start, end], axis=1))
    np.testing.assert_allclose(points[0, 1], [2**0.5, 2**0.5])
    # Where both are parallel there is no angle.
    np.testing.assert_allclose(points[1], linear(start, end, np.array([0, 0.5, 1]))[1])


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["sample", "--num", "0"], "--num=0: expected"),
        (["sample", "--temperature", "-1"], "--temperature=-1.0: expected"),
        (["sample", "--temperature", "nan"], "--temperature=nan: expected"),
        (["sample", "--output", "s.jpg"], "expected a name with .png or .npz"),
        (["interpolate", "--rows", "1"], "two examples or more, got 1"),
        (["interpolate", "--rows", "0", "999"], "--rows=999: expected"),
        (["interpolate", "--steps", "1"], "--steps=1: expected"),
        (["predict"], "cannot predict: it has"),
    ],
)
def test_mistakes_are_told_in_one_line(fdl, folder, arguments, expected):
    command, *rest = arguments
    called = fdl(command, "vae", *rest)
    assert called.code == 2, called
    assert called.error.count("\n") == 1 and expected in called.error
