"""Chat templates: conversations as the text that a published model continues."""

import datetime
import functools
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fdl.data.text.huggingface import special_texts
from fdl.data.text.tokenizer import Tokenizer
from fdl.errors import UserError, reason, shown
from fdl.types import NOTHING

Message = Mapping[str, Any]


def render(
    template: str,
    messages: Sequence[Message],
    *,
    special: Mapping[str, str] = NOTHING,
    add_generation_prompt: bool = True,
    **variables: Any,
) -> str:
    """Text of a conversation, by a chat template in Jinja's language.

    The template is given what transformers gives one. It runs in a sandbox: it sees its
    variables, and can neither change them nor reach Python. A ``range`` of more than
    100,000 is an error; loops in loops may still take as long as they like.

    Args:
      template: Template, `fdl.models.Published.chat_template`.
      messages: Messages, each with its "role" and mostly its "content".
      special: Texts of the special tokens by role: ``bos_token`` and so on.
      add_generation_prompt: Whether the beginning of an answer follows.
      **variables: Further variables of the template, such as ``tools``.

    Raises:
      UserError: A message has no role; or the template is not valid, or fails.

    Example:
      >>> chat = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
      >>> render(chat, [{"role": "user", "content": "Who?"}])
      '<user>Who?'
    """
    if not messages:
        raise UserError("messages=[]: expected at least one")
    for i, message in enumerate(messages, 1):
        if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
            raise UserError(
                f"message {i}: expected an object with a role, such as 'user', got "
                f"{shown(repr(message))}"
            )
    # A null is a missing key, as in transformers: templates ask for either.
    messages = [{k: x for k, x in m.items() if x is not None} for m in messages]
    tokens = {f"{role}_token": text for role, text in special.items()}
    options = {"add_generation_prompt": add_generation_prompt, "tools": None}
    try:
        made = _environment().from_string(template)
        return made.render(
            **{
                **tokens,
                "documents": None,
                **options,
                **variables,
                "messages": messages,
            }
        )
    # A template can fail as Python can.
    except Exception as error:
        raise UserError(f"chat template: {shown(reason(error))}") from None


def prompts(
    template: str, conversations: Iterable[Sequence[Message]], tokenizer: Tokenizer
) -> list[str]:
    """Prompts of conversations, for `fdl.data.text.huggingface.special_encoder`.

    As in transformers, a special token that the text spells is that token. Whoever
    writes a message could so end it, and write the next one in another's name: it is an
    error if a message spells one.

    Args:
      template: Chat template.
      conversations: Messages of each conversation.
      tokenizer: Tokenizer of the model, of the library `tokenizers`.

    Raises:
      UserError: As `render`; or a message spells a special token. The text names the
        number of the conversation.
    """
    tokens = special_texts(tokenizer)
    texts = []
    for i, messages in enumerate(conversations, 1):
        try:
            text = render(template, messages, special=tokenizer.spec["special"])
            _check_spelled(messages, tokens)
        except UserError as error:
            raise UserError(f"prompt {i}: {error}") from None
        texts.append(text)
    return texts


def _check_spelled(messages: Sequence[Message], tokens: Sequence[str]) -> None:
    """Raises `UserError` if a message spells one of some tokens."""
    for i, message in enumerate(messages, 1):
        for text in _texts(message):
            found = next((token for token in tokens if token in text), None)
            if found is not None:
                raise UserError(
                    f"message {i}: expected no special token of the model, got "
                    f"{shown(found)!r}, which would end or begin a message"
                )


def _texts(value: Any) -> list[str]:
    """All texts of a value as of JSON, keys included."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        value = [*value, *value.values()]
    if isinstance(value, list | tuple):
        return [text for part in value for text in _texts(part)]
    return []


@functools.cache
def _environment() -> Any:
    """Environment of templates: that of transformers."""
    # Imported late: few need it.
    import jinja2.ext
    import jinja2.sandbox
    from jinja2 import nodes

    class Generation(jinja2.ext.Extension):
        """Tag around what a model says, which matters in training alone."""

        tags = {"generation"}  # noqa: RUF012

        def parse(self, parser: Any) -> nodes.Node:
            """Its body, with variables of its own."""
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.Scope(body, lineno=line)

    def raise_exception(message: str) -> None:
        raise jinja2.TemplateError(message)

    def strftime_now(form: str) -> str:
        return datetime.datetime.now().strftime(form)

    def tojson(value: Any, ensure_ascii=False, indent=None, separators=None, **options):
        # That of Jinja is for HTML.
        return json.dumps(
            value,
            ensure_ascii=ensure_ascii,
            indent=indent,
            separators=separators,
            **options,
        )

    made = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[Generation, jinja2.ext.loopcontrols],
    )
    made.filters["tojson"] = tojson
    made.globals |= {"raise_exception": raise_exception, "strftime_now": strftime_now}
    return made
