"""`fdl list`: the experiments of a folder, with their one-line docstrings."""

import argparse
import pathlib


def main(options: argparse.Namespace) -> int:
    """Lists experiments without importing them."""
    from fdl.cli.loading import files, name_of, summary
    from fdl.errors import UserError

    if not pathlib.Path(options.folder).is_dir():
        raise UserError(f"there is no folder {options.folder!r}: fdl list FOLDER")
    paths = files(options.folder)
    if not paths:
        raise UserError(f"there is no experiment in {options.folder!r}")
    width = max(len(name_of(path)) for path in paths)
    for path in paths:
        print(f"{name_of(path):{width}}  {summary(path)}")
    return 0
