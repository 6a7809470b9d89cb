"""Batches are a pure function of the seed and the step."""

import importlib.util
import os
import pathlib
import re
import signal
import subprocess
import sys
from itertools import islice

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import fdl.data
from fdl.errors import UserError

SIZE = 23
ARRAYS: dict[str, np.ndarray] = {
    "image": np.random.default_rng(0).integers(256, size=(SIZE, 2, 2), dtype=np.uint8),
    "id": np.arange(SIZE, dtype=np.int32),
    "weight": np.linspace(0, 1, SIZE, dtype=np.float32),
}
RECORDS = [{k: v[i] for k, v in ARRAYS.items()} for i in range(SIZE)]
SOURCES = {"arrays": ARRAYS, "records": RECORDS}
OPTIONS = [
    {"shuffle": shuffle, "drop_remainder": drop_remainder}
    for shuffle in (True, False)
    for drop_remainder in (True, False)
]
every_source = pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
every_option = pytest.mark.parametrize(
    "options", OPTIONS, ids=lambda o: "-".join(k for k, v in o.items() if v) or "plain"
)


def taken(batches, start, num_steps):
    take, data = jax.jit(batches.take), jax.device_put(batches.data)
    return [take(data, item) for item in islice(batches.stream(start), num_steps)]


@pytest.mark.parametrize("size", [1, 2, 1000])
@pytest.mark.parametrize("epoch", [0, 1, 7])
def test_order_is_a_permutation_that_seed_and_epoch_decide(size, epoch):
    order = fdl.data.order(3, epoch, size)
    assert order.dtype == np.int32
    np.testing.assert_array_equal(np.sort(order), np.arange(size))
    np.testing.assert_array_equal(order, fdl.data.order(3, epoch, size))
    if size > 2:
        assert (order != fdl.data.order(4, epoch, size)).any()
        assert (order != fdl.data.order(3, epoch + 1, size)).any()


def test_order_never_changes():
    """Runs are resumed years later: these are the numbers of Philox4x64-10."""
    raw = np.random.Philox(key=np.array([5, 2], np.uint64)).random_raw(6)
    expected = sorted(range(6), key=lambda i: int(raw[i]))
    assert fdl.data.order(5, 2, 6).tolist() == expected == [3, 5, 2, 1, 0, 4]


def test_order_puts_each_example_everywhere_equally_often():
    counts = np.zeros((4, 4))
    for seed in range(2000):
        counts[np.arange(4), fdl.data.order(seed, 0, 4)] += 1
    # Nine degrees of freedom: chi-squared exceeds 33.7 once in ten thousand times.
    assert ((counts - 500) ** 2 / 500).sum() < 33.7


@every_source
@every_option
def test_an_epoch_has_each_example_once(source, options):
    batches = fdl.data.batches(source, 5, seed=1, **options)
    assert batches.steps_per_epoch == (4 if options["drop_remainder"] else 5)
    for epoch in range(3):
        start = epoch * batches.steps_per_epoch
        seen = []
        for batch in taken(batches, start, batches.steps_per_epoch):
            mask = batch.get("mask", jnp.ones(5))
            seen += np.asarray(batch["id"])[np.asarray(mask) > 0].tolist()
        assert len(seen) == len(set(seen)) == (20 if options["drop_remainder"] else 23)
        order = fdl.data.order(1, epoch, SIZE) if options["shuffle"] else range(SIZE)
        assert seen == list(order)[: len(seen)]


@every_source
@every_option
@pytest.mark.parametrize("start", [1, 4, 5, 13])
def test_a_stream_from_any_step_is_the_tail_of_the_whole(source, options, start):
    batches = fdl.data.batches(source, 5, seed=1, **options)
    whole = taken(batches, 0, start + 6)
    chex.assert_trees_all_equal(whole[start:], taken(batches, start, 6))


@every_option
@pytest.mark.parametrize("prefetch", [0, 3])
def test_records_give_the_same_batches_as_arrays(options, prefetch):
    expected = fdl.data.batches(ARRAYS, 5, seed=2, **options)
    actual = fdl.data.batches(RECORDS, 5, seed=2, prefetch=prefetch, **options)
    batches = taken(actual, 3, 9)
    chex.assert_trees_all_equal(taken(expected, 3, 9), batches)
    chex.assert_trees_all_equal_dtypes(taken(expected, 3, 9), batches)


EXPERIMENT = """
from worker_beside import same

class Records(list):
    def __getitem__(self, index):
        return {name: same(x) for name, x in super().__getitem__(index).items()}
"""


@pytest.mark.slow
def test_worker_processes_change_nothing(tmp_path, monkeypatch):
    """Of a source in the file of an experiment, which uses a module beside it."""
    (tmp_path / "own.py").write_text(EXPERIMENT)
    (tmp_path / "worker_beside.py").write_text("def same(x):\n    return x\n")
    spec = importlib.util.spec_from_file_location("experiment", tmp_path / "own.py")
    monkeypatch.setitem(sys.modules, spec.name, importlib.util.module_from_spec(spec))
    with monkeypatch.context() as building:
        building.syspath_prepend(tmp_path)
        spec.loader.exec_module(sys.modules[spec.name])
        source = sys.modules[spec.name].Records(RECORDS)
        batches = fdl.data.batches(source, 5, seed=2, num_workers=2, prefetch=1)
    expected = fdl.data.batches(RECORDS, 5, seed=2).stream(3)
    actual = batches.stream(3)
    chex.assert_trees_all_equal(list(islice(expected, 7)), list(islice(actual, 7)))
    actual.close()


READ_FOREVER = """
import os, signal, sys
import numpy as np
import fdl.data

if __name__ == "__main__":
    records = [{"x": np.float32(i)} for i in range(64)]
    for batch in fdl.data.batches(records, 8, num_workers=2).stream(0):
        print(os.getpid(), flush=True)
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_workers_end_with_the_main_process_and_in_silence(tmp_path, number):
    (tmp_path / "main.py").write_text(READ_FOREVER)
    process = subprocess.Popen(
        [sys.executable, tmp_path / "main.py"],
        env={**os.environ, "PYTHONPATH": str(pathlib.Path(fdl.__file__).parents[1])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    for _ in range(20):
        assert process.stdout.readline()
    if number == signal.SIGINT:  # As from a terminal, to all of them.
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    # The pipes are closed when the last of the processes has ended.
    _, error = process.communicate(timeout=20)
    names = re.findall(r"Process (\S+)", error)
    assert names == [] and error.count("Traceback") == (number == signal.SIGINT)


@every_source
def test_the_last_batch_is_filled_up_and_masked(source):
    *_, last = taken(fdl.data.batches(source, 5, shuffle=False), 0, 5)
    np.testing.assert_array_equal(last["id"], [20, 21, 22, 0, 1])
    np.testing.assert_array_equal(last["mask"], np.array([1, 1, 1, 0, 0], np.float32))
    assert last["mask"].dtype == np.float32


@every_source
@pytest.mark.parametrize(
    "batch_size, drop_remainder", [(23, False), (5, True), (1, False)]
)
def test_there_is_no_mask_where_all_batches_are_full(
    source, batch_size, drop_remainder
):
    batches = fdl.data.batches(source, batch_size, drop_remainder=drop_remainder)
    assert all("mask" not in batch for batch in taken(batches, 0, 30))


@every_source
def test_taking_is_traced_once(source):
    chex.clear_trace_counter()
    batches = fdl.data.batches(source, 5)
    take = jax.jit(chex.assert_max_traces(lambda *x: batches.take(*x), n=1))
    for item in islice(batches.stream(0), 12):
        take(batches.data, item)


def test_items_of_arrays_are_indices_only():
    batches = fdl.data.batches(ARRAYS, 23)
    (item,) = islice(batches.stream(0), 1)
    assert item.keys() == {"index"}
    assert item["index"].dtype == np.int32
    assert all(batches.data[name] is ARRAYS[name] for name in ARRAYS)


@every_source
def test_a_seed_decides_the_order_and_nothing_else(source):
    one, same, other = (fdl.data.batches(source, 5, seed=s) for s in (1, 1, 2))
    chex.assert_trees_all_equal(taken(one, 0, 3), taken(same, 0, 3))
    differs = taken(one, 0, 3)[0]["id"] != taken(other, 0, 3)[0]["id"]
    assert differs.any()
    assert one.fingerprint == other.fingerprint
    assert (one.per_step, one.unit) == (5, "examples")


def test_text_is_left_out_and_wide_types_become_narrow():
    records = [{"name": f"{i}", "id": np.int64(i), "x": float(i)} for i in range(4)]
    (batch,) = taken(fdl.data.batches(records, 4, shuffle=False), 0, 1)
    expected = {"id": np.arange(4, dtype=np.int32), "x": np.arange(4, dtype=np.float32)}
    chex.assert_trees_all_equal(batch, expected)
    chex.assert_trees_all_equal_dtypes(batch, expected)


@pytest.mark.parametrize(
    "source, batch_size, message",
    [
        (ARRAYS, 24, "batch_size=24: expected at most 23"),
        (RECORDS, 24, "batch_size=24: expected at most 23"),
        (ARRAYS, 0, "batch_size=0"),
        (ARRAYS, -1, "batch_size=-1"),
        (ARRAYS, 2.5, "batch_size=2.5"),
        (ARRAYS, True, "batch_size=True"),
        ({"a": np.zeros(3), "b": np.zeros(4)}, 2, "equal length, got {'a': 3, 'b': 4}"),
        ({"a": np.zeros((0, 2))}, 1, "at least one example"),
        ({}, 1, "at least one example"),
        ([], 1, "at least one example"),
        ({"a": [1, 2]}, 1, "'a': expected an array"),
        ({"a": np.float32(1)}, 1, "'a': expected an array"),
        ({"a": np.array(["x", "y"])}, 1, "'a': expected numbers"),
        ({"mask": np.zeros(2)}, 1, "'mask'"),
        ([{"mask": np.zeros(2)}], 1, "'mask'"),
        ([1, 2], 1, "expected a dict"),
        ((np.zeros((40, 2)), np.zeros(40)), 32, "expected a dict of arrays"),
        ([{"a": "text"}], 1, "got only a"),
        (7, 1, "source=7: expected"),
    ],
)
def test_what_is_wrong_is_told(source, batch_size, message):
    with pytest.raises(UserError, match=message.replace("{", "\\{")):
        fdl.data.batches(source, batch_size)


@pytest.mark.parametrize("seed", [-1, 2**64, 0.5])
def test_a_seed_is_a_natural_number(seed):
    with pytest.raises(UserError, match="seed="):
        fdl.data.batches(ARRAYS, 5, seed=seed)


def test_examples_of_different_shapes_are_told():
    records = [{"x": np.zeros(2)}, {"x": np.zeros(3)}]
    stream = fdl.data.batches(records, 2, prefetch=0).stream(0)
    with pytest.raises(UserError, match="'x': expected one shape"):
        next(stream)


def test_integers_that_do_not_fit_are_told():
    with pytest.raises(UserError, match="within 32 bits"):
        fdl.data.batches([{"x": np.int64(2**40)}] * 2, 2)


def test_numbers_that_a_device_would_make_infinite_are_told():
    numbers = np.array([1, np.inf, -1e39])
    message = r"'x': expected numbers within 3\.4e\+38, as of float32, got -1e\+39"
    with pytest.raises(UserError, match=message):
        fdl.data.batches({"x": numbers}, 1)
    with pytest.raises(UserError, match=message):
        next(fdl.data.batches([{"x": x} for x in numbers], 3, prefetch=0).stream(0))
    with jax.enable_x64(True):
        fdl.data.batches({"x": numbers}, 1)
    fdl.data.batches({"x": numbers[:2]}, 1)


@pytest.mark.parametrize("numbers", [np.array([2**40, 1]), np.array([2**32], "uint64")])
def test_numbers_that_a_device_would_wrap_are_told(numbers):
    with pytest.raises(UserError, match=r"'x': expected integers within 32 bits"):
        fdl.data.batches({"x": numbers}, 1)
    with jax.enable_x64(True):
        fdl.data.batches({"x": numbers}, 1)
