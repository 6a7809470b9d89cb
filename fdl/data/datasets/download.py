"""Files of data sets: provided by hand, or downloaded."""

import hashlib
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from fdl.data.datasets.dataset import File
from fdl.errors import UserError

TIMEOUT = 10.0  # Seconds until a server has to answer.


def fetch(
    name: str, files: Mapping[str, File | str], manual: Path, downloads: Path
) -> dict[str, Path]:
    """Locates the files of a data set, or downloads them.

    Files provided by hand are not compared to the published digests: the function that
    reads them validates them. Downloaded files are.

    Args:
      name: Name of the data set.
      files: Files that are needed, by name of the file; a text in place of one says
        what to put there by hand.
      manual: Folder of files provided by hand.
      downloads: Folder for downloads.

    Returns:
      Paths by name of the file.

    Raises:
      UserError: Some files are missing, and could not be downloaded.
    """
    by_hand = {file: manual / file for file in files}
    missing = [path for path in by_hand.values() if not path.is_file()]
    if not missing:
        return by_hand
    if len(missing) < len(files):
        raise UserError(
            f"{manual}: expected all files of {name!r}, missing "
            f"{', '.join(path.name for path in missing)}"
        )
    published = {k: file for k, file in files.items() if isinstance(file, File)}
    if len(published) < len(files):
        others = "; ".join(f"{k}: {v}" for k, v in files.items() if isinstance(v, str))
        raise UserError(
            f"{name!r} is not downloaded: put into {manual} by hand {others}"
        )
    try:
        return download(name, published, downloads)
    except Exception as error:
        # The network, TFDS and the disk fail in many ways, and the remedy is the same.
        addresses = ", ".join(file.address for file in published.values())
        cause = " ".join(str(error).split())[:200]
        raise UserError(
            f"{name!r} could not be downloaded ({type(error).__name__}: {cause}); "
            f"put {addresses} into {manual} by hand"
        ) from error


def download(name: str, files: Mapping[str, File], downloads: Path) -> dict[str, Path]:
    """Downloads files, or takes them from an earlier download.

    Args:
      name: Name of the data set.
      files: Files that are needed, by name of the file.
      downloads: Folder for downloads.

    Returns:
      Paths by name of the file.

    Raises:
      UserError: A file differs from the published one.
      Exception: The download failed.
    """
    # Imported late: TFDS takes half a second.
    import tensorflow_datasets as tfds

    manager = tfds.download.DownloadManager(download_dir=downloads, dataset_name=name)
    addresses = {key: file.address for key, file in files.items()}
    # TFDS writes an INFO file for each finished download. Without a network it retries
    # for minutes, so a single request with a short timeout goes first.
    if len(list((downloads / name).glob("*.INFO*"))) < len(files):
        urllib.request.urlopen(next(iter(addresses.values())), timeout=TIMEOUT).close()
    paths = {key: Path(path) for key, path in manager.download(addresses).items()}
    for key, path in paths.items():
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        # All fields of a `File` but its address: size and sha256.
        if (len(content), digest) != files[key][1:]:
            # TFDS would reuse the file because of the INFO file beside it.
            for stale in path.parent.glob(f"{path.name}*"):
                stale.unlink()
            raise UserError(
                f"{addresses[key]}: expected the published file, got "
                f"{len(content)} bytes, sha256 {digest}"
            )
    return paths
