"""`fdl show`: config, parameters, optimizer, FLOPs and memory of an experiment."""

import argparse
import math
from collections.abc import Callable

import jax
from rich.table import Table

from fdl import optim
from fdl.cli.arguments import add_experiment
from fdl.cli.console import console, print_columns, print_table
from fdl.config import flat
from fdl.diagnostics import flops
from fdl.errors import UserError
from fdl.runs.experiment import build, load
from fdl.runs.experiment_files import summary, user_code
from fdl.runs.run_setup import setup
from fdl.trees import named_leaves, num_bytes
from fdl.types import Batch, Batches, Params, PyTree, State


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    add_experiment(parser)
    parser.add_argument(
        "--tflops",
        type=float,
        metavar="N",
        help="10^12 operations a second that the hardware reaches: hours of training",
    )
    parser.add_argument(
        "--memory",
        action="store_true",
        help="compile a step, for the memory that it needs on this device",
    )


def main(options: argparse.Namespace) -> int:
    """Prints config, parameters, optimizer and FLOPs of an experiment, untrained."""
    if options.tflops is not None and not 0 < options.tflops < math.inf:
        raise UserError(f"--tflops={options.tflops:g}: expected a number above 0")
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
        params = variables.get("params", {})
        memory = [
            ("state", f"{megabytes(state)}, of which params {megabytes(params)}"),
            ("its parts", parts_of(state)),
        ]
        if experiment.learner.persist is not None:
            saved = jax.eval_shape(experiment.learner.persist, state)
            memory.append(("a checkpoint", f"{num_bytes(saved):,} bytes"))
        if options.memory:
            memory.append(("a step", memory_of(experiment.learner.step, state, batch)))
    out = console()
    out.print(f"{loaded.name}: {summary(loaded.path)}")
    for key, value in flat(loaded.config).items():
        out.print(f"  --config.{key}={value}")
    print_table(out, parameter_table(params))
    if isinstance(experiment.learner.optimizer, optim.Chain):
        print_table(out, optimizer_table(experiment.learner.optimizer, params))
    num_steps = run_setup.num_steps
    rows = facts(batches, num_steps, count, batch) + memory
    if options.tflops is not None:
        hours = count * num_steps / (options.tflops * 1e12) / 3600
        rows.append(("training", f"{hours:.3g} hours at {options.tflops:g} TFLOP/s"))
    print_columns(rows)
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
        ("FLOPs", f"{count * num_steps:.3g}"),
    ]
    if batches.steps_per_epoch:
        epochs = num_steps / batches.steps_per_epoch
        rows += [
            ("steps/epoch", f"{batches.steps_per_epoch:,}"),
            ("epochs", f"{math.ceil(epochs * 100) / 100:g}"),
        ]
    return rows


def megabytes(tree: PyTree) -> str:
    """Size of all arrays of a tree, in MB."""
    return f"{num_bytes(tree) / 1e6:,.1f} MB"


def parts_of(state: State) -> str:
    """Bytes of the parts of a state, largest first, such as of a replay memory.

    Those below a hundredth of it are left out.
    """
    parts: dict[str, int] = {}
    for name, leaf in named_leaves(state).items():
        part = name.split("/")[0]
        parts[part] = parts.get(part, 0) + num_bytes(leaf)
    largest = sorted(parts.items(), key=lambda item: -item[1])
    shown = [part for part in largest if part[1] >= num_bytes(state) / 100]
    return ", ".join(f"{name} {size:,} bytes" for name, size in shown)


def memory_of(step: Callable, state: State, batch: Batch) -> str:
    """Memory that a step needs beside its state and its batch, as XLA plans it."""
    compiled = jax.jit(step, donate_argnums=0).lower(state, batch).compile()
    analysis = compiled.memory_analysis()
    if analysis is None:
        return "unknown on this device"
    return f"{analysis.temp_size_in_bytes / 1e6:,.1f} MB beside state and batch"
