"""Tokenizers of published folders: roles as they are declared, and templates."""

import json
import pathlib
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from fdl.errors import UserError, shown
from fdl.files import read_json, read_text, write_bytes

if TYPE_CHECKING:  # Imported late: models need jax and flax alone.
    from fdl.data.text.tokenizer import Tokenizer

NAME = "tokenizer.json"
CHAT_TEMPLATE = "chat_template.jinja"
BEGIN, END = ("bos", "cls"), ("eos", "sep")  # Roles, the likelier ones first.


def read(
    folder: pathlib.Path, configs: Iterable[Mapping[str, Any]]
) -> "tuple[Tokenizer, str | None, str | None] | None":
    """Tokenizer of a folder, and the roles of what it adds to a text.

    Args:
      folder: Folder with a ``tokenizer.json``, of which ``tokenizer_config.json`` or
        ``special_tokens_map.json`` names the special tokens by role.
      configs: Content of further configs, which name them by id.

    Returns:
      Tokenizer, and roles of the special tokens that belong in front of a text and
      behind it, or None; None without a ``tokenizer.json``.

    Raises:
      UserError: A file cannot be read, or adds a token that has no role.
    """
    from fdl.data.text.huggingface import parse
    from fdl.data.text.tokenizers import from_file

    path = folder / NAME
    if not path.is_file():
        return None
    special: dict[str, str] = {}
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        if (folder / name).is_file():
            special = _texts(read_json(folder / name)) | special
    content = read_text(path)
    try:
        hf = parse(content)
        for config in configs:
            special = _by_id(config, hf.id_to_token) | special
        tokenizer = from_file(path, special)
        begin, end = template(json.loads(hf.to_str()), tokenizer)
    except UserError as error:
        text = str(error)
        raise UserError(text if str(path) in text else f"{path}: {text}") from None
    return tokenizer, begin, end


def template(
    content: Mapping[str, Any], tokenizer: "Tokenizer"
) -> tuple[str | None, str | None]:
    """Roles of the special tokens that a ``tokenizer.json`` adds to a single text.

    Args:
      content: Its content.
      tokenizer: Tokenizer that was made of it.

    Returns:
      Role of the token in front, and of that behind; None for none.

    Raises:
      UserError: It adds several tokens at one end, or one that has no role.
    """
    front, back = _added(content.get("post_processor"))
    return _role(front, tokenizer, BEGIN), _role(back, tokenizer, END)


def read_chat_template(folder: pathlib.Path) -> str | None:
    """Template of conversations of a folder, in Jinja's language, or None."""
    if (folder / CHAT_TEMPLATE).is_file():
        return read_text(folder / CHAT_TEMPLATE)
    path = folder / "tokenizer_config.json"
    found = read_json(path).get("chat_template") if path.is_file() else None
    if isinstance(found, list):  # Of several by name, that of no special purpose.
        named = {x.get("name"): x.get("template") for x in found if isinstance(x, dict)}
        found = named.get("default")
    return found if isinstance(found, str) else None


def write(
    folder: pathlib.Path, tokenizer: "Tokenizer", begin: str | None, end: str | None
) -> None:
    """Writes ``tokenizer.json`` and ``tokenizer_config.json``.

    Args:
      folder: Folder.
      tokenizer: Tokenizer of the library `tokenizers`.
      begin: Role of the token that is added in front of a text, or None.
      end: Role of the token that is added behind it, or None.

    Raises:
      UserError: Tokenizers of other kinds have no such file.
    """
    kind = tokenizer.spec["kind"]
    if kind != "huggingface":
        raise UserError(
            f"tokenizer of {kind}: expected one that a {NAME} can hold, such as those "
            "of tokenizers.byte_pair, unigram, wordpiece or from_file"
        )
    content = json.loads(tokenizer.spec["json"])
    if template(content, tokenizer) != (begin, end):
        content["post_processor"] = _template(tokenizer, begin, end)
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "clean_up_tokenization_spaces": False,
        **{f"{role}_token": text for role, text in tokenizer.spec["special"].items()},
    }
    write_json(folder / NAME, content)
    write_json(folder / "tokenizer_config.json", config)


def write_json(path: pathlib.Path, content: Mapping[str, Any]) -> None:
    """Writes a JSON file as transformers does, atomically."""
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    write_bytes(path, text.encode())


def _texts(config: Mapping[str, Any]) -> dict[str, str]:
    """Texts of special tokens by role, of entries such as ``bos_token``."""
    from fdl.data.text.tokenizer import ROLES

    found = {role: config.get(f"{role}_token") for role in ROLES}
    contents = {
        role: token.get("content") if isinstance(token, dict) else token
        for role, token in found.items()
    }
    return {role: text for role, text in contents.items() if isinstance(text, str)}


def _by_id(config: Mapping[str, Any], token_of: Any) -> dict[str, str]:
    """As `_texts`, of entries such as ``bos_token_id``; several ids are no role."""
    from fdl.data.text.tokenizer import ROLES

    ids = {role: config.get(f"{role}_token_id") for role in ROLES}
    # Defaults of a config may lie outside of a vocabulary that was replaced.
    tokens = {
        role: token_of(i)
        for role, i in ids.items()
        if type(i) is int and 0 <= i < 1 << 31
    }
    return {role: token for role, token in tokens.items() if token is not None}


def _added(processor: Any) -> tuple[list[int], list[int]]:
    """Ids that a post-processor adds in front of a single text, and behind it."""
    kind = processor.get("type") if isinstance(processor, dict) else None
    if kind in (None, "ByteLevel"):
        return [], []
    if kind in ("BertProcessing", "RobertaProcessing"):
        return [processor["cls"][1]], [processor["sep"][1]]
    if kind == "Sequence":
        parts = [_added(part) for part in processor["processors"]]
        # Each one encloses what those before it have made.
        outer_first = [i for added, _ in reversed(parts) for i in added]
        return outer_first, [i for _, added in parts for i in added]
    if kind != "TemplateProcessing":
        raise UserError(f"post_processor of type {shown(str(kind))}: not supported")
    front: list[int] = []
    back: list[int] = []
    seen = False
    for piece in processor["single"]:
        if "Sequence" in piece:
            seen = True
            continue
        name = piece["SpecialToken"]["id"]
        (back if seen else front).extend(processor["special_tokens"][name]["ids"])
    return front, back


def _role(
    ids: list[int], tokenizer: "Tokenizer", likely: tuple[str, ...]
) -> str | None:
    """Role of the only one of some ids; None without one."""
    if not ids:
        return None
    roles = [role for role, i in tokenizer.special.items() if [i] == ids]
    if not roles:
        raise UserError(
            f"post_processor adds the tokens {ids} to a text: expected a single one, "
            f"of a role; there are {shown(str(dict(tokenizer.special)))}"
        )
    return min(roles, key=lambda role: (role not in likely, roles.index(role)))


def _template(
    tokenizer: "Tokenizer", begin: str | None, end: str | None
) -> dict[str, Any]:
    """Post-processor that adds special tokens to a text, and to each of a pair."""
    from fdl.data.text.tokenizer import role_id

    names = {
        role: tokenizer.spec["special"][role]
        for role in (begin, end)
        if role is not None and role_id(tokenizer, role) >= 0
    }

    def piece(role: str | None, number: int) -> list[dict[str, Any]]:
        if role is None:
            return []
        return [{"SpecialToken": {"id": names[role], "type_id": number}}]

    single = [*piece(begin, 0), {"Sequence": {"id": "A", "type_id": 0}}, *piece(end, 0)]
    second = [{"Sequence": {"id": "B", "type_id": 1}}, *piece(end, 1)]
    tokens = {
        text: {"id": text, "ids": [tokenizer.special[role]], "tokens": [text]}
        for role, text in names.items()
    }
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": [*single, *second],
        "special_tokens": tokens,
    }
