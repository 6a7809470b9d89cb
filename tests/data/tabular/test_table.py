"""Tables of the user's own are treated as scikit-learn would."""

import json
import re
import time

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import fdl.data
from fdl.data.tabular.column_stats import Number, learn_category, learn_number
from fdl.errors import UserError

PEOPLE = """age, income,town,member,species
31,1e3,Rome,yes,cat
,2500,Oslo,no,dog
47,,Rome,yes,cat
52,1800.5,,no,dog
29,900,Oslo,yes,cat
61,4200,Lima,no,dog
33,1100,Rome,?,cat
44,NA,Oslo,no,dog
"""
NUMBERS, CATEGORIES = ["age", "income"], ["town", "member"]


@pytest.fixture
def write(tmp_path):
    def make(text, name="people.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return make


def random_table(random, size):
    """Text of a table, and whether each value is there."""
    columns = {
        "a": random.normal(10, 3, size).astype(str),
        "b": random.integers(0, 5, size).astype(str),
        "c": random.choice(["x", "y", "z"], size),
        "d": random.choice(["on", "off"], size),
    }
    for column in columns.values():
        column[random.uniform(size=size) < 0.15] = ""
    columns["y"] = np.arange(size) % 3
    names = ",".join(columns)
    rows = [",".join(map(str, row)) for row in zip(*columns.values(), strict=True)]
    return "\n".join([names, *rows])


def reference(rows, train):
    """The same in scikit-learn, learnt from the rows of the training part."""
    numbers = make_pipeline(
        SimpleImputer(strategy="mean", add_indicator=True),
        ColumnTransformer(
            [("scale", StandardScaler(), slice(0, 1))], remainder="passthrough"
        ),
    )

    def categories(column):
        fill = SimpleImputer(
            strategy="most_frequent", missing_values=None, add_indicator=True
        ).fit(column[train])
        values = sorted({v for v in column[train, 0] if v is not None})
        filled = fill.transform(column)
        hot = OneHotEncoder(
            categories=[values], handle_unknown="ignore", sparse_output=False
        ).fit_transform(filled[:, :1])
        return np.concatenate([hot, filled[:, 1:].astype(float)], axis=1)

    parts = []
    for name in ("a", "b", "c", "d"):
        if name in ("a", "b"):
            column = np.array([[float(r[name] or "nan")] for r in rows])
            parts.append(numbers.fit(column[train]).transform(column))
        else:
            column = np.array([[r[name] or None] for r in rows], object)
            parts.append(categories(column))
    return np.concatenate(parts, axis=1)


@pytest.mark.parametrize("seed", range(5))
def test_features_equal_scikit_learn(seed, write):
    path = write(random_table(np.random.default_rng(seed), 60))
    table = fdl.data.table(path, "y", validation_fraction=0.2, seed=seed)
    rows = fdl.data.read_csv(path)
    labels = np.array([int(row["y"]) for row in rows])

    def divide(index, size):
        return train_test_split(
            index, test_size=size, random_state=seed, stratify=labels[index]
        )

    kept, test = divide(np.arange(60), 0.25)
    train, validation = divide(kept, 0.2)
    expected = reference(rows, train)
    for part, place in zip(table.splits, (train, validation, test), strict=True):
        np.testing.assert_allclose(part["features"], expected[place], atol=1e-5)
        np.testing.assert_array_equal(part["label"], labels[place])
    found = table.encoding.encode(rows)["features"]
    assert found.shape == (60, len(table.encoding.features))
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert np.bincount(table.test["label"]).tolist() == [5, 5, 5]  # Stratified.
    assert np.bincount(table.validation["label"]).tolist() == [3, 3, 3]


def test_the_held_out_part_teaches_nothing(write):
    path = write(PEOPLE)
    first = fdl.data.table(path, "species", num_folds=2, fold=0)
    assert first.test is None
    rows = fdl.data.read_csv(path)
    tested = first.encoding.encode(rows)["features"]
    held_out = first.validation["features"][0]
    place = next(i for i in range(8) if (tested[i] == held_out).all())
    lines = PEOPLE.splitlines()
    lines[place + 1] = "1000,99999,Atlantis,perhaps," + rows[place]["species"]
    changed = fdl.data.table(write("\n".join(lines)), "species", num_folds=2, fold=0)
    assert changed.encoding == first.encoding
    np.testing.assert_array_equal(changed.train["features"], first.train["features"])
    names = first.encoding.features
    towns = [i for i, name in enumerate(names) if name.startswith("town=")]
    unknown = changed.encoding.encode([{**rows[0], "town": "Atlantis"}])["features"][0]
    assert (unknown[towns] == 0).all()  # A town that was never seen.


def test_classes_and_numbers_are_told_apart(write):
    text = "x,few,many,number,name\n" + "\n".join(
        f"{i},{10 * (i % 3)},{i},{i + 0.5},{'ab'[i % 2]}" for i in range(30)
    )
    path = write(text)

    def kind(target, **options):
        table = fdl.data.table(path, target, **options)
        return {*table.train} - {"features"}, table.encoding.classes

    assert kind("few") == ({"label"}, ("0", "10", "20"))  # In the order of numbers.
    assert kind("many") == ({"target"}, ())
    assert kind("number") == ({"target"}, ())
    assert kind("name") == ({"label"}, ("a", "b"))
    assert kind("few", classes=False) == ({"target"}, ())


def test_what_is_learnt_survives_json(write):
    path = write(PEOPLE)
    table = fdl.data.table(path, "species", num_folds=2)
    stored = json.loads(json.dumps(table.encoding.to_dict()))
    restored = fdl.data.Encoding.from_dict(stored)
    assert restored == table.encoding
    rows = fdl.data.read_csv(path)
    np.testing.assert_array_equal(
        restored.encode(rows)["features"], table.encoding.encode(rows)["features"]
    )
    assert len(set(restored.features)) == len(restored.features)
    assert restored.labels(rows[:2])["label"].tolist() == [0, 1]


def test_new_rows_may_hold_numbers_and_none_and_need_no_target(write):
    encoding = fdl.data.table(write(PEOPLE), "species", num_folds=2).encoding
    text = {"age": "40", "income": "", "town": "Rome", "member": "?"}
    plain = {"age": 40.0, "income": None, "town": "Rome", "member": None}
    np.testing.assert_array_equal(
        encoding.encode([text])["features"], encoding.encode([plain])["features"]
    )
    assert encoding.encode([])["features"].shape == (0, len(encoding.features))


def test_categories_may_be_codes(write):
    table = fdl.data.table(write(PEOPLE), "species", num_folds=2, one_hot=False)
    town = next(c for c in table.encoding.columns if c.name == "town")
    rows = [
        {"age": 1, "income": 1, "town": name, "member": "yes"}
        for name in (*town.values, "Atlantis", "")
    ]
    codes = table.encoding.encode(rows)["categories"]
    assert codes.dtype == np.int32 and codes.shape == (len(rows), 2)
    expected = [*range(1, len(town.values) + 1), 0, 1 + town.values.index(town.fill)]
    assert codes[:, 0].tolist() == expected
    assert not any("=" in name for name in table.encoding.features)


def test_columns_may_be_ignored_or_named_as_categories(write):
    table = fdl.data.table(
        write(PEOPLE), "species", ignore=["age"], categories=["income"], num_folds=2
    )
    assert [c.name for c in table.encoding.columns] == ["income", "town", "member"]
    assert any(name.startswith("income=") for name in table.encoding.features)


@pytest.mark.parametrize("constant", ["0.1", "1" + 30 * "0"])
def test_columns_keep_their_order_and_constants_are_only_shifted(write, constant):
    text = "b,a,y\n" + "\n".join(f"{constant},{i},{i % 2}" for i in range(20))
    train, *_, encoding = fdl.data.table(write(text), "y")
    assert encoding.features == ("b", "a")
    np.testing.assert_array_equal(train["features"][:, 0], 0)
    np.testing.assert_allclose(train["features"][:, 1].std(), 1, atol=1e-6)


def test_the_division_is_a_function_of_the_seed(write):
    path = write(random_table(np.random.default_rng(0), 60))
    parts = [fdl.data.table(path, "y", seed=seed).test for seed in (0, 0, 1)]
    np.testing.assert_array_equal(parts[0]["features"], parts[1]["features"])
    assert not np.array_equal(parts[0]["features"], parts[2]["features"])


def test_quotes_marks_and_other_delimiters_are_understood(write):
    for options in ({}, {"delimiter": ";"}):
        plain = fdl.data.read_csv(write('x;y\n"a;b";1\nc;2\n\n\n'), **options)
        assert plain == [{"x": "a;b", "y": "1"}, {"x": "c", "y": "2"}]
    marked = fdl.data.read_csv(write(b"\xef\xbb\xbfx,y\r\n1,2\r\n"))
    assert marked == [{"x": "1", "y": "2"}]


@pytest.mark.parametrize(
    "text, column",
    [
        ("x;y\n1;2\n;\n3;4\n", ["1", "", "3"]),
        ("x\n1\n\n3\n\n", ["1", "", "3"]),
        ('x\n1\n""\n', ["1", ""]),
    ],
)
def test_rows_without_values_are_rows(text, column, write):
    assert [row["x"] for row in fdl.data.read_csv(write(text))] == column


def test_time_grows_no_faster_than_the_header(write):
    """Of its square, half a minute."""
    names = [f"{i:x}" for i in range(60_000)]
    path = write("\n".join([",".join(names), ",".join(["1"] * len(names))]))
    start = time.monotonic()
    assert len(fdl.data.read_csv(path, unnamed=True)[0]) == len(names)
    with pytest.raises(UserError, match=r"There is: .* and 59,900 more") as error:
        fdl.data.table(path, "?")
    assert len(str(error.value)) < 1500
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    "text, kind",
    [
        ("1,5", "a number with a comma or in groups"),
        ("1.234,5", "a number with a comma or in groups"),
        ("1,5e3", "a number with a comma or in groups"),
        ("1 000", "a number with a comma or in groups"),
        ("-1'000.5", "a number with a comma or in groups"),
        ("−3", "a number with another minus"),
        ("12%", "a per cent"),
        ("1,5 %", "a per cent"),
        ("$1,000", "an amount of money"),
        ("3.50 €", "an amount of money"),
        ("2024-01-31", "a date"),
        ("31.12.24", "a date"),
        ("1/2/2024 10:00", "a date"),
        ("12:30", "a time"),
        ("0x1F", "a hexadecimal number"),
    ],
)
def test_numbers_of_spreadsheets_are_no_categories(text, kind):
    rows = [{"a": i, "b": "x", "y": "uv"[i % 2]} for i in range(24)]
    rows[3] = {"a": 3, "b": text, "y": "v"}
    with pytest.raises(UserError) as error:
        fdl.data.table(rows, "y")
    message = str(error.value)
    assert message.startswith("column 'b': expected plain numbers such as 1234.5, or c")
    assert message.endswith(
        f"got {text!r}, {kind}; rewrite it, or add it to categories"
    )
    assert fdl.data.table(rows, "y", categories="b")
    # The target may be meant as a number, too.
    with pytest.raises(UserError, match="target='b': expected plain numbers"):
        fdl.data.table(rows, "b", ignore="y")


@pytest.mark.parametrize("first, step", [(1.7e9, 1), (1e-50, 1e-50), (1e-300, 1e-300)])
def test_numbers_that_float32_makes_equal_are_an_error(first, step):
    rows = [{"a": first + i * step, "y": i} for i in range(24)]
    for target, options in ("a", {}), ("y", {"standardize": False}):
        with pytest.raises(UserError, match="'a': expected numbers that float32 can"):
            fdl.data.table(rows, target, **options)
    # In float64, they are standardised first.
    features = fdl.data.table(rows, "y", classes=False).train["features"]
    assert len(np.unique(features)) == len(features)


@pytest.mark.parametrize("text", ["18-25", "10+", "B 52", "1/2", "a,b", "12th", "A4"])
def test_texts_with_digits_are_categories(text):
    rows = [{"a": i, "b": [text, "x"][i % 3 > 0], "y": i % 2} for i in range(24)]
    assert fdl.data.table(rows, "y").encoding.columns[1].values[-1] == "x"


@pytest.mark.parametrize(
    "learnt, text, code",
    [
        (["1", "2", "10"], "2.0", 3),
        (["1.0", "2.0"], "2", 2),
        (["1", "2"], "2.5", 0),
        (["1", "01", "2"], "1.0", 0),  # Which of the codes is meant is not known.
        (["1", "01", "2"], "01", 1),
        (["2", "x"], "2e0", 1),
    ],
)
def test_categories_that_are_numbers_are_found_in_any_spelling(learnt, text, code):
    column = learn_category("a", learnt)
    encoding = fdl.data.Encoding((column,), "y", one_hot=False)
    assert encoding.encode([{"a": text}])["categories"].tolist() == [[code]]
    assert bool(encoding.unseen([{"a": text}])) == (code == 0)


def test_classes_that_are_numbers_are_found_in_any_spelling():
    encoding = fdl.data.Encoding((), "y", ("0", "10", "20"))
    rows = [{"y": "10.0"}, {"y": 20.0}, {"y": "0"}]
    assert encoding.labels(rows)["label"].tolist() == [1, 2, 0]


def test_values_that_were_never_seen_are_told(write):
    encoding = fdl.data.table(
        write(PEOPLE.replace("29,900", "29,")), "species", num_folds=2
    ).encoding
    complete = {"age": "1", "income": "1", "town": "Rome", "member": "no"}
    assert encoding.unseen([complete]) == []
    town = learn_category("town", ["Oslo", "Rome", "Rome"])
    plain = encoding._replace(columns=(town, learn_number("age", [1.0, 2.0])))
    rows = [{"town": name, "age": 1} for name in ("Rom", "Oslo", "Rom", "", *"abcde")]
    assert plain.unseen(rows) == [
        "column 'town': unknown category in 7 of 9 rows, taken as zeros: 'Rom', 'a', "
        "'b', 'c', 'd', ...",
        "column 'town': missing in 1 of 9 rows, as never in training, taken as 'Rome'",
    ]
    assert plain.unseen([{"town": "Oslo", "age": None}]) == [
        "column 'age': missing in 1 of 1 rows, as never in training, taken as the mean "
        "1.5"
    ]


@pytest.mark.parametrize(
    "rows, message",
    [
        ([{"a": "1e300"}], "row 1, column 'a': expected a number within 3.4e+38"),
        (
            [{"a": 1}, {"a": 3e38}],
            "'features', row 2, column 'a': expected numbers from",
        ),
    ],
)
def test_numbers_beyond_float32_are_told(rows, message):
    encoding = fdl.data.Encoding((Number("a", 0.0, 1e-9, False),), "y")
    with pytest.raises(UserError, match=re.escape(message)):
        encoding.encode(rows)


@pytest.mark.parametrize(
    "text, message",
    [
        ("", "people.csv: expected rows, got an empty file"),
        ("\n\n", "people.csv: expected rows, got an empty file"),
        ("a,y\n", "people.csv: expected rows below the header, got none"),
        ("a,y\n1,2\n3\n", "people.csv:3: expected 2 values, as in the first line"),
        ("a,y\n1,2,3\n", "people.csv:2: expected 2 values, as in the first line, got"),
        ("a,y\n1,2\n\n3,4\n", "people.csv:3: expected 2 values, as in the first line"),
        ("\na,y\n1,2\n", "people.csv:1: expected a header, got an empty line"),
        ("a,y\n1,u\n,\n2,v\n", "row 2, column 'y': expected a value of the target"),
        ("a,a\n1,2\n", "expected different names, got 'a' twice"),
        ("a,,y\n1,2,3\n", "expected a name of column 2"),
        ('a,y\n"1,2\n', "people.csv:2: unexpected end of data"),
        (b"a,y\n\xff,2\n", "people.csv: expected text in UTF-8, got 0xff at byte 4"),
        (
            "a,z\n1,2\n",
            "people.csv: target='y': expected one of a, z",
        ),
        (
            "a,y\n1,u\n2,u\n",
            "target='y': expected at least two different values, got only 'u'",
        ),
        ("a,y\n1,0.5\n2,0.5\n", "two different values, got only '0.5'"),
        ("a,y\n1,\n2,\n", "two different values, got none"),
        ("a,y\n1,u\n2,\n3,v\n", "row 2, column 'y': expected a value of the target"),
        ("a,y\n1,u\nx,v\n", "row 2, column 'a': expected a number, got 'x'"),
        ("a,y\n1,u\ninf,v\n", "row 2, column 'a': expected a number, got 'inf'"),
        ("a,b,y\n1,,u\n1,,v\n", "column 'b': expected at least one value, got none"),
        ("y\nu\nv\n", "expected at least one column besides the target"),
        (
            "a,y\n1,u\n2,v\n3,v\n",
            "class 'u': expected at least 3 examples for a division",
        ),
        (
            "a,y\n" + "\n".join(f"n{i},{i % 2}" for i in range(300)),
            "column 'a': expected at most 256 categories, got 300 in 300 rows",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_one_clear_line(text, message, write):
    with pytest.raises(UserError) as error:
        fdl.data.table(write(text), "y")
    assert message in str(error.value) and "\n" not in str(error.value)


def test_wrong_names_are_answered_with_the_near_ones(write, tmp_path):
    path = write(PEOPLE)
    for options, message in (
        ({"target": "specis"}, "target='specis': expected one of age, inc"),
        (
            {"target": "age", "ignore": ["age"]},
            "target='age': expected a column that is not in",
        ),
        ({"target": "species", "ignore": ["agee"]}, "'agee'.*Did you mean 'age'"),
    ):
        with pytest.raises(UserError, match=message):
            fdl.data.table(path, **options)
    for place, message in (
        (tmp_path / "peple.csv", "no such file. Did you mean 'people.csv'"),
        (tmp_path, "expected a CSV file, got a folder"),
        (tmp_path / "elsewhere" / "people.csv", "no such file, nor a folder"),
    ):
        with pytest.raises(UserError, match=message):
            fdl.data.table(place, "species")


@pytest.mark.parametrize("divider", [",", ";", "\t", "|"])
def test_what_divides_the_columns_is_seen_in_the_first_line(write, divider):
    lines = [["a", '"b, the; second"', "c"], ["1,5", "2;5", "x y"]]
    lines[1] = [f'"{value}"' for value in lines[1]]
    path = write("\n".join(divider.join(line) for line in lines))
    names = ("a", "b, the; second", "c")
    assert fdl.data.read_csv(path) == [
        dict(zip(names, ("1,5", "2;5", "x y"), strict=True))
    ]


def test_numbers_may_stay_as_they_are(write):
    path = write(PEOPLE)
    scaled = fdl.data.table(path, "species", num_folds=2)
    plain = fdl.data.table(path, "species", num_folds=2, standardize=False)
    age, raw = scaled.encoding.columns[0], plain.train["features"][:, 0]
    assert raw.min() >= 29 and raw.max() <= 61
    np.testing.assert_allclose(
        (raw - age.mean) / age.std, scaled.train["features"][:, 0], atol=1e-5
    )
    missing = {"age": "", "income": "1", "town": "Rome", "member": "no"}
    found = plain.encoding.encode([missing])["features"][0, 0]
    np.testing.assert_allclose(found, age.mean, rtol=1e-6)


# Where the alphabet turns the order of the classes, the division is another.
@pytest.mark.parametrize("name", ["diabetes", "iris", "wine"])
def test_bundled_tables_are_divided_as_those_that_are_loaded(name):
    rows = fdl.data.bundled_rows(name)
    fraction = 142 / 442 if name == "diabetes" else 0.25
    classes = False if name == "diabetes" else None
    table = fdl.data.table(
        rows,
        "target",
        test_fraction=fraction,
        classes=classes,
        standardize=False,
    )
    train, test = (fdl.data.load(name, split) for split in ("train", "test"))
    kept = table.train["features"], table.validation["features"]
    np.testing.assert_allclose(
        np.sort(np.concatenate(kept), axis=0), np.sort(train["features"], axis=0)
    )
    np.testing.assert_allclose(table.test["features"], test["features"])
    target = "target" if name == "diabetes" else "label"
    np.testing.assert_array_equal(table.test[target], test[target])


def test_classes_of_bundled_tables_have_their_names():
    table = fdl.data.table(fdl.data.bundled_rows("breast_cancer"), "target")
    assert table.encoding.classes == ("benign", "malignant")
    labels = np.concatenate([part["label"] for part in table.splits])
    assert np.bincount(labels).tolist() == [357, 212]
    assert table.encoding.features[0] == "mean radius"


def test_one_column_may_be_named_alone(write):
    path, options = write(PEOPLE), {"num_folds": 2}
    one = fdl.data.table(path, "species", ignore="age", categories="income", **options)
    many = fdl.data.table(
        path, "species", ignore=["age"], categories=["income"], **options
    )
    assert one.encoding == many.encoding


@pytest.mark.parametrize(
    "values, classes, message",
    [
        (("1", "1.0", "2"), None, "in one spelling, got '1' and '1.0'"),
        (("1", "2", "x"), False, "target='y': expected numbers, got 'x'"),
    ],
)
def test_what_is_neither_class_nor_number_is_told(values, classes, message):
    rows = [{"a": i, "y": values[i % 3]} for i in range(12)]
    with pytest.raises(UserError, match=message):
        fdl.data.table(rows, "y", classes=classes)


def test_of_many_columns_only_near_ones_are_shown():
    rows = [{f"x{i}": i for i in range(30)} | {"species": "cat"}] * 4
    with pytest.raises(
        UserError, match=r"target='specis': .* Did you mean 'species'\?$"
    ):
        fdl.data.table(rows, "specis")


def test_an_unknown_bundled_table_is_answered_with_the_near_ones():
    with pytest.raises(
        UserError, match=r"name='irris': expected a table\. Did you mean 'iris'"
    ):
        fdl.data.bundled_rows("irris")


def test_rows_are_checked_as_files_are():
    for rows, message in (
        ([], "expected at least one row"),
        ([{"a": 1, "y": 0}, {"y": 1}], "row 2: expected a column 'a'$"),
    ):
        with pytest.raises(UserError, match=message):
            fdl.data.table(rows, "y")


@pytest.mark.parametrize(
    "row, message",
    [
        ({"age": "1"}, "row 2: expected a column 'income'$"),
        (
            {"age": "1", "Income": "2", "incomes": "1"},
            r"row 2: expected a column 'income'\. Did you mean 'Income'\?$",
        ),
        (
            {"age": "old", "income": "1", "town": "Rome", "member": "no"},
            "row 2, column 'age': expected a number, got 'old'",
        ),
    ],
)
def test_wrong_rows_are_answered_with_row_and_column(row, message, write):
    encoding = fdl.data.table(write(PEOPLE), "species", num_folds=2).encoding
    good = {"age": "1", "income": "1", "town": "Rome", "member": "no"}
    with pytest.raises(UserError, match=message):
        encoding.encode([good, row])


def test_an_unknown_class_is_answered_with_the_near_ones(write):
    encoding = fdl.data.table(write(PEOPLE), "species", num_folds=2).encoding
    with pytest.raises(UserError, match=r"row 1, column 'species'.*Did you mean 'cat'"):
        encoding.labels([{"species": "cats"}])
