"""Model descriptions: network and abilities of a trained model as data, in a folder.

``model.json`` holds the network, the inputs that it is initialised with, and the
function of each ability; the preprocessing of an ability lies in a folder of its name.
So a trained model needs neither its data set nor the file of its experiment. The folder
may come from anywhere: nothing in it is imported or run.
"""

import functools
import inspect
import json
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import numpy as np

from fdl import config, evaluation
from fdl.data.preprocessing_files import array_spec, from_files, to_files
from fdl.errors import UserError, near, reason, shown
from fdl.files import read_json
from fdl.models.functional import functional, zeros
from fdl.models.network_spec import from_spec, to_spec
from fdl.runs.directory import check_no_links, write_json, writing
from fdl.runs.format_number import check_format
from fdl.runs.model_checks import reading
from fdl.types import Ability, Experiment, Model

FORMAT = 1  # Of model.json and the files beside it; counted up when they change.
TEXT_FILE = "model.json"
MAX_INPUTS = 32  # Of a network.


class Description(NamedTuple):
    """Description of a trained model, as `read_description` returns it.

    Attributes:
      name: Name of the experiment.
      model: Model, whose variables lie elsewhere; None if its network is no data.
      abilities: What the model can be asked for, by name.
      content: Content of ``model.json``.
    """

    name: str
    model: Model | None
    abilities: Mapping[str, Ability]
    content: Mapping[str, Any]


def describe(
    name: str, model: Model | None, abilities: Mapping[str, Ability]
) -> dict[str, Any]:
    """Content of ``model.json``.

    Args:
      name: Name of the experiment.
      model: Model that is trained.
      abilities: What the model can be asked for, by name.

    Raises:
      UserError: The network or an ability is no data.
    """
    if model is None or model.module is None:
        raise UserError("it has no single flax module")
    for key, ability in abilities.items():
        if not key.isidentifier():
            raise UserError(f"ability {key!r}: expected an identifier as its name")
        if ability.spec is None or ability.spec.get("name") not in _makers():
            raise UserError(
                f"its ability {key!r} is not made by a function of fdl.evaluation"
            )
    content = {
        "format": FORMAT,
        "name": name,
        "network": to_spec(model.module),
        "inputs": [
            {"shape": list(x.shape), "dtype": x.dtype.name}
            for x in _example_inputs(model)
        ],
        "abilities": {
            key: dict(ability.spec or {}) for key, ability in abilities.items()
        },
        "preprocessing": [k for k, x in abilities.items() if x.inputs is not None],
    }
    try:
        text = json.dumps(content, allow_nan=False, default=_plain)
    except (TypeError, ValueError) as error:
        raise UserError(f"it is no data: {reason(error)}") from None
    return json.loads(text)


def write_files(
    folder: pathlib.Path, content: Mapping[str, Any], abilities: Mapping[str, Ability]
) -> None:
    """Writes the content of ``model.json``, and the preprocessing of each ability.

    Args:
      folder: Folder, which is made if necessary.
      content: Content, as from `describe`.
      abilities: Abilities that it describes, by name.

    Raises:
      RunError: A file cannot be written.
      UserError: There is a link in the folder.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        check_no_links(folder)
        for key in content.get("preprocessing", ()):
            to_files(abilities[key].inputs, folder / key)
    # This file comes last, so that where it is, all is.
    write_json(folder / TEXT_FILE, content)


def write_description(folder: pathlib.Path, name: str, experiment: Experiment) -> None:
    """Writes the description of an experiment's model, if it is data.

    Nothing is written if a description is there already, or if the network is outside
    the zoo.

    Args:
      folder: Folder, which is made if necessary.
      name: Name of the experiment.
      experiment: Experiment with a model and abilities.

    Raises:
      RunError: A file cannot be written.
    """
    if (folder / TEXT_FILE).exists():
        return
    try:
        content = describe(name, experiment.model, experiment.abilities)
    except UserError:
        return
    write_files(folder, content, experiment.abilities)


def read_description(folder: str | os.PathLike[str]) -> Description:
    """Reads the description of a model.

    Args:
      folder: Folder with ``model.json``.

    Raises:
      UserError: A file is missing, damaged, a link, or of another format, or it names
        something that there is not.
    """
    folder = pathlib.Path(folder)
    path = folder / TEXT_FILE
    for file in [*folder.glob("*"), *folder.glob("*/*")]:
        # A link could lead to any file of this machine.
        if file.is_symlink():
            raise UserError(f"{file} is a link: expected a file or a folder")
    content = read_json(path)
    check_format(path, content.get("format"), FORMAT)
    with reading(path):
        name = content["name"]
        if not isinstance(name, str):
            raise UserError("name: expected a string")
        if content["network"] is None:
            return Description(shown(name), None, {}, content)
        model = _model(content["network"], content["inputs"])
        specs, encoded = dict(content["abilities"]), content["preprocessing"]
        for key in specs:
            if not key.isidentifier():
                raise UserError(f"ability {shown(key)!r}: expected an identifier")
    inputs = {key: from_files(folder / key) for key in specs if key in encoded}
    with reading(path):
        abilities = {
            key: _ability(spec, model, inputs.get(key)) for key, spec in specs.items()
        }
    return Description(shown(name), model, abilities, content)


@functools.cache
def _makers() -> dict[str, Callable[..., Ability]]:
    """Functions of `fdl.evaluation` that return an ability, by name."""
    functions = {name: getattr(evaluation, name) for name in evaluation.__all__}
    return {
        name: function
        for name, function in functions.items()
        if inspect.isfunction(function)
        and inspect.get_annotations(function, eval_str=True).get("return") is Ability
    }


def _ability(spec: Mapping[str, Any], model: Model, inputs: Any) -> Ability:
    """Ability of a model, by the function of `fdl.evaluation` that a spec names."""
    name = spec.get("name")
    if not isinstance(name, str) or name not in _makers():
        hint = near(str(name)[:50], _makers())
        raise UserError(f"fdl.evaluation has no ability {name!r:.50}. {hint}")
    more = {"model": model} | ({} if inputs is None else {"preprocessing": inputs})
    return config.make(evaluation, spec, **more)


def _model(network: Mapping[str, Any], inputs: Sequence[Any]) -> Model:
    """Model of a spec, with the shapes and dtypes of its example inputs."""
    module = from_spec(network)
    if len(inputs) > MAX_INPUTS:
        raise UserError(f"inputs: expected at most {MAX_INPUTS}")
    shapes = [array_spec(**x) for x in inputs]

    def init(key):
        # Made here, so that in a trace they take no memory.
        return functional(module, *zeros(shapes)).init(key)

    return functional(module)._replace(init=init)


def _example_inputs(model: Model) -> list[jax.ShapeDtypeStruct]:
    """Shapes and dtypes of the inputs that a model is initialised with."""
    calls: list[Any] = []

    def record(function, args, kwargs, context):
        if context.method_name == "__call__" and not context.module.path:
            calls.append(args)
        return function(*args, **kwargs)

    with nn.intercept_methods(record):
        # A function of its own, as JAX remembers the traces of those that it has seen.
        jax.eval_shape(lambda key: model.init(key), jax.random.key(0))
    if len(calls) != 1 or not all(isinstance(x, jax.Array) for x in calls[0]):
        raise UserError("its network is not initialised by one call with arrays")
    return [jax.ShapeDtypeStruct(x.shape, x.dtype) for x in calls[0]]


def _plain(value: Any) -> Any:
    """Lists and numbers of an array, for JSON."""
    return np.asarray(value).tolist()
