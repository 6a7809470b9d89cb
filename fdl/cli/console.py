"""Console output, safe against closed streams and missing encodings."""

import contextlib
import itertools
import os
import select
import shutil
import sys
import textwrap
import warnings
from collections.abc import Sequence
from typing import Any, TextIO

from fdl.errors import DataWarning, printable

_SHOW_WARNING = warnings.showwarning


def console(**options: Any) -> Any:
    """Rich console that prints a text as it is, with its [brackets] and :colons:.

    What could control the terminal, wherever it is from, is made printable here, in
    `say`, `write` and `warn`, and nowhere else.

    Args:
      **options: Further arguments of `rich.console.Console`.
    """
    # Rich takes a fifth of a second: `fdl --help` goes without it.
    from rich.console import Console

    class Printable(Console):
        def render_str(self, text, **style):
            """Renders a text, be it a line of its own or a cell of a table."""
            return super().render_str(printable(text), **style)

        def on_broken_pipe(self):
            """Passes the error on, to those who say what is left of a run."""
            raise  # Rich calls it while it handles the error.

    plain: dict[str, Any] = {"soft_wrap": True}
    plain |= {"markup": False, "emoji": False, "highlight": False}
    # Some shells without a terminal say 0, which Rich takes for a width.
    if not os.environ.get("COLUMNS", "1").strip("0"):
        plain["width"] = shutil.get_terminal_size().columns
    return Printable(**{**plain, **options})


def say(text: str, **options: Any) -> None:
    """Prints a line; the options are those of `print`."""
    print(printable(text), **options)


def write(text: str) -> None:
    """Writes text as it is into a file or pipe, and printable on a terminal."""
    sys.stdout.write(printable(text) if sys.stdout.isatty() else text)


def print_table(out: Any, table: Any) -> None:
    """Prints a table of which nothing is cut.

    Where it does not fit, it has no lines, a last column of texts is wrapped between
    words, or else it is printed row by row. A file and a pipe take any width.

    Args:
      out: Console to print on.
      table: Rich table, whose cells are texts.
    """
    *_, last = table.columns
    for column in table.columns:
        column.no_wrap = column is not last or last.justify == "right"
    # Room for the last column, if it is wrapped: for its words, and for some of them.
    words = " ".join(map(str, last.cells)).split()
    some = max(30, *map(len, words)) if words and not last.no_wrap else None
    unbounded = out.options.update(width=1_000_000)
    ways = [*itertools.product(dict.fromkeys((None, some)), (table.box, None))]
    for last.max_width, box in ways:
        table.box, table.pad_edge = box, box is not None
        width = out.measure(table, options=unbounded).maximum
        if width <= out.width or not out.is_terminal:
            last.max_width = None
            # Rich cuts what is wider than its console: 80 columns for a pipe.
            console(file=out.file, width=max(width, out.width)).print(table)
            return
    if table.title:
        out.print(table.title)
    names = [column.header for column in table.columns[1:]]
    for head, *rest in zip(*(column.cells for column in table.columns), strict=True):
        say(head, file=out.file)
        indent = " " * (len(head) - len(head.lstrip()) + 2)
        cells = zip(names, rest, strict=True)
        rows = [(indent + name, text) for name, text in cells if text]
        print_columns(rows, file=out.file, width=out.width)


def print_columns(
    rows: Sequence[tuple[str, ...]],
    *,
    file: TextIO | None = None,
    width: int | None = None,
) -> None:
    """Prints aligned columns without lines, the last one wrapped between words.

    Args:
      rows: Texts of each row, of equal number.
      file: File to print to; default: standard output.
      width: Width of a line; default: that of the terminal, or any elsewhere.
    """
    if width is None and sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
    rows = [tuple(printable(x).replace("\n", "\\n") for x in row) for row in rows]
    sizes = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = zip(row[:-1], sizes, strict=False)
        head = "".join(f"{cell:{size}}  " for cell, size in cells)
        say(_wrapped(head, row[-1], width), file=file)


def _wrapped(head: str, text: str, width: int | None) -> str:
    """Text behind a head, in lines that begin below its own beginning."""
    if width is None:
        return head + text
    # Below a head that leaves no room, they begin at the left.
    indent = " " * (len(head) if len(head) + 20 <= width else 4)
    return (
        textwrap.fill(
            text,
            width,
            initial_indent=head,
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        or head.rstrip()
    )


def prepare() -> None:
    """Keeps output from failing at a character without encoding, or a closed stream.

    Warnings of fdl itself are shown in one line, without the place in its code.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            # The next file that is opened would take its place, and with it whatever
            # is printed there, by the libraries of other languages too.
            os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        stream: Any = getattr(sys, name)
        # Python sets a stream to None if its file descriptor was closed at the start.
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    warnings.showwarning = _show_warning


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    if issubclass(category, DataWarning):
        warn(str(message))
    else:
        _SHOW_WARNING(message, category, filename, lineno, file, line)


def reader_gone() -> bool:
    """True if nobody reads the output any more, as of ``fdl list | head -1``."""
    poll = select.poll()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # It may be no file, or closed.
            poll.register(stream.fileno(), 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def silence() -> None:
    """Discards all further output, after its reader has gone."""
    # Redirected rather than closed: Python flushes standard output once more at exit.
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())
    os.close(devnull)


def warn(text: str) -> None:
    """Prints a warning on a line of its own."""
    say(f"fdl: {text}", file=sys.stderr)
