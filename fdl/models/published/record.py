"""Record of a published model."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from fdl.types import NOTHING, Model, Variables

if TYPE_CHECKING:  # Imported late: models need jax and flax alone.
    from fdl.data.text.tokenizer import Tokenizer


class ImageInputs(NamedTuple):
    """Images that a model was trained with.

    Attributes:
      size: Height and width, in pixels.
      mean: Mean of each channel, of values from 0 to 1, that is subtracted.
      std: Standard deviation of each channel, by which the rest is divided.
      resample: Filter of Pillow by which they are resized.
    """

    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    resample: str = "bilinear"


class Published(NamedTuple):
    """Published model: a network with its weights, its tokenizer and its settings.

    Attributes:
      model: Model.
      variables: Its variables.
      tokenizer: Tokenizer, or None.
      config: Content of ``config.json``.
      generation_config: Content of ``generation_config.json``; empty without one.
      begin: Role of the special token that the model expects in front of a text, such
        as "bos" or "cls"; None if there is none.
      end: Role of the special token that it expects behind it, such as "sep", or None.
      chat_template: Template of a conversation in Jinja's language, or None.
      labels: Names of the classes; empty for a model that does not classify.
      images: Size and normalisation of its images, or None.
      source: Where it was read: a folder, or ``hf:NAME@COMMIT`` of the Hugging Face
        Hub.
      digests: SHA-256 of its config and of its weights, by the names of the files;
        measured by `from_source` alone.
    """

    model: Model
    variables: Variables
    tokenizer: "Tokenizer | None" = None
    config: Mapping[str, Any] = NOTHING
    generation_config: Mapping[str, Any] = NOTHING
    begin: str | None = None
    end: str | None = None
    chat_template: str | None = None
    labels: Sequence[str] = ()
    images: ImageInputs | None = None
    source: str = ""
    digests: Mapping[str, str] = NOTHING
