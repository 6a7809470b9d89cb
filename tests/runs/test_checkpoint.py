"""Checkpoints: what is saved comes back, and what was damaged is noticed."""

import json
import os
import random
import re
import resource
import shutil
from contextlib import contextmanager

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from fdl.data.checksums import write_checksums
from fdl.errors import DamageError, RunError, UserError
from fdl.runs.checkpoint import Checkpoints
from fdl.runs.open_run import find_step, read_anew
from fdl.train import LoopState
from fdl.types import Mean, TrainState

OPTIMIZER = optax.adam(1e-2)


def carry(step, size=5, dtype=jnp.float32):
    """All kinds of leaves: keys, integers, a half-precision array, a scalar, a NaN."""
    key = jax.random.key(step)
    params = {
        "kernel": jax.random.normal(key, (size, 3)).astype(dtype),
        "bias": jnp.array([np.nan, np.inf, -0.0, 1e-40], jnp.float32),
        "half": jax.random.normal(key, (4,), jnp.bfloat16),
    }
    state = TrainState(jnp.int32(step), key, params, {}, OPTIMIZER.init(params))
    metrics = {"loss": Mean(jnp.ones(()), jnp.ones(()))}
    return LoopState(jnp.int32(step), state, metrics, {"loss": 0 * one()})


def one():
    return jnp.ones((), jnp.int32)


def like(tree):
    return jax.tree.map(
        lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), tree
    )


def bits(tree):
    """Every leaf as bytes, so that even NaN and -0.0 are compared."""

    def leaf(x):
        is_key = jnp.issubdtype(x.dtype, jax.dtypes.prng_key)
        return np.asarray(jax.random.key_data(x) if is_key else x).tobytes()

    return [(str(path), leaf(x)) for path, x in jax.tree.leaves_with_path(tree)]


def save(directory, steps, **options):
    checkpoints = Checkpoints(directory, **options)
    for step in steps:
        checkpoints.save(step, carry(step), {"loss": 1 / step})
    checkpoints.wait()
    return checkpoints


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """Checkpoints of steps 3 and 7; who changes a file has to change it back."""
    return save(tmp_path_factory.mktemp("run") / "checkpoints", [3, 7])


@pytest.fixture
def fresh(tmp_path):
    return save(tmp_path / "checkpoints", [3, 7])


@contextmanager
def changed(path, content):
    """A file with other bytes, or without any file if they are None."""
    before = path.read_bytes() if path.exists() else None
    path.unlink(missing_ok=True)
    if content is not None:
        path.write_bytes(content)
    yield
    path.unlink(missing_ok=True)
    if before is not None:
        path.write_bytes(before)


def contents(directory):
    return {p: p.read_bytes() for p in directory.rglob("*") if p.is_file()}


def test_what_was_saved_comes_back_to_the_last_bit(two):
    for step in (3, 7):
        assert bits(two.restore(step, like(carry(step)))) == bits(carry(step))
    step, restored = two.restore_latest(like(carry(7)), pytest.fail)
    assert step == 7 and bits(restored) == bits(carry(7))
    assert bits(restored) != bits(carry(3))


def test_any_changed_bit_is_noticed_and_its_file_named(two):
    rng = random.Random(0)
    folder = two.directory / "00000007"
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    assert len(files) > 5
    flipped = 0
    for path in files:
        content = path.read_bytes()
        everywhere = 8 * len(content)
        places = rng.sample(range(everywhere), min(25, everywhere))
        for place in places:
            damaged = bytearray(content)
            damaged[place // 8] ^= 1 << place % 8
            with changed(path, bytes(damaged)), pytest.raises(DamageError) as caught:
                two.restore(7, like(carry(7)))
            assert f"{folder} is damaged: {path.relative_to(folder)}:" in str(
                caught.value
            )
            flipped += 1
    assert flipped > 125
    assert bits(two.restore(7, like(carry(7)))) == bits(carry(7))


CHANGES = {
    "truncated": lambda content: content[:-1],
    "emptied": lambda content: b"",
    "longer": lambda content: content + b"\0",
    "a newline more": lambda content: content + b"\n",
    "zeroed": lambda content: b"\0" * len(content),
    "removed": lambda content: None,
    "replaced": lambda content: b'{"files": {}}',
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_any_changed_file_is_noticed_and_named(two, change):
    folder = two.directory / "00000007"
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        content = path.read_bytes()
        if change(content) == content:
            continue
        with changed(path, change(content)), pytest.raises(DamageError) as caught:
            two.restore(7, like(carry(7)))
        assert f"is damaged: {path.relative_to(folder)}:" in str(caught.value)
    assert bits(two.restore(7, like(carry(7)))) == bits(carry(7))


@pytest.mark.parametrize("name", ["more", "state/more", "state/checksums.json"])
def test_an_added_file_is_noticed_and_named(two, name):
    path = two.directory / "00000007" / name
    with changed(path, b""), pytest.raises(DamageError, match=f"{name}: it was added"):
        two.restore(7, like(carry(7)))


@pytest.mark.parametrize("name", ["a[b]", "[old]", "a*b", "a**b", "a?", "back\\slash"])
@pytest.mark.some(2)
def test_a_folder_whose_name_is_a_pattern_is_as_good_as_any(tmp_path, name):
    for place in (tmp_path / name, tmp_path / "aXb"):
        save(place, [1, 2])
    loaded = Checkpoints(tmp_path / name).restore(2, like(carry(2)))
    assert bits(loaded) == bits(carry(2))
    assert not list((tmp_path / name).glob("unfinished*"))


@pytest.mark.parametrize(
    "content, found",
    [({"format": 7, "more": []}, "format 7"), ({}, "no format number")],
)
def test_a_checkpoint_of_another_version_is_one_line_and_kept(fresh, content, found):
    folder = fresh.directory / "00000007"
    (folder / "arrays.json").write_text(json.dumps(content))
    write_checksums(folder, recursive=True)
    line = re.escape(f"{folder}: {found} is of another version of fdl: this one reads")
    for restore in (fresh.restore_latest, lambda like, _: fresh.restore(7, like)):
        with pytest.raises(UserError, match=f"^{line} 1$"):
            restore(like(carry(7)), pytest.fail)
    assert fresh.steps() == [3, 7]


def test_metrics_may_be_arrays(tmp_path):
    checkpoints = Checkpoints(tmp_path, best="max score", keep=1)
    scores = jnp.float32(3), np.float32(7), np.array([1, 2]), np.int64(4), True
    for step, score in enumerate(scores, start=1):
        checkpoints.save(step, carry(step), {"score": score})
    checkpoints.wait()
    assert checkpoints.best() == 2 and checkpoints.steps() == [2, 5]


def test_swapped_checkpoints_of_another_run_are_no_secret_damage(two, tmp_path):
    """A whole checkpoint is believed: digests guard against accidents only."""
    other = save(tmp_path, [3])
    assert bits(other.restore(3, like(carry(3)))) == bits(
        two.restore(3, like(carry(3)))
    )


def test_the_one_before_a_damaged_one_is_used(fresh):
    warnings = []
    path = fresh.directory / "00000007" / "metrics.json"
    path.write_bytes(b"[]")
    step, restored = fresh.restore_latest(like(carry(3)), warnings.append)
    assert step == 3 and bits(restored) == bits(carry(3))
    (warning,) = warnings
    assert "00000007 is damaged: metrics.json" in warning and "\n" not in warning
    assert fresh.steps() == [3]


def test_what_is_damaged_is_set_aside_and_not_deleted(fresh):
    for name in ("00000007.damaged", "00000007.damaged+"):
        warnings = []
        path = fresh.directory / "00000007" / "metrics.json"
        path.write_bytes(b"[]")
        assert fresh.restore_latest(like(carry(3)), warnings.append)[0] == 3
        assert warnings[0].endswith(
            f"going on from the one before it, this is now {name}"
        )
        assert (fresh.directory / name / "metrics.json").read_bytes() == b"[]"
        assert (fresh.directory / name / "state").is_dir()
        save(fresh.directory, [7])


UNREADABLE = [PermissionError(13, "Permission denied"), OSError(5, "I/O error")]


@pytest.mark.parametrize("error", UNREADABLE, ids=["permission", "disk"])
@pytest.mark.parametrize(
    "name", ["checksums.json", "metrics.json", "state/manifest.ocdbt"]
)
def test_what_cannot_be_read_for_the_moment_is_not_damaged(
    fresh, monkeypatch, name, error
):
    unreadable = fresh.directory / "00000007" / name
    before = contents(fresh.directory)
    usual = os.open

    def fail(path, *arguments, **options):
        if os.fspath(path) == os.fspath(unreadable):
            raise error
        return usual(path, *arguments, **options)

    monkeypatch.setattr("os.open", fail)
    line = re.escape(f"cannot read {unreadable}: {error.strerror}")
    for read in (fresh.restore_latest, lambda like, _: fresh.restore(7, like)):
        with pytest.raises(RunError, match=f"^{line}$") as caught:
            read(like(carry(7)), pytest.fail)
        assert not isinstance(caught.value, DamageError)
    if name != "state/manifest.ocdbt":
        again = Checkpoints(fresh.directory, keep=1)
        with pytest.raises(RunError, match=f"^{line}$"):
            again.best()  # It might be that one.
        again.save(9, carry(9), {"loss": 3.0})
        with pytest.raises(RunError, match=f"^{line}$"):
            again.wait()  # For the same reason, nothing is removed.
    monkeypatch.undo()
    assert {path: contents(fresh.directory).get(path) for path in before} == before


NO_STEPS = ["1²", "١٢٣٤٥٦٧٨", "7", "0000000007", "00000008.damaged"]


def test_only_names_as_they_are_written_are_steps(fresh):
    for name in NO_STEPS:
        (fresh.directory / name).mkdir()
    assert fresh.steps() == [3, 7] and fresh.best() == 7
    for name in ("1²", "١", "+7", "9" * 5000):
        with pytest.raises(UserError, match=r"--checkpoint=.*: expected best, latest"):
            find_step(fresh, fresh.directory, name)


def test_a_checkpoint_that_is_removed_meanwhile_is_chosen_anew(fresh):
    """As beside a run at work, which goes on saving."""
    tried = []

    def read():
        step = fresh.steps()[-1]
        tried.append(step)
        if step == 7:
            save(fresh.directory, [11], keep=1)
        return fresh.restore(step, like(carry(7)))

    assert bits(read_anew(fresh, read)) == bits(carry(11)) and tried == [7, 11]
    path = fresh.directory / "00000011" / "metrics.json"
    path.write_bytes(b"[]")  # What stays is not read again.
    with pytest.raises(DamageError, match=r"11 is damaged: metrics\.json"):
        read_anew(fresh, read)
    assert tried == [7, 11, 11]


def test_a_run_folder_that_has_gone_does_not_come_back(tmp_path):
    (tmp_path / "run").mkdir()
    checkpoints = save(tmp_path / "run/checkpoints", [3])
    shutil.rmtree(tmp_path / "run")
    checkpoints.save(7, carry(7), None)
    with pytest.raises(RunError, match=r"run was removed or replaced by somebody"):
        checkpoints.wait()
    assert not (tmp_path / "run").exists()


HOSTILE = {
    "arrays.json": [b"[]", b"{}", b'{"format": 1, "arrays": {"a": [1]}}', b"[" * 10**5],
    "metrics.json": [b"3", b'{"loss": "text"}', b'{"loss": {}}', b'{"a":' * 10**5],
}


@pytest.mark.parametrize(
    "name, content", [(name, x) for name, all in HOSTILE.items() for x in all]
)
def test_a_checkpoint_from_elsewhere_is_one_line(fresh, name, content):
    """With right checksums of what nobody has written."""
    folder = fresh.directory / "00000007"
    (folder / name).write_bytes(content)
    write_checksums(folder, recursive=True)
    again = Checkpoints(fresh.directory)
    with pytest.raises((DamageError, UserError)) as caught:
        again.restore(7, like(carry(7))) if "arrays" in name else again.best()
    assert str(folder) in str(caught.value) and "\n" not in str(caught.value)


def test_when_all_are_damaged_none_is_used_and_none_removed(fresh):
    for step in (3, 7):
        (fresh.directory / f"{step:08d}" / "metrics.json").write_bytes(b"[]")
    before = contents(fresh.directory)
    with pytest.raises(
        RunError, match=r"every checkpoint .*0007 is damaged: metrics.json"
    ):
        fresh.restore_latest(like(carry(7)), pytest.fail)
    assert contents(fresh.directory) == before


OTHERS = [
    (carry(7, size=6), "kernel is float32[6, 3], there float32[5, 3]"),
    (carry(7, dtype=jnp.float16), "kernel is float16[5, 3], there float32[5, 3]"),
    (carry(7)._replace(metrics={}), "loss/total is missing, there float32[]"),
    (
        carry(7)._replace(first_nonfinite={"error": one()}),
        "error is int32[], there missing",
    ),
]


@pytest.mark.parametrize("other, named", OTHERS, ids=range(len(OTHERS)))
def test_a_state_of_another_experiment_is_refused_and_kept(two, other, named):
    before = contents(two.directory)
    with pytest.raises(RunError, match="is not of this experiment: ") as caught:
        two.restore_latest(like(other), pytest.fail)
    assert named in str(caught.value)
    assert contents(two.directory) == before


def test_what_a_killed_run_left_is_ignored_and_removed(fresh):
    left = fresh.directory / "unfinished-00000009"
    left.mkdir()
    (left / "part").touch()
    (fresh.directory / "00000011.copy").mkdir()
    (fresh.directory / "notes.txt").touch()
    assert fresh.steps() == [3, 7]
    assert fresh.restore_latest(like(carry(7)), pytest.fail)[0] == 7
    assert sorted(p.name for p in fresh.directory.iterdir()) == [
        "00000003",
        "00000007",
        "00000011.copy",
        "notes.txt",
    ]


def test_a_run_folder_that_goes_amid_a_save_is_named(tmp_path, monkeypatch):
    run = tmp_path / "run"
    run.mkdir()
    checkpoints = Checkpoints(run / "checkpoints")

    def vanish(folder, *_):
        shutil.rmtree(run)
        folder.mkdir()

    monkeypatch.setattr("fdl.runs.checkpoint.files.write", vanish)
    checkpoints.save(3, carry(3), None)
    with pytest.raises(RunError, match=f"{run} was removed or replaced by somebody"):
        checkpoints.wait()
    assert not run.exists()


def test_what_others_left_in_place_of_a_folder_is_removed(fresh, tmp_path):
    """Links are, and not what they lead to."""
    precious = tmp_path / "precious"
    (precious / "a").mkdir(parents=True)
    for name in ("unfinished-1", "unfinished-old-3", "unfinished-00000009"):
        (fresh.directory / name).symlink_to(precious)
    (fresh.directory / "unfinished-file").touch()
    assert fresh.restore_latest(like(carry(7)), pytest.fail)[0] == 7
    (fresh.directory / "unfinished-00000009").symlink_to(precious)
    fresh.save(9, carry(9), None)
    fresh.wait()
    assert fresh.steps()[-1] == 9 and (precious / "a").is_dir()
    assert not [*fresh.directory.glob("unfinished-*")]


def test_there_is_nothing_to_restore_at_the_beginning(tmp_path):
    assert Checkpoints(tmp_path).restore_latest(like(carry(1)), pytest.fail) is None
    assert Checkpoints(tmp_path).best() is None


@pytest.mark.parametrize("best, keep", [("max score", 1), ("min score", 2)])
def test_the_latest_and_the_best_are_kept(tmp_path, best, keep):
    scores = [3.0, 1.0, None, 5.0, 5.0, [2.0, 1.5], float("nan"), 2.0, 4.0, None]
    checkpoints = Checkpoints(tmp_path, keep=keep, best=best)
    choose = max if best.startswith("max") else min
    known = {}
    for step, score in enumerate(scores, start=1):
        metrics = None if score is None else {"score": score, "other": -step}
        checkpoints.save(step, LoopState(one(), {"x": one()}, {}, {}), metrics)
        checkpoints.wait()
        if score is not None and np.isfinite(np.mean(score)):
            known[step] = np.mean(score)
        expected = choose(known, key=lambda step: known[step])
        assert checkpoints.best() == expected
        latest = range(max(1, step - keep + 1), step + 1)
        assert checkpoints.steps() == sorted({*latest, expected})


def test_damaged_metrics_do_not_make_another_one_the_best(fresh):
    path = fresh.directory / "00000007" / "metrics.json"
    assert fresh.best() == 7
    path.write_text(path.read_text().replace("0.1", "9.1"))
    with pytest.raises(RunError, match=r"00000007 is damaged: metrics\.json"):
        Checkpoints(fresh.directory).best()
    save(fresh.directory, [9], keep=2)  # Nor do they stop a run that goes on.
    assert fresh.steps() == [7, 9]


def test_a_checkpoint_is_written_over_by_one_of_the_same_step(fresh):
    fresh.save(7, carry(5), {"loss": 2.0})
    fresh.wait()
    assert fresh.steps() == [3, 7] and fresh.best() == 3
    assert bits(fresh.restore(7, like(carry(5)))) == bits(carry(5))


def test_what_is_saved_may_be_donated_at_once(tmp_path):
    donating = jax.jit(
        lambda tree: jax.tree.map(lambda x: x + 1, tree), donate_argnums=0
    )
    tree = {"x": jnp.arange(1000.0)}
    checkpoints = Checkpoints(tmp_path)
    for step in range(1, 4):
        checkpoints.save(step, LoopState(one(), tree, {}, {}), None)
        tree = donating(tree)
    checkpoints.wait()
    restored = checkpoints.restore(3, like(LoopState(one(), tree, {}, {})))
    np.testing.assert_array_equal(restored.state["x"], np.arange(1000.0) + 2)


def test_a_state_that_is_not_finite_is_not_saved(fresh):
    fresh.save(9, carry(9)._replace(first_nonfinite={"loss": 8 * one()}), None)
    with pytest.raises(RunError, match=r"'loss' became NaN or infinite at step 8"):
        fresh.wait()
    assert fresh.steps() == [3, 7]
    assert not list(fresh.directory.glob("unfinished-*"))


@contextmanager
def full_disk():
    """No file may grow beyond a kilobyte: as real as a full disk, and for everyone."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_failed_write_is_told_and_leaves_the_others_alone(fresh):
    large = {"x": jnp.asarray(np.random.default_rng(0).normal(size=10_000))}
    before = contents(fresh.directory)
    jnp.copy(large["x"])  # Compiles what saving does, so that no cache is written.
    with full_disk():
        fresh.save(9, LoopState(one(), large, {}, {}), None)
        with pytest.raises(RunError, match="cannot write a checkpoint in ") as caught:
            fresh.wait()
    assert "File too large" in str(caught.value)
    assert contents(fresh.directory) == before
    fresh.save(9, LoopState(one(), large, {}, {}), None)
    fresh.wait()
    assert fresh.steps() == [3, 7, 9][-2:]


@pytest.mark.parametrize("best", ["", "loss", "least loss", "min", "min ", "Max loss"])
def test_a_best_that_makes_no_sense_is_refused(tmp_path, best):
    with pytest.raises(
        UserError, match=rf"config\.best='{best}': expected 'min METRIC'"
    ):
        Checkpoints(tmp_path, best=best)


@pytest.mark.parametrize("keep", [0, -1])
def test_keeping_none_is_refused(tmp_path, keep):
    with pytest.raises(UserError, match=f"config.keep={keep}: expected at least 1"):
        Checkpoints(tmp_path, keep=keep)


def test_a_best_that_is_not_evaluated_is_refused_with_near_names(tmp_path):
    checkpoints = Checkpoints(tmp_path, best="max acuracy")
    with pytest.raises(
        UserError, match=r"'acuracy' is not evaluated\. Did you mean 'acc"
    ):
        checkpoints.save(1, carry(1), {"accuracy": 1.0, "loss": 0.0})
    assert checkpoints.steps() == []
