"""Imports point downwards only, and light modules stay light."""

import ast
import pathlib
import subprocess
import sys

import pytest

LAYERS = [  # Each may import from those before it, and from itself.
    {"errors"},
    {"files", "trees", "types"},
    {"config"},
    {"data", "distributions", "envs", "losses", "metrics"},
    {"models"},
    {"objectives", "optim"},
    {"generation", "learners"},
    {"evaluation", "rl"},
    {"experiment"},
    {"diagnostics", "plots", "train"},
    {"runs"},
    {"cli"},
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
ROOT = pathlib.Path(__file__).parent.parent / "fdl"
FILES = sorted(set(ROOT.rglob("*.py")) - {ROOT / "__init__.py", ROOT / "__main__.py"})


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_downwards(path):
    here = path.relative_to(ROOT).parts[0].removesuffix(".py")
    for target in imported(path) - {here}:
        assert RANK[target] < RANK[here], f"{path} imports fdl.{target}"


@pytest.mark.parametrize(
    "module, heavy",
    [
        ("fdl.cli", ["jax", "numpy", "rich"]),
        (
            "fdl.models",
            [
                *("orbax", "grain", "tensorflow_datasets", "gymnax", "sklearn"),
                *("optax", "chex", "ml_collections", "matplotlib"),
                "fdl.models.catalog",
            ],
        ),
        ("fdl.data", ["grain", "tensorflow_datasets", "sklearn"]),
        ("fdl.envs", ["gymnax", "gymnasium"]),
        ("fdl.rl", ["gymnax", "gymnasium", "matplotlib"]),
        ("fdl.train", ["tensorflow", "tensorflow_datasets", "matplotlib", "orbax"]),
    ],
)
def test_what_is_heavy_is_imported_where_it_is_used(module, heavy):
    code = f"import sys, {module}; print(*set({heavy}) & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def imported(path: pathlib.Path) -> set[str]:
    """The first names below `fdl` that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fdl"):
            _, *rest = node.module.split(".")
            found |= {rest[0]} if rest else {alias.name for alias in node.names}
        if isinstance(node, ast.Import):
            names = [alias.name.split(".") for alias in node.names]
            found |= {name[1] for name in names if name[0] == "fdl" and len(name) > 1}
    return found
