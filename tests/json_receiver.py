"""An endpoint that takes JSON: a sink of Event Streams."""

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple, cast

from harness import wait_for


class Post(NamedTuple):
    """A request as it came."""

    path: str  # with its query
    signature: str
    body: str

    @property
    def events(self) -> list[dict[str, Any]]:
        return json.loads(self.body)


class JsonReceiver:
    """Takes POSTs on a free port; `answer(post)` gives the HTTP status."""

    def __init__(self, answer: Callable[[Post], int] = lambda post: 204) -> None:
        self.posts: list[Post] = []
        self.answer = answer
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.receiver = self
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def url(self, path: str = "/events") -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}{path}"

    def events(self, count: int) -> list[dict[str, Any]]:
        """All events that came and were taken, once there are so many."""
        wait_for(lambda: len(self._taken()) >= count)
        return self._taken()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _taken(self) -> list[dict[str, Any]]:
        return [event for post in list(self.posts) for event in post.events]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    receiver: JsonReceiver


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        post = Post(self.path, self.headers["x-twilio-signature"], body)
        receiver = cast("_Server", self.server).receiver
        status = receiver.answer(post)
        if status < 300:
            receiver.posts.append(post)
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        return
