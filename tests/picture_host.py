"""A server that media are fetched from: good ones, and every way of being a bad one."""

import contextlib
import socket
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4
JPEG = b"\xff\xd8\xff\xe0" + bytes(range(255, -1, -1)) * 5
GIF = b"GIF89a" + b"gif " * 300
PDF = b"%PDF-1.7\n" + b"pdf " * 100
VCARD = b"BEGIN:VCARD\r\nVERSION:3.0\r\nFN:A Person\r\nEND:VCARD\r\n"
MB5 = 5 * 1024 * 1024
KB500 = 500 * 1024


class Picture(BaseHTTPRequestHandler):
    """One request. `server.host` says what is where."""

    protocol_version = "HTTP/1.1"
    server: "_Server"

    def do_GET(self) -> None:
        host = self.server.host
        path = self.path.partition("?")[0]
        host.asked.append(self.path)
        behave = host.bad.get(path)
        try:
            if behave is not None:
                behave(self)
            elif path in host.files:
                self.answer(200, *host.files[path])
            else:
                self.answer(404, "text/plain", b"not here")
        except OSError:  # who asked has gone
            self.close_connection = True

    def answer(self, status: int, content_type: str, content: bytes, **headers: str) -> None:
        self.send_response(status)
        if content_type:
            self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        return


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    host: "PictureHost"


class PictureHost:
    """Serves `files` (path → type, content); `bad` (path → behaviour) does what it likes."""

    def __init__(self) -> None:
        self.files: dict[str, tuple[str, bytes]] = {
            "/cat.png": ("image/png", PNG),
            "/dog.jpg": ("image/jpeg", JPEG),
            "/wave.gif": ("image/gif", GIF),
            "/terms.pdf": ("application/pdf", PDF),
            "/me.vcf": ("text/vcard; charset=utf-8", VCARD),
            "/page.png": ("image/png", b"<html><script>alert(1)</script></html>"),
            "/page.html": ("text/html", b"<html></html>"),
            "/picture.svg": ("image/svg+xml", b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
            "/lie.jpg": ("image/jpeg", PNG),
            "/empty.png": ("image/png", b""),
            "/unnamed": ("", PNG),
            "/largest.png": ("image/png", PNG + bytes(MB5 - len(PNG))),
            "/too-large.png": ("image/png", PNG + bytes(MB5 - len(PNG) + 1)),
            "/largest.pdf": ("application/pdf", PDF + bytes(KB500 - len(PDF))),
            "/too-large.pdf": ("application/pdf", PDF + bytes(KB500 - len(PDF) + 1)),
            "/half.png": ("image/png", PNG + bytes(MB5 // 2 - len(PNG))),
        }
        self.bad: dict[str, Callable[[Picture], None]] = {
            "/endless.png": _endless,
            "/cut.png": _cut,
            "/gzip.png": _gzip,
            "/nobody.png": lambda request: request.connection.shutdown(socket.SHUT_RDWR),
            "/silent.png": _silent,
            "/broken.png": lambda request: request.answer(503, "text/plain", b"later"),
            "/gone.png": lambda request: request.answer(410, "text/plain", b"gone"),
        }
        self.asked: list[str] = []
        self.released = threading.Event()  # ends the silence
        self._server = _Server(("127.0.0.1", 0), Picture)
        self._server.host = self
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self._server.server_port}{path}"

    def redirect(self, path: str, location: str) -> None:
        """From now on `path` leads to `location`."""
        self.bad[path] = lambda request: request.answer(302, "", b"", Location=location)

    def close(self) -> None:
        self.released.set()
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _silent(request: Picture) -> None:
    request.server.host.released.wait(60)
    request.close_connection = True


def _endless(request: Picture) -> None:
    request.send_response(200)
    request.send_header("Content-Type", "image/png")
    request.end_headers()
    request.close_connection = True
    request.wfile.write(PNG)
    with contextlib.suppress(OSError):
        while True:
            request.wfile.write(bytes(1 << 16))


def _cut(request: Picture) -> None:
    """Says it is longer than it is."""
    request.send_response(200)
    request.send_header("Content-Type", "image/png")
    request.send_header("Content-Length", str(len(PNG) + 100))
    request.end_headers()
    request.close_connection = True
    request.wfile.write(PNG)


def _gzip(request: Picture) -> None:
    """Says it is small, and would be huge."""
    request.answer(200, "image/png", b"\x1f\x8b" + bytes(100), Content_Encoding="gzip")
