"""`fdl show`: what an experiment is, without training it."""

import argparse
import math


def main(options: argparse.Namespace) -> int:
    """Prints config, parameters, operations and steps of an experiment."""
    import jax

    from fdl import optim
    from fdl.cli import loading
    from fdl.cli.output import terminal
    from fdl.flops import flops
    from fdl.train import session

    loaded = loading.load(options.experiment, options.overrides)
    (experiment,) = loading.build(loaded)
    with loading.user_code(loaded.path):
        setting = session.setting([experiment], loaded.config)
        state = jax.eval_shape(experiment.learner.init, setting.keys)
        batches = experiment.batches
        item = next(batches.stream(0))
        batch = jax.eval_shape(batches.take, batches.data, item)
        count = flops(experiment.learner.step, state, batch)
    console = terminal()
    console.print(f"{loaded.name}: {loading.summary(loaded.path)}")
    for key, value in flat(loaded.config).items():
        console.print(f"  --config.{key}={value}")
    params = state.params if hasattr(state, "params") else state.train.params
    console.print(parameters(params))
    if isinstance(experiment.learner.optimizer, optim.Chain):
        console.print(chain(experiment.learner.optimizer, params))
    for name, value in facts(batches, setting.num_steps, count, batch):
        console.print(f"{name:18}{value}")
    return 0


def flat(config, prefix: str = "") -> dict:
    """A config's leaves by dotted key, as they can be set on the command line."""
    found: dict = {}
    for key, value in config.items():
        inner = hasattr(value, "items")
        found |= flat(value, f"{prefix}{key}.") if inner else {f"{prefix}{key}": value}
    return found


def parameters(params):
    """A table of all parameters, by layer."""
    import jax
    from rich.table import Table

    table = Table(title="parameters", title_justify="left")
    for name in ("layer", "shape", "dtype"):
        table.add_column(name)
    table.add_column("count", justify="right")
    leaves = jax.tree.leaves_with_path(params)
    for path, leaf in leaves:
        name = jax.tree_util.keystr(path, simple=True, separator="/")
        shape = " x ".join(map(str, leaf.shape)) or "scalar"
        table.add_row(name, shape, str(leaf.dtype), f"{leaf.size:,}")
    total = sum(leaf.size for _, leaf in leaves)
    table.add_section()
    table.add_row("total", "", "", f"{total:,}")
    return table


def chain(optimizer, params):
    """A table of what is done to gradients, in order, and to which parameters."""
    from rich.table import Table

    from fdl import optim

    table = Table("in this order", "what it touches", title="optimizer")
    table.title_justify = "left"
    for row in optim.describe(optimizer, params):
        table.add_row(*row)
    return table


def facts(batches, num_steps: int, count: int, batch) -> list[tuple[str, str]]:
    """Name and value of what else there is to know."""
    import jax

    inputs = {
        jax.tree_util.keystr(path, simple=True): f"{leaf.dtype} {list(leaf.shape)}"
        for path, leaf in jax.tree.leaves_with_path(batch)
    }
    rows = [
        ("batch", ", ".join(f"{k} {v}" for k, v in inputs.items()) or "none"),
        ("steps", f"{num_steps:,}"),
        (f"{batches.unit}/step", f"{batches.per_step:,}"),
        ("FLOPs/step", f"{count:,} (matrix products and convolutions, 2 per MAC)"),
    ]
    if batches.steps_per_epoch:
        epochs = num_steps / batches.steps_per_epoch
        rows += [
            ("steps/epoch", f"{batches.steps_per_epoch:,}"),
            ("epochs", f"{math.ceil(epochs * 100) / 100:g}"),
        ]
    return rows
