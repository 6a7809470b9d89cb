"""Format numbers of what fdl writes into folders and reads again."""

import pathlib

from fdl.errors import UserError


def check_format(place: pathlib.Path, found: object, expected: int) -> None:
    """Compares the format number of a file or folder with the one that is read here.

    Args:
      place: Path of the file or folder, for the error message.
      found: Format number that was read there; None if there was none.
      expected: Format number that this version of fdl reads and writes.

    Raises:
      UserError: They differ.

    Example:
      >>> check_format(pathlib.Path("a"), 7, 1)
      Traceback (most recent call last):
      fdl.errors.UserError: a: format 7 is of another version of fdl: this one reads 1
    """
    # Not `==` alone: True and 1.0 equal 1, and no version of fdl writes them.
    if type(found) is int and found == expected:
        return
    shown = "no format number" if found is None else f"format {found!r}"
    raise UserError(
        f"{place}: {shown} is of another version of fdl: this one reads {expected}"
    )
