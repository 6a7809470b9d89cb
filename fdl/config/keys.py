"""Keys of a config that every experiment has: defaults and ranges."""

from ml_collections import ConfigDict, config_dict

from fdl.config.amounts import MAX_STEPS, in_range

PERIODS = ("log_every", "eval_every", "save_every", "layers_every")
# Keys that may be none although they have a type. A `placeholder` keeps its type when
# it is set, so that the value alone does not tell that none is valid.
OPTIONAL = ("num_steps", "num_epochs", "early_stopping.metric")
# Keys that are integers, with the least and the greatest value.
RANGES = {
    "seed": (0, 2**63 - 1),  # As of `jax.random.key`.
    "num_steps": (1, MAX_STEPS),
    "num_epochs": (1, MAX_STEPS),
    "steps_per_call": (1, 10**6),  # The items of a call are in memory at once.
    "keep": (1, MAX_STEPS),
}


def base() -> ConfigDict:
    """Default config of the keys that the command line reads.

    An experiment overrides the values that it needs to be different.

    Returns:
      A config. Periods are "100 steps", "1 epoch" or "never".
    """
    config = ConfigDict()
    config.seed = 0
    config.num_steps = config_dict.placeholder(int)
    config.num_epochs = config_dict.placeholder(int)
    config.log_every = "100 steps"
    config.eval_every = "1000 steps"
    config.save_every = "1000 steps"
    config.layers_every = "never"  # Period of the per-layer gradient norms.
    config.steps_per_call = 1  # Steps that run on the device as one fused call.
    # On the CPU, keep freed memory for later steps. Small steps that are not fused are
    # a tenth slower, as no step is prepared while another runs.
    config.keep_memory = True
    config.mesh = {"data": 1}  # Devices that share a batch; -1 for all of them.
    config.keep = 2  # Number of latest checkpoints to keep, beside the best.
    # Checkpoints hold the model beside the state, to be read without the experiment.
    config.save_model = True
    config.best = "min loss"  # Evaluated metric by which a checkpoint is the best.
    config.early_stopping = {  # Ends a run that no longer improves.
        "metric": config_dict.placeholder(str),  # Such as "max accuracy"; None: off.
        "patience": 5,  # Consecutive evaluations without a new best.
        "min_delta": 0.0,  # Minimum improvement that counts as a new best.
    }
    return config


def complete(config: ConfigDict) -> ConfigDict:
    """Locked config of the default keys, overridden by those of an experiment.

    Periods that are numbers of steps become text.
    """
    completed = base()
    with completed.ignore_type():
        completed.update(config)
    for key in PERIODS:
        if isinstance(completed[key], int) and not isinstance(completed[key], bool):
            with completed.ignore_type():
                steps = completed[key]
                completed[key] = f"{steps} steps" if steps else "never"
    # Locked, so that a misspelt key is an error rather than a new key.
    return completed.lock()


def check_ranges(config: ConfigDict) -> ConfigDict:
    """Checks the integers among the default keys of a complete config; returns it.

    Raises:
      UserError: One is no integer, or out of its range.
    """
    for key, (low, high) in RANGES.items():
        if config[key] is not None or key not in OPTIONAL:
            number = in_range(f"config.{key}", config[key], low, high)
            with config.ignore_type():
                config[key] = number
    return config
