"""Small server that speaks as the Hugging Face Hub does, to fetch models from it."""

import hashlib
import http.server
import json
import pathlib
import threading
from typing import NamedTuple

import pytest

CDN = "http://localhost"  # Another origin, at the same port, of large files.


class Repository(NamedTuple):
    """Repository of a hub: revisions of folders.

    Attributes:
      commits: Folder of each commit, by its hash.
      refs: Commit of each branch and tag.
      token: Token that its files need, or None.
      gated: Whether what they need besides is the consent of its authors.
    """

    commits: dict[str, pathlib.Path]
    refs: dict[str, str]
    token: str | None = None
    gated: bool = False


class Hub(http.server.ThreadingHTTPServer):
    """Hub of some repositories.

    Attributes:
      repositories: Repositories by name; may be changed while it serves.
      requests: Method, path and token of each request so far.
    """

    Repository = Repository

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.repositories: dict[str, Repository] = {}
        self.requests: list[tuple[str, str, str | None]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.thread = threading.Thread(target=self.serve_forever, args=(0.01,))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.thread.join()
        self.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        path = self.path.partition("?")[0]
        token = (self.headers["Authorization"] or "").removeprefix("Bearer ") or None
        self.server.requests.append((self.command, path, token))
        parts = path.split("/")[1:]
        if parts[0] == "cdn":  # A signed address: whoever has it needs no token.
            return self.send_file(pathlib.Path("/", *parts[2:]), {})
        api = parts[:2] == ["api", "models"]
        parts = parts[2:] if api else parts
        if len(parts) < 4 or "/".join(parts[:2]) not in self.server.repositories:
            return self.refuse(401, "RepoNotFound")
        repository = self.server.repositories["/".join(parts[:2])]
        kind, revision, *rest = parts[2:]
        commit = repository.refs.get(revision, revision)
        if repository.token not in (None, token) and not repository.gated:
            return self.refuse(401, "RepoNotFound")
        if commit not in repository.commits:
            return self.refuse(404, "RevisionNotFound")
        folder = repository.commits[commit]
        if api:
            return self.send_json(listing(kind, commit, folder))
        if repository.token not in (None, token):
            return self.refuse(403, "GatedRepo")
        file = folder.joinpath(*rest)
        if not file.is_file():
            return self.refuse(404, "EntryNotFound")
        return self.send_file(file, {"X-Repo-Commit": commit})

    do_HEAD = do_GET  # noqa: N815 (of the base class)

    def refuse(self, status, code):
        self.send(status, b"", {"X-Error-Code": code})

    def send_json(self, content):
        self.send(200, json.dumps(content).encode(), {})

    def send_file(self, file, headers):
        content = file.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        large = file.suffix == ".safetensors"
        if large and "X-Repo-Commit" in headers:
            where = f"{CDN}:{self.server.server_port}/cdn/{digest}{file}"
            headers |= {"X-Linked-Etag": f'"{digest}"', "Location": where}
            headers["X-Linked-Size"] = str(len(content))
            return self.send(302, b"", headers)
        return self.send(200, content, {**headers, "ETag": f'"{digest[:40]}"'})

    def send(self, status, content, headers):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": len(content)}.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)


def listing(kind, commit, folder):
    """What the API says of a commit: its files, or ``tree``, with their sizes."""
    files = sorted(x for x in folder.rglob("*") if x.is_file())
    names = [str(x.relative_to(folder)) for x in files]
    if kind == "revision":
        siblings = [{"rfilename": name} for name in names]
        return {"id": "any/model", "sha": commit, "siblings": siblings}
    return [
        {"type": "file", "path": name, "size": x.stat().st_size, "oid": "0" * 40}
        for name, x in zip(names, files, strict=True)
    ]


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Hub without repositories, which huggingface_hub fetches from, to an empty cache.

    The library reads its environment when it is imported, once for all tests.
    """
    from huggingface_hub import constants

    with Hub() as server:
        for name, value in {
            "ENDPOINT": server.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": f"{server.url}/{{repo_id}}/resolve/"
            "{revision}/{filename}",
            "HF_HOME": str(tmp_path / "home"),
            "HF_HUB_CACHE": str(tmp_path / "home/hub"),
            "HF_TOKEN_PATH": str(tmp_path / "home/token"),
            "AGENT_HARNESSES_PATH": str(tmp_path / "home/agents"),
            "HF_HUB_OFFLINE": False,
        }.items():
            monkeypatch.setattr(constants, name, value, raising=False)
        monkeypatch.delenv("HF_TOKEN", raising=False)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
        yield server
