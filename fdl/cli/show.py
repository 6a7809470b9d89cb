"""`fdl show`: print config, parameters, optimizer and FLOPs of an experiment."""

import argparse
import math

import jax
from rich.table import Table

from fdl import optim
from fdl.cli.arguments import add_experiment
from fdl.cli.console import console, print_columns, print_table
from fdl.config import flat
from fdl.diagnostics import flops
from fdl.runs.experiment import build, load
from fdl.runs.experiment_files import summary, user_code
from fdl.runs.run_setup import setup
from fdl.trees import named_leaves
from fdl.types import Batch, Batches, Params


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    add_experiment(parser)


def main(options: argparse.Namespace) -> int:
    """Prints config, parameters, optimizer and FLOPs of an experiment, untrained."""
    loaded = load(options.experiment, options.overrides)
    (experiment,) = build(loaded)
    with user_code(loaded.path):
        run_setup = setup([experiment], loaded.config)
        # Shapes are enough, so that no parameter of a large model is initialised.
        state = jax.eval_shape(experiment.learner.init, run_setup.keys)
        batches = experiment.batches
        item = next(batches.stream(0))
        batch = jax.eval_shape(batches.take, batches.data, item)
        count = flops(experiment.learner.step, state, batch)
        variables = jax.eval_shape(experiment.learner.variables, state)
    out = console()
    out.print(f"{loaded.name}: {summary(loaded.path)}")
    for key, value in flat(loaded.config).items():
        out.print(f"  --config.{key}={value}")
    params = variables.get("params", {})
    print_table(out, parameter_table(params))
    if isinstance(experiment.learner.optimizer, optim.Chain):
        print_table(out, optimizer_table(experiment.learner.optimizer, params))
    print_columns(facts(batches, run_setup.num_steps, count, batch))
    return 0


def parameter_table(params: Params) -> Table:
    """Table of all parameters: path, shape, dtype and number."""
    table = Table(title="parameters", title_justify="left")
    for name in ("layer", "shape", "dtype"):
        table.add_column(name)
    table.add_column("count", justify="right")
    leaves = named_leaves(params)
    for name, leaf in leaves.items():
        shape = " x ".join(map(str, leaf.shape)) or "scalar"
        table.add_row(name, shape, str(leaf.dtype), f"{leaf.size:,}")
    total = sum(leaf.size for leaf in leaves.values())
    table.add_section()
    table.add_row("total", "", "", f"{total:,}")
    return table


def optimizer_table(optimizer: optim.Chain, params: Params) -> Table:
    """Table of the steps of an optimizer, and the parameters that each applies to."""
    table = Table("in this order", "applies to", title="optimizer")
    table.title_justify = "left"
    for row in optim.describe(optimizer, params):
        table.add_row(*row)
    return table


def facts(
    batches: Batches, num_steps: int, count: int, batch: Batch
) -> list[tuple[str, str]]:
    """Names and values of batch, steps, FLOPs and epochs."""
    inputs = {
        name: f"{leaf.dtype} {list(leaf.shape)}"
        for name, leaf in named_leaves(batch).items()
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
