"""Tables and texts at any width, on a terminal and elsewhere."""

import io
import re
import shlex
import shutil
import subprocess
import sys
import warnings

import pytest
from rich.console import Console
from rich.table import Column, Table

from fdl.cli.console import console, prepare, print_columns, print_table
from fdl.errors import DataWarning, printable

NAME = "encoder/block_11/attention/query_key_value/convolution_0/kernel"


def shown(width, *, terminal):
    table = Table("layer", "shape", Column("count", justify="right"))
    table.add_row(NAME, "1024 x 1024 x 3", "3,145,728")
    table.add_row("head", "", "10")
    file = io.StringIO()
    print_table(Console(file=file, width=width, force_terminal=terminal), table)
    return re.sub(r"\x1b\[[0-9;]*m", "", file.getvalue())


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("terminal", [True, False])
def test_a_table_is_cut_nowhere(width, terminal):
    text = shown(width, terminal=terminal)
    for part in (NAME, "1024 x 1024 x 3", "3,145,728", "shape"):
        assert part in text
    assert "…" not in text
    # A pipe has lines of any length, so that each row stays one.
    assert ("┃" in text) == (width == 200 or not terminal)


def test_where_there_is_little_room_there_are_no_lines():
    head, first, second = shown(94, terminal=True).splitlines()
    assert head.split() == ["layer", "shape", "count"]
    assert first.split("  ")[0] == NAME and first.rstrip().endswith("3,145,728")
    assert second.split() == ["head", "10"]


def test_a_last_column_of_texts_is_wrapped_between_words():
    table, file = Table("run", "config"), io.StringIO()
    table.add_row("runs/a", ", ".join(f"key_{i}=0.125" for i in range(9)))
    print_table(Console(file=file, width=40, force_terminal=True), table)
    lines = file.getvalue().splitlines()
    assert max(map(len, lines)) < 60  # With the escapes of its styles.
    assert len(re.findall(r"key_\d=0\.125", file.getvalue())) == 9 and len(lines) == 6


def test_where_there_is_no_room_rows_are_blocks():
    assert shown(70, terminal=True).splitlines() == [
        NAME,
        "  shape  1024 x 1024 x 3",
        "  count  3,145,728",
        "head",
        "  count  10",
    ]


@pytest.mark.parametrize("width", [24, 60, 80])
def test_the_last_column_is_wrapped_between_words(width):
    words = [f"word-{i}" for i in range(30)]
    file = io.StringIO()
    print_columns([("a", " ".join(words)), ("bc", "")], file=file, width=width)
    lines = file.getvalue().splitlines()
    assert " ".join(" ".join(lines).split()) == f"a {' '.join(words)} bc"
    assert max(map(len, lines)) <= width
    assert all(line.startswith("    word") for line in lines[1:-1])


def test_columns_in_a_pipe_are_lines_of_any_length(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    print_columns([("name", "word " * 30), ("a", "b")])
    first, second = capsys.readouterr().out.splitlines()
    assert first == "name  " + "word " * 30 and second == "a     b"


def test_on_a_terminal_its_width_counts(capsys, monkeypatch):
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    monkeypatch.setattr(
        shutil, "get_terminal_size", lambda **_: shutil.os.terminal_size((40, 9))
    )
    print_columns([("name", "word " * 30)])
    assert max(map(len, capsys.readouterr().out.splitlines())) <= 40


@pytest.mark.parametrize(
    "text, expected",
    [
        ("a b é 数", "a b é 数"),
        ("\x1b[2J\x07", r"\x1b[2J\x07"),
        ("a\u202eb\x9b", r"a\u202eb\x9b"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text, expected):
    assert printable(text) == expected
    file = io.StringIO()
    print_columns([(text, f"{text}\n")], file=file)
    assert file.getvalue() == f"{expected}  {expected}\\n\n"


@pytest.mark.parametrize("columns", ["0", "000", ""])
def test_a_terminal_of_no_columns_is_one_of_unknown_width(monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    out = console(file=io.StringIO(), force_terminal=True)
    table = Table("metric", "value")
    table.add_row("loss", "0.5")
    print_table(out, table)
    assert out.width >= 80 and "loss" in out.file.getvalue()


def test_no_file_takes_the_place_of_a_stream_that_was_closed(tmp_path):
    """Else what is printed there, be it by a library, would be written into it."""
    code = (
        "from fdl.cli.console import prepare\n"
        "prepare()\n"
        "file = open('number', 'w')\n"
        "print(file.fileno(), file=file)\n"
    )
    command = f"exec {shlex.quote(sys.executable)} -c {shlex.quote(code)}"
    subprocess.run(f"{command} <&- >&- 2>&-", shell=True, cwd=tmp_path, check=True)
    assert int((tmp_path / "number").read_text()) > 2


def test_doubts_about_the_data_are_one_line_and_other_warnings_as_ever(capsys):
    with pytest.warns(UserWarning, match="other"):
        prepare()
        warnings.warn("2 of 500 texts", DataWarning, stacklevel=1)
        warnings.warn("other", UserWarning, stacklevel=1)
    assert capsys.readouterr().err == "fdl: 2 of 500 texts\n"
