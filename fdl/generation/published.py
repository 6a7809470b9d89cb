"""Generation of published models: settings of ``generation_config.json``."""

from typing import Any

from fdl.errors import UserError, shown
from fdl.models import Published
from fdl.models.published.fields import value

NAME = "generation_config.json"
OFF = {"top_k": 0, "min_p": 0}
SETTINGS: dict[str, Any] = {
    "temperature": float,
    "top_k": int,
    "top_p": float,
    "min_p": float,
    "repetition_penalty": float,
}


def stop_tokens(published: Published) -> tuple[int, ...]:
    """Ids of the tokens that end a text, of its generation config or else its config.

    Where they name none, it is that of the tokenizer's role "eos", if it has one.

    Args:
      published: Published model.

    Raises:
      UserError: They are no token ids.
    """
    configs = {NAME: published.generation_config, "config.json": published.config}
    for name, config in configs.items():
        found = config.get("eos_token_id")
        if found is None:
            continue
        ids = found if isinstance(found, list) else [found]
        if not all(type(i) is int and 0 <= i < 2**31 for i in ids):
            raise UserError(
                f"{name}: eos_token_id={shown(repr(found))}: expected token ids"
            )
        return tuple(sorted({*ids}))
    special = {} if published.tokenizer is None else published.tokenizer.special
    return (special["eos"],) if "eos" in special else ()


def sampling(published: Published) -> dict[str, float]:
    """Options of sampling that a generation config states, by name.

    Those are "temperature", which is 0 for ``do_sample: false``, "top_k", "top_p",
    "min_p" and "repetition_penalty"; what it does not state is left out.

    Args:
      published: Published model.

    Raises:
      UserError: One of them is of another type.
    """
    config = published.generation_config
    found: dict[str, float] = {}
    try:
        for name, kind in SETTINGS.items():
            # No tokens and no probability stand for no filter.
            if config.get(name, OFF.get(name)) not in (None, OFF.get(name)):
                found[name] = value(config, name, kind)
                if kind is int and found[name] >= 2**31:
                    raise UserError(f"{name}={found[name]:.3g}: expected below 2**31")
        if not value(config, "do_sample", bool, True):
            found["temperature"] = 0.0
    except UserError as error:
        raise UserError(f"{NAME}: {error}") from None
    return found
