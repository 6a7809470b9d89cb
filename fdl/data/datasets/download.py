"""Files of a data set: put there by hand, or downloaded."""

import hashlib
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from fdl.data.datasets.dataset import File
from fdl.errors import UserError

TIMEOUT = 10.0  # Seconds to wait for the first answer.


def fetch(
    name: str, files: Mapping[str, File], manual: Path, downloads: Path
) -> dict[str, Path]:
    """Finds the files of a data set, or downloads them.

    Files that were put there by hand are taken as they are: whoever reads them
    validates them. Files that are downloaded have to have the published digests.

    Args:
      name: Name of the data set.
      files: What is needed, by the name of the file.
      manual: Where the files lie if they were put there by hand.
      downloads: Where to keep what is downloaded.

    Returns:
      Where the files lie, by the name of the file.

    Raises:
      UserError: Some files are missing, and could not be downloaded.
    """
    by_hand = {file: manual / file for file in files}
    missing = [path for path in by_hand.values() if not path.is_file()]
    if not missing:
        return by_hand
    if len(missing) < len(files):
        raise UserError(
            f"{manual} has some files of {name}, but lacks "
            f"{', '.join(path.name for path in missing)}."
        )
    try:
        return download(name, files, downloads)
    except Exception as error:  # Whatever it was, the way out is the same.
        addresses = ", ".join(file.address for file in files.values())
        cause = " ".join(str(error).split())[:200]
        raise UserError(
            f"{name} could not be downloaded ({type(error).__name__}: {cause}). "
            f"Put {addresses} into {manual} yourself."
        ) from error


def download(name: str, files: Mapping[str, File], downloads: Path) -> dict[str, Path]:
    """Downloads files, or takes them from an earlier download.

    Raises:
      UserError: A file is not the published one.
      Exception: Whatever stops the download.
    """
    import tensorflow_datasets as tfds

    manager = tfds.download.DownloadManager(download_dir=downloads, dataset_name=name)
    addresses = {key: file.address for key, file in files.items()}
    # TFDS notes each finished download in such a file. It tries for minutes where
    # there is no network, so one quick attempt goes ahead.
    if len(list((downloads / name).glob("*.INFO*"))) < len(files):
        urllib.request.urlopen(next(iter(addresses.values())), timeout=TIMEOUT).close()
    paths = {key: Path(path) for key, path in manager.download(addresses).items()}
    for key, path in paths.items():
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if (len(content), digest) != files[key][1:]:
            # Or else it, and what TFDS noted of it, would be taken for good again.
            for left in path.parent.glob(f"{path.name}*"):
                left.unlink()
            raise UserError(
                f"{addresses[key]} is not the published file: {len(content)} bytes, "
                f"sha256 {digest}"
            )
    return paths
