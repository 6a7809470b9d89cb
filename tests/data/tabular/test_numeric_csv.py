"""CSV files of numbers: what is read, and every mistake told in a line."""

import pytest

from fdl.data.tabular.numeric_csv import read_numeric_csv
from fdl.errors import UserError


def write(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode(encoding))
    return path


@pytest.mark.parametrize("header", ["", "a,b\n", "\ufeffa,b\r\n"])
def test_columns_without_names_stand_as_they_are(tmp_path, header):
    path = write(tmp_path, f"{header}1,2\n3,4\n")
    assert read_numeric_csv(path, 2).tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize("text", ["1\n2\n", "x\n1\n2\n\n\r\n"])
def test_empty_lines_at_the_end_are_no_rows(tmp_path, text):
    assert read_numeric_csv(write(tmp_path, text), 1).tolist() == [[1], [2]]


BAD = {
    "a text": ("a,b\n1,2\n1,x\n", "t.csv:3: column 'b': expected a number, got 'x'"),
    "a text without names": (
        "1,2\n1,x\n",
        "t.csv:2: column '2': expected a number, got 'x'",
    ),
    "nothing": ("a,b\n1,\n", "t.csv:2: column 'b': expected a number, got ''"),
    "no values": ("a,b\n1,2\n,\n3,4\n", "t.csv:3: column 'a': expected a number"),
    "an empty line": (
        "a,b\n1,2\n\n3,4\n",
        "t.csv:3: expected 2 values, as in the first line, got an empty line",
    ),
    "not a number": ("1,nan\n", "t.csv:1: column '2': expected a number, got 'nan'"),
    "a first row of no numbers": (
        "nan,\n1,2\n",
        "t.csv:1: column '1': expected a number, got 'nan'",
    ),
    "a first row of infinities": ("inf,1e999\n1,2\n", "t.csv:1: column '1': expected"),
    "an underscore": ("1_0,2\n", "t.csv:1: column '1': expected a number, got '1_0'"),
    "too few": ("a,b\n1,2\n1\n", "t.csv:3: expected 2 values, as in the first line"),
    "another width": ("1,2,3\n", "expected 2 columns, as the model takes, got 3"),
    "a header only": ("a,b\n", "expected examples below the header, got none"),
    "an empty file": ("", "expected rows, got an empty file"),
    "an open quote": ('1,"2\n', "t.csv:1: unexpected end of data"),
}


@pytest.mark.parametrize("case", BAD)
def test_every_mistake_in_a_table_is_told(tmp_path, case):
    text, expected = BAD[case]
    with pytest.raises(UserError) as caught:
        read_numeric_csv(write(tmp_path, text), 2)
    assert expected in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_no_text_is_told(tmp_path):
    path = write(tmp_path, "ä,1\n", "latin-1")
    with pytest.raises(UserError, match="expected text in UTF-8"):
        read_numeric_csv(path, 2)
    with pytest.raises(UserError, match="no such file"):
        read_numeric_csv(tmp_path / "none.csv", 2)
