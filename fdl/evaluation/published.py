"""Abilities of published models: classification of texts and images, fill-mask."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from fdl.data import preprocessing as inputs_of
from fdl.data.preprocessing import Preprocessing, preprocessor
from fdl.data.text.huggingface import parse
from fdl.data.text.tokenizers import Tokenizer, role_id
from fdl.errors import UserError, shown
from fdl.evaluation.predictors import classifier
from fdl.models import BERT, BERTPretraining, Published, ViT, functional
from fdl.types import Ability, Array, Key, Model, Variables

TOP = 5  # Tokens for each mask, as of transformers.
LENGTHS = (32, 128)  # Texts that are all as short are computed in rows of this length.
MAX_TOKENS = 8192  # Of the rows that are computed together.


def published_abilities(published: Published) -> dict[str, Ability]:
    """Abilities of a published model: ``predict``, of one that classifies or fills in.

    * A classifier of texts or images: see `fdl.evaluation.classifier`.
    * A classifier of tokens: ``token``, ``tag`` and ``probability``, [B, T], without
      the special tokens around a text, and their number, ``length``, [B].
    * A masked language model: ``token`` and ``probability``, [B, 5], the most likely
      tokens in the place of ``[MASK]``, which a text has once.

    A language model that continues texts has none of them.

    Args:
      published: Model, as by `fdl.models.from_folder`.

    Raises:
      UserError: It has no tokenizer, or no sizes of its images; or it is trained for
        something else than to choose one of its classes.
    """
    module = published.model.module
    if isinstance(module, ViT) and module.num_classes is not None:
        _check_single_label(published)
        return {"predict": _image_classifier(published)}
    if isinstance(module, BERTPretraining):
        return {"predict": _fill_mask(published)}
    if isinstance(module, BERT) and module.pool == "none" and module.num_classes:
        return {"predict": _token_classifier(published)}
    if isinstance(module, BERT) and module.pool == "token" and module.num_classes:
        _check_single_label(published)
        return {"predict": _text_classifier(published)}
    return {}


def _image_classifier(published: Published) -> Ability:
    """Classifier of images, resized and normalised as they were in training."""
    model, images = published.model, published.images
    if images is None:
        raise UserError("expected a preprocessor_config.json, of the images")
    mean, std = np.array(images.mean, np.float32), np.array(images.std, np.float32)

    def apply(variables: Variables, pixels: Array, **options: Any) -> Any:
        normalised = (pixels - mean[None, None, None]) / std[None, None, None]
        return model.apply(variables, normalised, **options)

    preprocessing = inputs_of.images(
        (*images.size, len(mean)), resample=images.resample
    )
    normalising = model._replace(apply=apply)
    return classifier(normalising, preprocessing, classes=published.labels)


def _text_classifier(published: Published) -> Ability:
    """Classifier of single texts."""
    model, tokenizer, preprocessing = _of_texts(published, masked=False)
    apply = _short(model.apply, tokenizer.special["pad"])
    return classifier(
        model._replace(apply=apply), preprocessing, classes=published.labels
    )


def _token_classifier(published: Published) -> Ability:
    """Most likely class of each token of a text."""
    model, tokenizer, preprocessing = _of_texts(published, masked=False)
    preprocess = preprocessor(preprocessing)
    around = {
        role_id(tokenizer, role)
        for role in ("pad", published.begin, published.end)
        if role is not None
    }

    def tagged(variables: Variables, tokens: Array, **options: Any) -> Any:
        logits, state = model.apply(variables, tokens, **options)
        probability = jax.nn.softmax(logits.astype(jnp.float32), axis=-1)
        rest = (0, 0), (0, width - tokens.shape[1])
        outputs = probability.argmax(axis=-1), probability.max(axis=-1)
        return [jnp.pad(x, rest) for x in outputs], state

    (width,) = preprocessing.inputs["tokens"].shape
    apply = _short(tagged, tokenizer.special["pad"])

    def predict(variables: Variables, inputs: Mapping[str, Array], key: Key):
        tokens = preprocess(inputs)["tokens"]
        (tag, probability), _ = apply(variables, tokens, key=key)
        present = ~jnp.isin(tokens, jnp.array([*around]))
        # The index -1 is that of the last name, which is empty.
        outputs = {
            "token": (tokens, -1),
            "tag": (tag, -1),
            "probability": (probability, 0),
        }
        order = jnp.argsort(~present, axis=1, stable=True)
        return {
            **{
                name: jnp.take_along_axis(jnp.where(present, x, rest), order, axis=1)
                for name, (x, rest) in outputs.items()
            },
            "length": present.sum(axis=1),
        }

    classes = published.labels or [*map(str, range(model.module.num_classes))]
    names = {"token": (*_names(published), ""), "tag": (*classes, "")}
    names |= {"probability": (), "length": ()}
    return Ability(predict, preprocessing, names)


def _fill_mask(published: Published) -> Ability:
    """Most likely tokens in the place of the masked one."""
    model, tokenizer, preprocessing = _of_texts(published, masked=True)
    mask, preprocess = role_id(tokenizer, "mask"), preprocessor(preprocessing)

    def at_mask(variables: Variables, tokens: Array, **options: Any):
        positions = (tokens == mask).argmax(axis=1)[:, None]
        (logits, _), state = model.apply(
            variables, tokens, positions=positions, **options
        )
        return logits[:, 0], state

    apply = _short(at_mask, tokenizer.special["pad"])

    def predict(variables: Variables, inputs: Mapping[str, Array], key: Key):
        logits, _ = apply(variables, preprocess(inputs)["tokens"], key=key)
        probability = jax.nn.softmax(logits.astype(jnp.float32), axis=-1)
        count = min(TOP, probability.shape[-1])
        best, token = jax.lax.top_k(probability, count)
        return {"token": token, "probability": best}

    return Ability(
        predict, preprocessing, {"token": _names(published), "probability": ()}
    )


def _names(published: Published) -> list[str]:
    """Texts of the tokens of a model, by their ids."""
    tokenizer = published.tokenizer
    assert tokenizer is not None
    vocabulary = parse(tokenizer.spec["json"]).get_vocab(with_added_tokens=True)
    # The embedding may have more rows than there are tokens.
    size = max(published.model.module.vocab_size, tokenizer.vocab_size)
    names = [f"[{i}]" for i in range(size)]
    for text, i in vocabulary.items():
        names[i] = text
    return names


def _of_texts(
    published: Published, *, masked: bool
) -> tuple[Model, Tokenizer, Preprocessing]:
    """Model that takes the tokenizer's padding for none, and its inputs."""
    module, tokenizer = published.model.module, published.tokenizer
    if tokenizer is None:
        raise UserError("expected a tokenizer.json, of the texts")
    preprocessing = inputs_of.text(
        tokenizer,
        module.max_length,
        published.begin,
        published.end,
        masked=masked,
    )
    module = module.clone(pad_token=role_id(tokenizer, "pad"))
    return functional(module), tokenizer, preprocessing


def _short(apply: Callable[..., Any], pad: int) -> Callable[..., Any]:
    """Function of texts that is computed without the columns that are all padding.

    Most texts are far shorter than the longest that a model takes. Padding has to
    change nothing, as for a model with a `pad_token`.
    """

    def short(variables: Variables, tokens: Array, **options: Any) -> Any:
        lengths = [n for n in LENGTHS if n < tokens.shape[1]] + [tokens.shape[1]]

        def of_length(length: int) -> Callable[[Array], Any]:
            def row(x: Array) -> Any:
                outputs, _ = apply(variables, x[None], **options)
                return jax.tree.map(lambda x: x[0], outputs)

            size = max(1, MAX_TOKENS // length)
            return lambda x: jax.lax.map(row, x[:, :length], batch_size=size)

        longest = (tokens != pad).sum(axis=1).max()
        index = (longest > jnp.array(lengths)).sum()
        return jax.lax.switch(index, [of_length(n) for n in lengths], tokens), {}

    return short


def _check_single_label(published: Published) -> None:
    """Raises `UserError` unless a model chooses one of several classes."""
    kind = published.config.get("problem_type")
    if kind is None and published.model.module.num_classes == 1:
        kind = "regression"  # Which transformers takes a single label for.
    if kind not in (None, "single_label_classification"):
        raise UserError(
            f"problem_type={shown(repr(kind))}: expected "
            "'single_label_classification'; nothing else is supported"
        )
