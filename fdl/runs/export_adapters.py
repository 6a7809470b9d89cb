"""Export of the adapters of a run with LoRA, as files of PEFT."""

import pathlib

from fdl.errors import UserError
from fdl.learners import select
from fdl.models import save_adapters
from fdl.models.lora import SCALE
from fdl.runs.export_model import check_empty
from fdl.runs.open_run import Run, check_one_model, restore
from fdl.types import TrainState


def export_adapters(
    run: Run,
    folder: pathlib.Path,
    *,
    checkpoint: str = "latest",
    seed: int | None = None,
) -> int:
    """Writes the adapters of a run into a new folder, as PEFT does.

    Args:
      run: Run of a learner of `fdl.models.lora`, such as those of `text/finetune`.
      folder: Folder, which does not exist or is empty.
      checkpoint: "best", "latest" or a step.
      seed: One of the seeds of the run; default: the first.

    Returns:
      Step of the checkpoint.

    Raises:
      UserError: The run has no such checkpoint or seed, or no adapters, or its model
        has no format of transformers; or the folder is not empty.
      RunError: The checkpoint is damaged, or a file cannot be written.
    """
    check_empty(folder)
    check_one_model(run)
    member = run.member(seed)
    step, loop_state = restore(run.workdir, run.setup, run.loaded.config, checkpoint)
    state = loop_state.state
    if run.num_seeds > 1:
        state = select(state, member)
    model = run.experiments[member].model
    module = getattr(model, "module", None)
    if (
        module is None
        or not isinstance(state, TrainState)
        or SCALE not in state.model_state
    ):
        raise UserError(f"{run.workdir} has no adapters: expected a run with LoRA")
    source = str(run.loaded.config.get("weights", ""))
    base = source.removeprefix("hf:").partition("@")[0] or None
    save_adapters(folder, state.variables, of=module, base=base)
    return step
