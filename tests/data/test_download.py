"""Files are downloaded once, and only the published ones are taken."""

import functools
import hashlib
import http.server
import socket
import threading

import pytest

from fdl.data.datasets import download
from fdl.data.datasets.dataset import File
from fdl.errors import UserError

CONTENT = {"images.gz": b"some images", "labels.gz": b"their labels"}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A server of the files on this machine, what it was asked for, and its folder."""
    folder, asked = tmp_path_factory.mktemp("site"), []
    for name, content in CONTENT.items():
        (folder / name).write_bytes(content)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, _, *args):
            asked.append(args)

    handler = functools.partial(Handler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/", asked, folder
        server.shutdown()


def published(address, **digests):
    return {
        name: File(
            address + name,
            len(content),
            digests.get(name[:6], hashlib.sha256(content).hexdigest()),
        )
        for name, content in CONTENT.items()
    }


@pytest.fixture
def folders(tmp_path):
    return tmp_path / "manual" / "x", tmp_path / "downloads"


def put(folder, **files):
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / f"{name}.gz").write_bytes(content)


def test_published_files_are_downloaded_once(site, folders):
    address, asked, _ = site
    for _ in range(2):
        paths = download.fetch("x", published(address), *folders)
        assert {name: path.read_bytes() for name, path in paths.items()} == CONTENT
        count = len(asked)
    download.fetch("x", published(address), *folders)
    assert len(asked) == count


@pytest.mark.parametrize("wrong", ["images", "labels"])
def test_other_files_than_the_published_are_refused(site, folders, wrong):
    files = published(site[0], **{wrong: "0" * 64})
    for _ in range(2):  # Nor is what was refused taken from the cache.
        with pytest.raises(UserError, match="expected the published file") as error:
            download.fetch("x", files, *folders)
        assert site[0] + wrong in str(error.value)


def test_what_was_refused_is_downloaded_again(site, folders):
    address, _, folder = site
    (folder / "images.gz").write_bytes(b"damaged on the way")
    with pytest.raises(UserError, match="18 bytes"):
        download.fetch("x", published(address), *folders)
    (folder / "images.gz").write_bytes(CONTENT["images.gz"])
    paths = download.fetch("x", published(address), *folders)
    assert paths["images.gz"].read_bytes() == CONTENT["images.gz"]


def test_files_put_there_by_hand_are_taken_as_they_are(folders):
    put(folders[0], images=b"in another order", labels=b"as well")
    paths = download.fetch("x", published("http://127.0.0.1:9/"), *folders)
    assert paths["images.gz"].read_bytes() == b"in another order"


def test_a_file_missing_among_those_put_there_is_named(folders):
    put(folders[0], images=b"alone")
    with pytest.raises(UserError, match=r"missing labels\.gz") as error:
        download.fetch("x", published("http://127.0.0.1:9/"), *folders)
    assert str(folders[0]) in str(error.value)


def unreachable():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/"


@pytest.mark.parametrize("host", ["127.0.0.1", "nowhere.invalid"])
def test_without_a_network_one_line_says_what_to_put_where(folders, host):
    address = unreachable() if host == "127.0.0.1" else f"http://{host}/"
    with pytest.raises(UserError, match="could not be downloaded") as error:
        download.fetch("x", published(address), *folders)
    message = str(error.value)
    assert "\n" not in message
    assert f"{address}images.gz, {address}labels.gz" in message
    assert str(folders[0]) in message


def test_a_missing_file_is_told(site, folders):
    files = published(site[0] + "elsewhere/")
    with pytest.raises(UserError, match="404"):
        download.fetch("x", files, *folders)
