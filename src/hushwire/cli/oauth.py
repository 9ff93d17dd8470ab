"""Authorization in a browser, for `hushwire connections add --oauth`: the page is opened, and the
code comes back to a port of this machine (RFC 8252, 7.3)."""

import asyncio
import hmac
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import click

from hushwire.cli.exits import Failed, TryLater
from hushwire.connect.oauth import Authorization, Client
from hushwire.private import Private

PORT: Final = 8765
PATH: Final = "/callback"
WAIT_S: Final = 300.0

_CLOSE: Final = "<!doctype html><title>Hushwire</title><p>{}. You can close this window.</p>"


class _Listener(HTTPServer):
    """Waits for the browser to bring the answer to one question."""

    def __init__(self, port: int, state: Private) -> None:
        """Raises OSError when the port is taken."""
        super().__init__(("127.0.0.1", port), _Answer)
        self.state: Final = state
        self.said: Mapping[str, str] | None = None
        self.timeout = 1.0  # of each look, in seconds

    def wait(self, within_s: float = WAIT_S) -> Private:
        """The code. Raises Failed when it was denied, TryLater when nobody came."""
        until = time.monotonic() + within_s
        while self.said is None:
            if time.monotonic() >= until:
                raise TryLater("nobody approved in time: begin again")
            self.handle_request()
        code = self.said.get("code")
        if code is None:
            denied = self.said.get("error") == "access_denied"
            raise Failed(
                "denied: nothing is stored"
                if denied
                else "the server does not authorize this: "
                "does the app have these scopes? Nothing is stored"
            )
        return Private(code)


class _Answer(BaseHTTPRequestHandler):
    """The redirect of the authorization page; anything else is nothing to us."""

    server: _Listener  # pyright: ignore[reportIncompatibleVariableOverride]  it is never another
    timeout = 5.0

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        said = dict(parse_qsl(parts.query))
        state = said.get("state", "").encode()
        if parts.path != PATH or not hmac.compare_digest(
            state, self.server.state.reveal().encode()
        ):
            self.send_error(404)
            return
        self.server.said = said
        page = _CLOSE.format("Approved" if "code" in said else "Nothing was approved").encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(page)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, format: str, *args: object) -> None:
        """The code is in the line that would be written."""


def authorize(
    url: str, client: Client, scopes: tuple[str, ...], port: int = PORT, *, browse: bool = True
) -> Private:
    """Have a person approve at the server of that URL; the refresh token.

    Raises Failed, TryLater, and Refused for what the server says.
    """
    walk = Authorization(url, client.id, redirect_uri(port), scopes)
    try:
        listener = _Listener(port, walk.state)
    except OSError:
        raise Failed(
            f"port {port} of this machine is taken: choose another with --port, and give the app "
            "its redirect URI"
        ) from None
    with listener:
        click.echo(f"Approve on this page:\n\n  {walk.page}\n", err=True)
        if browse:
            click.launch(walk.page)
        code = listener.wait()
    return asyncio.run(walk.exchange(client, code))


def redirect_uri(port: int) -> str:
    """What the app must have among its redirect URIs."""
    return f"http://127.0.0.1:{port}{PATH}"
