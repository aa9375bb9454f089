"""Downloads: checked before they get their name, and what does not come is said at once."""

import gzip
import hashlib
import http.server
import io
import logging
import os
import stat
import tarfile
import threading

import pytest

from eailab.data import fetch, published
from eailab.data.published import CIFAR10, PublishedFile, Source
from eailab.errors import MissingDataError

TEXT = b"four images of nothing " * 50_000


def md5(blob):
    return f"md5:{hashlib.md5(blob, usedforsecurity=False).hexdigest()}"


@pytest.fixture
def serve():
    """Serve some bytes by path; a path whose bytes are None is never answered."""
    servers, given_up = [], threading.Event()

    def start(content):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                blob = content.get(self.path, b"")
                if blob is None:
                    given_up.wait(10)
                    return
                self.send_response(200 if blob else 404)
                self.send_header("Content-Length", str(len(blob)))
                self.end_headers()
                self.wfile.write(blob)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/"

    yield start
    given_up.set()
    for server in servers:
        server.shutdown()
        server.server_close()


def one_by_one(url):
    files = tuple(PublishedFile(f"raw/{name}", None, md5(gzip.compress(TEXT, mtime=0))) for name in ("a", "b"))
    return Source("tiny", "", 1, 1, (1, 1, 1), 2, published.read_mnist, files, url)


def test_only_what_is_missing_is_downloaded_and_said(serve, tmp_path, caplog, monkeypatch):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(fetch, "PROGRESS_SECONDS", 0.0)
    url = serve({"/b.gz": gzip.compress(TEXT, mtime=0)})
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.gz").write_bytes(b"here")
    fetch.fetch(one_by_one(url), tmp_path)
    assert (tmp_path / "raw" / "a.gz").read_bytes() == b"here"
    assert gzip.decompress((tmp_path / "raw" / "b.gz").read_bytes()) == TEXT
    assert caplog.messages[0] == f"downloading tiny from 127.0.0.1 to {tmp_path}"
    assert "b.gz: 0 of 0 MB" in caplog.messages[1]


def test_an_archive_is_unpacked_into_the_files_that_are_wanted(serve, tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name in ("batches/one", "batches/readme", "../outside"):
            member = tarfile.TarInfo(name)
            member.size = len(TEXT)
            archive.addfile(member, io.BytesIO(TEXT))
    url = serve({"/all.tar.gz": buffer.getvalue()}) + "all.tar.gz"
    files = (PublishedFile("batches/one", md5(TEXT)),)
    source = Source("tiny", "", 1, 1, (1, 1, 1), 2, CIFAR10.read, files, url, md5(buffer.getvalue()))
    before = os.umask(0o002)
    try:
        fetch.fetch(source, tmp_path / "data")
    finally:
        os.umask(before)
    assert (tmp_path / "data" / "batches" / "one").read_bytes() == TEXT
    assert all(path.stat().st_mode & stat.S_IWGRP for path in tmp_path.rglob("*")), "a colleague may be next"
    assert {path.name for path in tmp_path.rglob("*")} == {"data", "batches", "one", ".download.lock"}


def test_another_file_than_the_published_one_is_not_kept(serve, tmp_path):
    url = serve({"/a.gz": b"a page that asks for a password"})
    with pytest.raises(MissingDataError, match=r"a\.gz has the checksum md5:\w+, the published one is md5:"):
        fetch.fetch(one_by_one(url), tmp_path)
    assert not (tmp_path / "raw").exists()


def test_a_file_that_the_server_lacks_is_one_error(serve, tmp_path):
    with pytest.raises(MissingDataError, match=r"downloading them from .*failed.*404"):
        fetch.fetch(one_by_one(serve({})), tmp_path)


def test_a_server_that_does_not_answer_is_said_and_then_given_up(serve, tmp_path, caplog, monkeypatch):
    monkeypatch.setattr(fetch, "PATIENCE_SECONDS", 0.01)
    monkeypatch.setattr(fetch, "SILENCE_SECONDS", 0.2)
    with pytest.raises(MissingDataError, match="timed out"):
        fetch.fetch(one_by_one(serve({"/a.gz": None})), tmp_path)
    assert "127.0.0.1 has not answered yet; it is given up after 0.2 s of silence" in caplog.messages


def test_addresses_and_the_archives_checksum_are_those_that_torchvision_uses():
    from torchvision import datasets

    assert published.MNIST_URL in datasets.MNIST.mirrors
    assert published.FASHION_URL in datasets.FashionMNIST.mirrors
    assert CIFAR10.url == datasets.CIFAR10.url
    assert CIFAR10.archive == f"md5:{datasets.CIFAR10.tgz_md5}"
    assert CIFAR10.files[0].path.startswith(f"{datasets.CIFAR10.base_folder}/")
