"""The small tables that come with scikit-learn, as rows."""

from typing import Any

from fdl.errors import UserError, near

TABLES = ("breast_cancer", "diabetes", "iris", "wine")
TARGET = "target"


def bundled_rows(name: str) -> list[dict[str, Any]]:
    """The rows of a table that comes with scikit-learn, for `table`.

    They are as `read_csv` has them but for their numbers, which are no text; the column
    to predict is ``target``, and classes have their names.

    Args:
      name: "iris", "wine" or "breast_cancer", which have classes; or "diabetes".

    Raises:
      UserError: There is no such table.

    Example:
      >>> bundled_rows("iris")[0]["petal width (cm)"], bundled_rows("iris")[0]["target"]
      (0.2, 'setosa')
    """
    from sklearn import datasets

    if name not in TABLES:
        raise UserError(f"There is no table {name!r}. {near(name, TABLES)}")
    if name == "diabetes":
        found = datasets.load_diabetes(scaled=False)  # As it was measured.
        targets = found.target.tolist()
    else:
        found = getattr(datasets, f"load_{name}")()
        targets = found.target_names[found.target].tolist()
    names = [*found.feature_names, TARGET]
    rows = zip(found.data.tolist(), targets, strict=True)
    return [dict(zip(names, [*row, y], strict=True)) for row, y in rows]
