"""What a run leaves to read."""

import json
import math
import pathlib
import resource
import struct
import warnings

import numpy as np
import pytest

from fdl.errors import RunError
from fdl.runs import log, metric_plots, tensorboard


def write(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def test_lines_are_written_as_they_come(tmp_path):
    path = tmp_path / "metrics.jsonl"
    file = log.JsonLines(path, 0)
    for step in range(3):
        file.write({"step": step, "x": [0.1, None]})
        assert log.read_lines(path)[-1] == {"step": step, "x": [0.1, None]}
    file.sync()
    file.close()
    assert len(path.read_text().splitlines()) == len(log.read_lines(path)) == 3


@pytest.mark.parametrize("until, kept", [(0, 0), (4, 1), (5, 2), (6, 2), (100, 3)])
def test_what_will_be_written_again_is_dropped(tmp_path, until, kept):
    path = tmp_path / "metrics.jsonl"
    rows = [{"stages": {}}, {"step": 4}, {"step": 5}, {"step": 7}]
    write(path, *rows)
    log.JsonLines(path, until).close()
    assert log.read_lines(path) == rows[: kept + 1]


@pytest.mark.parametrize("length", [1, 5, 19, 20])
def test_a_line_that_was_written_in_part_is_dropped(tmp_path, length):
    path = tmp_path / "metrics.jsonl"
    write(path, {"step": 1}, {"step": 2})
    whole = path.read_bytes()
    path.write_bytes(whole + b'{"step": 3, "x": 1.25}'[:length])
    assert log.read_lines(path) == [{"step": 1}, {"step": 2}]
    log.JsonLines(path, 5).close()
    assert path.read_bytes() == whole


DAMAGE = [b"{", b"", b"5", b"\xff", b'["step"]', b"\0" * 9]
FOREIGN = [b"[" * 10**5, b'{"step": "2"}', b'{"step": true}', b'{"step": 2.5}', b"{}"]
FOREIGN += [b'{"step": 1, "eval/loss": %s}' % x for x in (b'"2"', b"{}", b"[[1], 2]")]
FOREIGN += [b'{"step": 1, "eval/loss": 1%s}' % (b"0" * 400), b'{"stages": 5}']
FOREIGN += [b'{"stages": {"imports": "2"}}', b'{"step": 1, "gradient": {"a": "b"}}']


@pytest.mark.parametrize("damage", DAMAGE + FOREIGN)
def test_a_damaged_line_is_named_and_nothing_dropped_for_it(tmp_path, damage):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1}\n' + damage + b'\n{"step": 3}\n')
    before = path.read_bytes()
    with pytest.raises(RunError, match=f"{path} is damaged: line 2"):
        log.JsonLines(path, 5)
    assert path.read_bytes() == before


@pytest.mark.parametrize("how", ["removed", "replaced", "folder"])
def test_a_line_that_nobody_would_find_is_an_error(tmp_path, how):
    path = tmp_path / "run/metrics.jsonl"
    path.parent.mkdir()
    file = log.JsonLines(path, 0)
    file.write({"step": 1})
    if how == "folder":
        path.parent.rename(tmp_path / "moved")
    else:
        path.unlink()
    if how == "replaced":
        path.write_text("")
    for call in (lambda: file.write({"step": 2}), file.sync):
        with pytest.raises(RunError, match=f"^{path} was removed or replaced by"):
            call()
    file.close()


def test_what_is_no_number_is_no_json(tmp_path):
    file = log.JsonLines(tmp_path / "metrics.jsonl", 0)
    with pytest.raises(ValueError, match="not JSON compliant"):
        file.write({"x": math.nan})
    file.close()


def test_a_line_that_does_not_fit_is_an_error_that_names_the_file(tmp_path):
    path = tmp_path / "metrics.jsonl"
    file = log.JsonLines(path, 0)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30, limits[1]))
    try:
        file.write({"step": 1})
        with pytest.raises(RunError, match=f"cannot write {path}: File too large"):
            file.write({"step": 2, "x": "more than 30 bytes"})
        file.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert log.read_lines(path) == [{"step": 1}]


def test_metrics_as_json_has_them():
    values = {"a": np.float32(0.1), "b": np.array([1.0, np.nan]), "c": math.inf}
    expected = {"x/a": float(np.float32(0.1)), "x/b": [1.0, None], "x/c": None}
    assert log.to_json(values, "x") == expected
    assert json.loads(json.dumps(log.to_json(values, "x"))) == expected


ROWS = {
    "one seed": [{"step": s, "train/loss": 1 / s, "eval/loss": s} for s in (1, 2, 3)],
    "three seeds": [{"step": s, "train/loss": [s, s + 1, s * s]} for s in (1, 2, 3)],
    "one point": [{"step": 1, "train/loss": 1.0, "train/error": 2.0}],
    "gaps": [
        {"step": 1, "train/return": None, "eval/return": [None, None]},
        {"step": 2, "train/return": 1.0, "eval/return": [None, 2.0]},
    ],
    "nothing": [],
    "what no axis holds": [
        {"step": s, "train/loss": 10.0**e, "train/a/x": [10.0**e, -(10.0**e), 1.0]}
        for s, e in ((1, -308), (2, 0), (3, 308))
    ],
    "what no font has": [{"step": s, "eval/\ud800\x1b/$": float(s)} for s in (1, 2)],
    "many": [{"step": s, **{f"eval/m{i}": s * i for i in range(5)}} for s in (1, 2)],
}


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
@pytest.mark.some(2)
def test_curves_are_a_picture_and_need_no_warning(tmp_path, rows):
    from matplotlib.image import imread

    write(tmp_path / "metrics.jsonl", *rows)
    write(tmp_path / "run.json", {"experiment": "a/\ud800b", "seeds": 3})
    write(tmp_path / "config.json", {})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        path = metric_plots.draw(tmp_path)
        metric_plots.draw_comparison(tmp_path)
    picture = imread(path)
    assert picture.shape[0] > 300 and picture.shape[1] > 500
    if rows:
        colours = np.ascontiguousarray((255 * picture).astype(np.uint8)).view(np.uint32)
        assert len(np.unique(colours)) > 10


def test_layers_are_drawn_whatever_their_norms_and_names(tmp_path):
    norms = {"\ud800$": [1e308, 1e308, 0.0], "b": 1e-320}
    write(tmp_path / "layers.jsonl", {"step": 0, "gradient": norms, "activation": {}})
    write(tmp_path / "run.json", {"experiment": "a", "seeds": 3})
    write(tmp_path / "config.json", {})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert metric_plots.draw_layers(tmp_path).exists()


def test_curves_are_the_same_each_time(tmp_path):
    write(tmp_path / "metrics.jsonl", *ROWS["three seeds"])
    write(tmp_path / "run.json", {"experiment": "a/b", "seeds": 3})
    write(tmp_path / "config.json", {})
    first = metric_plots.draw(tmp_path).read_bytes()
    assert metric_plots.draw(tmp_path).read_bytes() == first


def read_events(directory: pathlib.Path):
    """TensorBoard's format: length, checksum, event, checksum; one file a process."""
    event_pb2 = pytest.importorskip("tensorboardX").proto.event_pb2
    found = []
    for path in sorted(directory.glob("*tfevents*")):
        content, place = path.read_bytes(), 0
        while place < len(content):
            (length,) = struct.unpack_from("<Q", content, place)
            event = event_pb2.Event.FromString(
                content[place + 12 : place + 12 + length]
            )
            found.append(event)
            place += length + 16
    return found


def test_events_are_there_as_soon_as_they_are_written(tmp_path):
    pytest.importorskip("tensorboardX")
    events = tensorboard.Events(tmp_path / "tensorboard", 0)
    events.write(4, {"epoch": 1.0, "train/loss": 0.5, "train/x": None})
    events.write(6, {"eval/loss": [1.0, 2.0, 6.0]})
    events.write(8, {"eval/x": [1.0, None, 2.0], "eval/y": [None, None]})
    found = [
        (event.step, value.tag, value.simple_value)
        for event in read_events(tmp_path / "tensorboard")
        for value in event.summary.value
    ]
    assert found == [
        (4, "train/loss", 0.5),
        (6, "eval/loss", 3.0),
        (8, "eval/x", 1.5),  # Of the seeds that have a number.
    ]
    events.close()


def test_events_behind_the_place_where_a_run_goes_on_are_purged(tmp_path):
    pytest.importorskip("tensorboardX")
    tensorboard.Events(tmp_path / "tensorboard", 7).close()
    starts = [
        event.step
        for event in read_events(tmp_path / "tensorboard")
        if event.HasField("session_log") and event.session_log.status == 1
    ]
    assert starts == [8]


@pytest.mark.parametrize("clock", [[900.0, 900.0, 900.5], [900.0, 800.0, 850.0]])
@pytest.mark.parametrize("again", [0, 2])
def test_sessions_within_a_second_or_before_it_keep_their_events_and_their_order(
    tmp_path, monkeypatch, clock, again
):
    """Each session goes on from a step, and writes the two after it."""
    event_pb2 = pytest.importorskip("tensorboardX").proto.event_pb2
    for now, start in zip(clock, (0, again, 2 * again), strict=True):
        monkeypatch.setattr(tensorboard.time, "time", lambda now=now: now)
        events = tensorboard.Events(tmp_path / "tensorboard", start)
        for step in (start + 1, start + 2):
            events.write(step, {"train/loss": float(step)})
        events.close()
    found = read_events(tmp_path / "tensorboard")
    begun = event_pb2.SessionLog.START
    seen = [(e.step, e.session_log.status == begun) for e in found if e.step]
    one, two, three = ([(s + 1, False), (s + 2, False)] for s in (0, again, 2 * again))
    assert seen == [*one, (again + 1, True), *two, (2 * again + 1, True), *three]


def test_events_are_what_tensorboard_reads(tmp_path):
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    )
    pytest.importorskip("tensorboardX")
    for start in (0, 1):
        events = tensorboard.Events(tmp_path / "tensorboard", start)
        for step in (start + 1, start + 2):
            events.write(step, {"train/loss": step / 4, "train/\ud800$": 1e308})
        events.close()
    read = accumulator.EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [(e.step, e.value) for e in read.Scalars("train/loss")] == [
        (1, 0.25),
        (2, 0.5),
        (3, 0.75),
    ]
