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
    from sklearn import datasets

    if name not in TABLES:
        raise UserError(f"name={name!r}: expected a table. {near(name, TABLES)}")
    if name == "diabetes":
        # The scaled version was standardised over all rows, those for testing included.
        bunch = datasets.load_diabetes(scaled=False)
        targets = bunch.target.tolist()
    else:
        bunch = getattr(datasets, f"load_{name}")()
        targets = bunch.target_names[bunch.target].tolist()
    names = [*bunch.feature_names, TARGET]
    rows = zip(bunch.data.tolist(), targets, strict=True)
    return [dict(zip(names, [*row, y], strict=True)) for row, y in rows]
