"""`fdl export`: write the trained model of a run into a folder of its own."""

import argparse
import pathlib
import shlex

from fdl.cli.arguments import add_checkpoint, add_run, add_seed
from fdl.cli.console import say, warn
from fdl.errors import UserError
from fdl.runs.export_adapters import export_adapters
from fdl.runs.export_model import export_model
from fdl.runs.open_run import open_run
from fdl.runs.process import prepare
from fdl.runs.record import read_record, seed_index
from fdl.runs.trained_model import TrainedModel, load_run


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    add_run(parser)
    parser.add_argument("folder", metavar="DIR", help="a new folder, for the model")
    add_checkpoint(parser)
    add_seed(parser)
    parser.add_argument(
        "--stablehlo",
        action="store_true",
        help="also write what runs with JAX alone, for any network",
    )
    parser.add_argument(
        "--adapters",
        action="store_true",
        help="of LoRA: write the adapters alone, as files of PEFT",
    )


def main(options: argparse.Namespace) -> int:
    """Loads a checkpoint, writes the folder, and prints how to use it."""
    folder, workdir = pathlib.Path(options.folder), pathlib.Path(options.workdir)
    if options.adapters:
        return write_adapters(options, folder)
    prepare()
    trained = load_run(
        workdir,
        checkpoint=options.checkpoint,
        seed=options.seed,
        experiment_file=options.experiment,
        warn=warn,
    )
    run, config = read_record(workdir)
    index = seed_index(workdir, config["seed"], run["seeds"], options.seed)
    overrides = [*run["overrides"], f"seed={config['seed'] + index}"]
    content = export_model(
        trained,
        folder,
        experiment={"arg": run["arg"], "overrides": overrides},
        stablehlo=options.stablehlo,
        needs_experiment=options.experiment is not None,
    )
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    say(f"{trained.name} at step {trained.step}: {size:,} bytes, in {folder}")
    file, argument = "", ""
    if content["network"] is None:  # Outside the zoo.
        file, argument = " --experiment FILE", ", experiment_file=FILE"
    if "predict" in trained.abilities:
        say(f"  fdl predict {shlex.quote(options.folder)} INPUT{file}")
    if "translate" in trained.abilities:
        say(f"  fdl translate {shlex.quote(options.folder)} FILE{file}")
    say(f"  model = fdl.load_model({options.folder!r}{argument})")
    for name in content["artefacts"]:
        say(with_jax(trained, folder, name), end="")
    return 0


def write_adapters(options: argparse.Namespace, folder: pathlib.Path) -> int:
    """Writes the adapters of a checkpoint, and prints where they are."""
    if options.stablehlo:
        raise UserError("--adapters: expected no --stablehlo beside it")
    run = open_run(options.workdir, warn, options.experiment)
    step = export_adapters(
        run, folder, checkpoint=options.checkpoint, seed=options.seed
    )
    say(f"{run.loaded.name}, adapters of step {step}, in {folder}")
    return 0


def with_jax(trained: TrainedModel, folder: pathlib.Path, name: str) -> str:
    """Python code that runs an artefact with JAX alone."""
    inputs = trained.abilities[name].inputs.inputs
    zeros = ", ".join(
        f"{key!r}: np.zeros({(1, *x.shape)}, {x.dtype.name!r})"
        for key, x in inputs.items()
    )
    path = str(folder / f"{name}.stablehlo")
    return (
        f"{name} without fdl, of any number of encoded examples:\n"
        "  import pathlib, jax.export, numpy as np\n"
        f"  artefact = bytearray(pathlib.Path({path!r}).read_bytes())\n"
        f"  {name} = jax.export.deserialize(artefact).call\n"
        f"  {name}({{{zeros}}})\n"
    )
