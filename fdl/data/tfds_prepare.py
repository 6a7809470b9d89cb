"""Prepares data sets with TFDS, but without TensorFlow."""

import contextlib
import io
import os
import tempfile
from pathlib import Path

from fdl.data import checksums
from fdl.data.datasets.dataset import Dataset, Splits
from fdl.data.datasets.download import fetch
from fdl.errors import UserError


def prepare(name: str, dataset: Dataset, data_dir: Path, manual_dir: Path) -> Path:
    """Prepares a data set where that has not been done.

    It is prepared aside, together with its digests, and then renamed: what bears the
    name is whole, whenever this process is killed and whoever else prepares it.

    Args:
      name: Name of the data set.
      dataset: What it is made of.
      data_dir: Where all data sets lie.
      manual_dir: Where files lie that were put there by hand, a folder a data set.

    Returns:
      The folder ``<data_dir>/fdl/<name>/<version>``, as TFDS lays it out.

    Raises:
      UserError: Files are missing or damaged, or the folder cannot be made.
    """
    home = data_dir / "fdl"  # TFDS may have a data set of the same name.
    folder = home / name / dataset.version
    if not folder.exists():
        manual, downloads = manual_dir / name, data_dir / "downloads"
        splits = dataset.read(fetch(name, dataset.files, manual, downloads))
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"{folder.parent} cannot be made ({error.strerror}): choose another "
                "data_dir, or TFDS_DATA_DIR."
            ) from error
        with tempfile.TemporaryDirectory(prefix=".preparing-", dir=home) as aside:
            made = write(name, dataset, splits, aside)
            checksums.write(made)
            publish(made, folder)
    return folder


def write(name: str, dataset: Dataset, splits: Splits, data_dir: str) -> Path:
    """Writes arrays as a TFDS data set of array records, in their order.

    Returns:
      The folder of this version of the data set.
    """
    import tensorflow_datasets as tfds

    class Arrays(  # type: ignore[call-arg]
        tfds.core.GeneratorBasedBuilder, skip_registration=True
    ):
        """One example of each row."""

        VERSION = tfds.core.Version(dataset.version)
        url_infos = None  # TFDS has nothing to download, so no digests to look for.

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self,
                description=dataset.description,
                homepage=dataset.homepage,
                features=features(dataset, splits),
                disable_shuffling=True,  # Batches are shuffled.
            )

        def _split_generators(self, dl_manager):
            del dl_manager  # Everything is there.
            return {k: self._generate_examples(v) for k, v in splits.items()}

        def _generate_examples(self, arrays):
            for i in range(len(next(iter(arrays.values())))):
                yield i, {key: array[i] for key, array in arrays.items()}

    Arrays.name = name
    builder = Arrays(data_dir=data_dir)
    quiet = (
        io.StringIO()
    )  # What TFDS prints names a folder that is gone a moment later.
    with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
        builder.download_and_prepare(
            file_format="array_record",
            download_config=tfds.download.DownloadConfig(try_download_gcs=False),
        )
    return Path(builder.data_dir)


def features(dataset: Dataset, splits: Splits):
    """Says to TFDS what the arrays are.

    Bytes are decoded several times faster than lists of numbers.
    """
    import tensorflow_datasets as tfds

    def feature(key, array):
        if key in dataset.num_classes:
            return tfds.features.ClassLabel(num_classes=dataset.num_classes[key])
        encoding = tfds.features.Encoding.BYTES
        return tfds.features.Tensor(
            shape=array.shape[1:], dtype=array.dtype.type, encoding=encoding
        )

    first = next(iter(splits.values()))
    return tfds.features.FeaturesDict({k: feature(k, v) for k, v in first.items()})


def publish(made: Path, folder: Path) -> None:
    """Gives a folder its name, unless another process was faster."""
    try:
        os.rename(made, folder)
    except OSError:
        if not folder.exists():
            raise
