"""What a run has written down, as pictures in its folder."""

import pathlib
import re
from typing import Any

import numpy as np

from fdl import pictures
from fdl.pictures.curves import Points, arms_of
from fdl.train.folder import read_json, writing
from fdl.train.report import lines

FOLDER = "pictures"


def draw(workdir: pathlib.Path) -> pathlib.Path:
    """Draws every metric over the steps into ``curves.png``, seeds as a shade.

    Returns:
      The path of the picture.

    Raises:
      RunError: It cannot be written.
    """
    rows = lines(workdir / "metrics.jsonl")
    figure = pictures.curves(series(rows), order(rows), title=heading(workdir))
    path = workdir / "curves.png"
    with writing(path):
        return pictures.save(figure, path)


def draw_arms(workdir: pathlib.Path) -> pathlib.Path | None:
    """Draws the last evaluation of each arm into ``pictures/arms.png``.

    Returns:
      The path of the picture; None where nothing is called ``arm/metric``.

    Raises:
      RunError: It cannot be written.
    """
    rows = lines(workdir / "metrics.jsonl")
    found = series(rows)
    last: dict[str, dict[str, np.ndarray]] = {}
    steps = set()
    for arm in order(rows):
        for name, splits in found.items():
            before, _, metric = name.rpartition("/")
            if before == arm and "eval" in splits:
                last.setdefault(metric, {})[arm] = splits["eval"][1][-1]
                steps.add(splits["eval"][0][-1])
    if not last:
        return None
    title = f"{heading(workdir)}, evaluation at step {max(steps)}"
    return save(pictures.arms(last, title=title), workdir, "arms.png")


def draw_layers(workdir: pathlib.Path) -> pathlib.Path | None:
    """Draws the norms of each layer into ``pictures/layers.png``.

    Returns:
      The path of the picture; None where there are none.

    Raises:
      RunError: It cannot be written.
    """
    rows = lines(workdir / "layers.jsonl")
    if not rows:
        return None
    steps = [row["step"] for row in rows]
    parts = [
        {name: _column(rows, kind, name) for name in rows[0][kind]}
        for kind in ("gradient", "activation")
    ]
    seeds = read_json(workdir / "run.json")["seeds"]
    more = f", median of {seeds} seeds" if seeds > 1 else ""
    title = read_json(workdir / "run.json")["experiment"] + more
    return save(pictures.layer_norms(steps, *parts, title=title), workdir, "layers.png")


def save(figure: Any, workdir: pathlib.Path, name: str) -> pathlib.Path:
    """Writes a picture into ``pictures/`` of a run folder; `RunError` if it cannot."""
    path = workdir / FOLDER / name
    with writing(path):
        path.parent.mkdir(exist_ok=True)
        return pictures.save(figure, path)


def heading(workdir: pathlib.Path) -> str:
    """What was run, and over how many seeds."""
    run = read_json(workdir / "run.json")
    seeds = f" ({run['seeds']} seeds: their mean and its 95 % interval)"
    return run["experiment"] + (seeds if run["seeds"] > 1 else "")


def series(rows: list[dict[str, Any]]) -> dict[str, dict[str, Points]]:
    """Lines of a run by metric and by split: steps [T], and values [T, S]."""
    found: dict[str, dict[str, list]] = {}
    for row in rows:
        for key, value in row.items():
            split, _, name = key.partition("/")
            if name and value is not None:
                values = np.ravel(value).astype(float)
                found.setdefault(name, {}).setdefault(split, []).append(
                    (row["step"], values)
                )
    return {
        name: {
            split: ([step for step, _ in points], np.array([x for _, x in points]))
            for split, points in splits.items()
        }
        for name, splits in found.items()
    }


def order(rows: list[dict[str, Any]]) -> list[str]:
    """The arms as the evaluation has them; by their numbers, if that is by letters.

    What goes through a compiled program comes back in the order of the alphabet, with
    width 16 in front of width 2.
    """
    keys = [key.partition("/") for row in rows for key in row]
    splits = sorted({split for split, _, _ in keys}, key=lambda split: split != "eval")
    names = [name for split in splits for s, _, name in keys if s == split]
    arms = arms_of(dict.fromkeys(names))

    def natural(arm):
        parts = re.split(r"(\d+(?:\.\d+)?)", arm)
        return [(float(p), "") if i % 2 else (0.0, p) for i, p in enumerate(parts)]

    return sorted(arms, key=natural) if arms == sorted(arms) else arms


def _column(rows: list[dict[str, Any]], kind: str, name: str) -> np.ndarray:
    return np.array([np.ravel(row[kind].get(name)).astype(float) for row in rows])
