"""A private object store that speaks S3: moto's server in a process of its own, on a port of the loopback."""

from __future__ import annotations

import itertools
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from tests.databases.server import PATIENCE, bound_to_us, free_port, wait_until

ACCESS, SECRET = "piko-access", "piko-secret-that-nobody-may-see"


class Bucket:
    """One bucket, looked at without the library under test."""

    def __init__(self, endpoint: str, name: str) -> None:
        self.endpoint, self.name = endpoint, name
        self.url = f"s3://{name}"

    def store(self) -> Any:
        """A store of obstore for it; the function itself can be given as `store=`."""
        from obstore.store import S3Store

        return S3Store(
            self.name,
            endpoint=self.endpoint,
            access_key_id=ACCESS,
            secret_access_key=SECRET,
            region="us-east-1",
            client_options={"allow_http": True, "pool_max_idle_per_host": "0"},
            retry_config={"max_retries": 1},
        )

    def keys(self) -> list[str]:
        """The keys of all objects, sorted."""
        return sorted(self._texts("list-type=2", "Key"))

    def uploads(self) -> list[str]:
        """The keys of uploads that were begun and not finished."""
        return sorted(self._texts("uploads", "Key"))

    def make(self) -> None:
        """Make the bucket."""
        self._ask("", "PUT")

    def _texts(self, query: str, tag: str) -> list[str]:
        return re.findall(f"<{tag}>(.*?)</{tag}>", self._ask(f"?{query}").decode())

    def _ask(self, query: str, method: str = "GET") -> bytes:
        request = urllib.request.Request(f"{self.endpoint}/{self.name}{query}", method=method)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            found: bytes = answer.read()
            return found


class BucketServer:
    """The server; what it holds ends with it."""

    def __init__(self) -> None:
        port = free_port()
        self.endpoint = f"http://127.0.0.1:{port}"
        self._numbers = itertools.count()
        self._process = subprocess.Popen(
            [*bound_to_us("KILL"), sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        assert wait_until(self._answers), "moto's server did not start"

    def bucket(self) -> Bucket:
        """A new empty bucket."""
        made = Bucket(self.endpoint, f"bucket-{next(self._numbers)}")
        made.make()
        return made

    def pause(self) -> None:
        """Freeze the server: requests are not answered until `resume`."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End the server."""
        self._process.kill()
        self._process.wait()

    def _answers(self) -> bool:
        assert self._process.poll() is None, "moto's server has ended"
        with suppress(OSError), urllib.request.urlopen(f"{self.endpoint}/moto-api/", timeout=PATIENCE):
            return True
        return False


@pytest.fixture(scope="session")
def bucket_server() -> Iterator[BucketServer]:
    server = BucketServer()
    # obstore's threads and their descriptors begin with its first request and stay for the process.
    import obstore

    obstore.put(server.bucket().store(), "first", b"")
    yield server
    server.close()


@pytest.fixture
def bucket(bucket_server: BucketServer) -> Bucket:
    """An empty bucket of a server that speaks S3."""
    return bucket_server.bucket()
