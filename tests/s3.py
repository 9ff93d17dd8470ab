"""A real S3 API on loopback, as a process of its own."""

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from typing import Self

BUCKET = "pictures"


class S3:
    """One bucket. Credentials of any kind are good, but there must be some."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self._make_bucket()
        except BaseException:
            self.stop()
            raise

    def url(self, prefix: str = "") -> str:
        return f"s3://{BUCKET}/{prefix}?region=us-east-1&endpoint={self.endpoint}"

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def _make_bucket(self) -> None:
        made = urllib.request.Request(f"{self.endpoint}/{BUCKET}", method="PUT")
        deadline = time.monotonic() + 30
        while True:
            try:
                urllib.request.urlopen(made, timeout=5).close()
            except (urllib.error.URLError, OSError):
                assert time.monotonic() < deadline, "it did not start"
                assert self._process.poll() is None, "it ended"
                time.sleep(0.05)
            else:
                return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
