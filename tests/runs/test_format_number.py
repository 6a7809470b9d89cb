"""Format numbers: what another version of fdl wrote is refused in one line."""

import pathlib

import pytest

from fdl.errors import UserError
from fdl.runs.format_number import check_format

PLACE = pathlib.Path("runs/a")


def test_the_same_number_passes():
    check_format(PLACE, 3, 3)


@pytest.mark.parametrize("found", [0, 2, 4, -3, "3", 3.0, [3], {}])
def test_another_is_named(found):
    line = f"runs/a: format {found!r} is of another version of fdl: this one reads 3"
    with pytest.raises(UserError) as caught:
        check_format(PLACE, found, 3)
    assert str(caught.value) == line


def test_true_is_not_one():
    with pytest.raises(UserError, match="format True is of another"):
        check_format(PLACE, True, 1)


def test_a_missing_number_is_another():
    with pytest.raises(UserError, match=r"^runs/a: no format number is of another ver"):
        check_format(PLACE, None, 1)
