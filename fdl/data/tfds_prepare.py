"""Preparation of data sets with TFDS, without TensorFlow."""

import contextlib
import io
import os
import tempfile
from pathlib import Path

from fdl.data.checksums import write_checksums
from fdl.data.datasets.dataset import Dataset, Splits
from fdl.data.datasets.download import fetch
from fdl.data.sources import is_text
from fdl.errors import UserError


def prepare(name: str, dataset: Dataset, data_dir: Path, manual_dir: Path) -> Path:
    """Prepares a data set, unless it is prepared already.

    It is written to a temporary folder, together with its digests, and then renamed. So
    a folder of the final name is complete, even if this process is killed, or another
    one prepares the same data set.

    Args:
      name: Name of the data set.
      dataset: Description of the data set.
      data_dir: Folder of all data sets.
      manual_dir: Folder of files provided by hand, with one folder per data set.

    Returns:
      The folder ``<data_dir>/fdl/<name>/<version>``, in the layout of TFDS.

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
                f"{folder.parent} cannot be made ({error.strerror}); choose another "
                "data_dir, or set TFDS_DATA_DIR"
            ) from error
        # It lies on the same file system as the final folder, so that renaming is
        # atomic.
        with tempfile.TemporaryDirectory(prefix=".preparing-", dir=home) as aside:
            unpublished = write(name, dataset, splits, aside)
            write_checksums(unpublished)
            publish(unpublished, folder)
    return folder


def write(name: str, dataset: Dataset, splits: Splits, data_dir: str) -> Path:
    """Writes arrays as a TFDS data set in the array_record format, in their order.

    Args:
      name: Name of the data set.
      dataset: Description of the data set.
      splits: Arrays [N, ...] by split and name.
      data_dir: Folder to write to.

    Returns:
      The folder of this version of the data set.
    """
    # Imported late: TFDS takes half a second.
    import tensorflow_datasets as tfds

    class Arrays(  # type: ignore[call-arg]
        tfds.core.GeneratorBasedBuilder, skip_registration=True
    ):
        """Builder with one example per row of the arrays."""

        VERSION = tfds.core.Version(dataset.version)
        url_infos = None  # TFDS downloads nothing, so it needs no digests of URLs.

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self,
                description=dataset.description,
                homepage=dataset.homepage,
                features=features(dataset, splits),
                disable_shuffling=True,  # `fdl.data.batches` shuffles.
            )

        def _split_generators(self, dl_manager):
            del dl_manager  # The arrays are in memory.
            return {k: self._generate_examples(v) for k, v in splits.items()}

        def _generate_examples(self, arrays):
            for i in range(len(next(iter(arrays.values())))):
                yield i, {key: array[i] for key, array in arrays.items()}

    Arrays.name = name
    builder = Arrays(data_dir=data_dir)
    # TFDS prints the path of a temporary folder, which would mislead.
    quiet = io.StringIO()
    with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
        builder.download_and_prepare(
            file_format="array_record",
            download_config=tfds.download.DownloadConfig(try_download_gcs=False),
        )
    return Path(builder.data_dir)


def features(dataset: Dataset, splits: Splits):
    """TFDS features of the arrays of a data set.

    Tensors are encoded as bytes, which are decoded several times faster than lists of
    numbers.
    """
    # Imported late: TFDS takes half a second.
    import tensorflow_datasets as tfds

    def feature(key, array):
        if is_text(array):
            return tfds.features.Text()
        if key in dataset.classes:
            return tfds.features.ClassLabel(names=[*dataset.classes[key]])
        if key in dataset.num_classes:
            return tfds.features.ClassLabel(num_classes=dataset.num_classes[key])
        encoding = tfds.features.Encoding.BYTES
        return tfds.features.Tensor(
            shape=array.shape[1:], dtype=array.dtype.type, encoding=encoding
        )

    first = next(iter(splits.values()))
    return tfds.features.FeaturesDict({k: feature(k, v) for k, v in first.items()})


def publish(made: Path, folder: Path) -> None:
    """Renames a folder to its final name, unless another process was faster."""
    try:
        os.rename(made, folder)
    except OSError:
        # A folder that is not empty cannot be replaced: then the other one is kept.
        if not folder.exists():
            raise
