"""CSV files of numbers: what is read, and every mistake told in a line."""

import numpy as np
import pytest

from fdl.data.tabular.csv_files import encode_csv
from fdl.data.tabular.numeric_csv import read_numeric_csv
from fdl.errors import UserError


def write(tmp_path, text, encoding="utf-8"):
    path = tmp_path / "t.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_columns_are_found_by_name_in_any_order(tmp_path):
    path = write(tmp_path, 'name,"b",a,target\nx,2,1,?\n\ny, 4e1 ,-3,\n')
    assert read_numeric_csv(path, 2, ("a", "b")).tolist() == [[1, 2], [-3, 40]]


@pytest.mark.parametrize("header", ["", "a,b\n", "\ufeffa,b\r\n"])
def test_columns_without_names_stand_as_they_are(tmp_path, header):
    path = write(tmp_path, f"{header}1,2\n3,4\n")
    assert read_numeric_csv(path, 2).tolist() == [[1, 2], [3, 4]]


BAD = {
    "a missing column": (
        "a,bb\n1,2\n",
        ("a", "b"),
        "expected a column 'b'. Did you mean 'b",
    ),
    "a text": (
        "a,b\n1,2\n1,x\n",
        ("a", "b"),
        "t.csv:3: column 'b': expected a number, got 'x'",
    ),
    "a text without names": (
        "1,2\n1,x\n",
        (),
        "t.csv:2: column '2': expected a number, got 'x'",
    ),
    "nothing": (
        "a,b\n1,\n",
        ("a", "b"),
        "t.csv:2: column 'b': expected a number, got ''",
    ),
    "not a number": (
        "1,nan\n",
        (),
        "t.csv:1: column '2': expected a number, got 'nan'",
    ),
    "too few": ("a,b\n1,2\n1\n", ("a", "b"), "t.csv:3: expected 2 values, got 1"),
    "another width": ("1,2,3\n", (), "expected 2 columns, as the model takes, got 3"),
    "a header only": ("a,b\n", (), "expected examples below the header, got none"),
    "an empty file": ("", (), "expected rows, got an empty file"),
    "an open quote": ('1,"2\n', (), "t.csv:1: unexpected end of data"),
}


@pytest.mark.parametrize("case", BAD)
def test_every_mistake_in_a_table_is_told(tmp_path, case):
    text, columns, expected = BAD[case]
    with pytest.raises(UserError) as caught:
        read_numeric_csv(write(tmp_path, text), 2, columns)
    assert expected in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_no_text_is_told(tmp_path):
    path = write(tmp_path, "ä,1\n", "latin-1")
    with pytest.raises(UserError, match="expected text in UTF-8"):
        read_numeric_csv(path, 2)
    with pytest.raises(UserError, match="no such file"):
        read_numeric_csv(tmp_path / "none.csv", 2)


def test_rows_of_text_are_left_to_who_knows_what_they_are(tmp_path):
    path = write(tmp_path, "town;age\nRome;41\nOslo;?\n")

    def encode(rows):
        ages = [float(row["age"].replace("?", "nan")) for row in rows]
        return np.stack([[row["town"] == "Rome" for row in rows], ages], axis=1)

    np.testing.assert_array_equal(encode_csv(path, encode), [[1, 41], [0, np.nan]])

    def refuse(rows):
        raise UserError("row 2 is wrong")

    with pytest.raises(UserError, match=r"t\.csv: row 2 is wrong"):
        encode_csv(path, refuse)
