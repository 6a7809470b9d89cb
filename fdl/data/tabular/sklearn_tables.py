"""Tables that come with scikit-learn, as rows."""

from typing import Any

from fdl.errors import UserError, near

TABLES = ("breast_cancer", "diabetes", "iris", "wine")
TARGET = "target"


def bundled_rows(name: str) -> list[dict[str, Any]]:
    """Rows of a table that comes with scikit-learn, as an input of `table`.

    They are as those of `read_csv`, but numbers are floats. The column to predict is
    ``target``; classes are given by name.

    Args:
      name: "iris", "wine" or "breast_cancer", which have classes; or "diabetes", whose
        target is a number.

    Returns:
      One dict per row, by name of the column.

    Raises:
      UserError: There is no such table.

    Example:
      >>> bundled_rows("iris")[0]["petal width (cm)"], bundled_rows("iris")[0]["target"]
      (0.2, 'setosa')
    """
    table = sklearn_table(name)
    targets = table.target
    if name != "diabetes":
        targets = table.target_names[targets]
    names = [*map(str, table.feature_names), TARGET]
    rows = zip(table.data.tolist(), targets.tolist(), strict=True)
    return [dict(zip(names, [*row, y], strict=True)) for row, y in rows]


def sklearn_table(name: str) -> Any:
    """Table as scikit-learn loads it, in the units in which it was measured.

    Raises:
      UserError: There is no such table.
    """
    # Imported late: scikit-learn takes seconds.
    from sklearn import datasets

    if name not in TABLES:
        raise UserError(f"name={name!r}: expected a table. {near(name, TABLES)}")
    if name == "diabetes":
        # The scaled version was standardised over all rows, those for testing included.
        return datasets.load_diabetes(scaled=False)
    return getattr(datasets, f"load_{name}")()
