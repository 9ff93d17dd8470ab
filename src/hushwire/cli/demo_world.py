"""What the demo plays with: a server process of its own, and a callback receiver.

They are those that tests use (`hushwire.testing`); what fails here is a `DemoFailed`.
"""

from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from msgspec import Struct

from hushwire.testing.receiver import Callback
from hushwire.testing.receiver import Receiver as CallbackReceiver
from hushwire.testing.server import FORM, ServerFailed, ServerProcess


class DemoFailed(Exception):
    """Something did not turn out as the demo promises: one sentence."""


class Answer(Struct, frozen=True):
    """An HTTP answer with its JSON object; empty when it has none."""

    status: int
    body: dict[str, Any]


class World:
    """`hushwire up` under `home`, and HTTP with its credentials.

    Private things stay in memory: the journal is the server's own, which holds none.
    """

    def __init__(self, home: Path, receipt_ms: int) -> None:
        self.data = home / "data"
        self._server = ServerProcess(
            self.data,
            settings={"HUSHWIRE_SIMULATOR_RECEIPT_MS": str(receipt_ms)},
            log=home / "journal.log",
            detached=True,  # Ctrl-C reaches the demo alone, which then stops it
        )

    def start(self) -> None:
        """Start the server and wait until it accepts. Raises DemoFailed."""
        try:
            self._server.start(wait_s=30.0)
        except ServerFailed as error:
            raise DemoFailed(str(error)) from None

    def stop(self) -> int:
        """Ctrl-C for the server; its exit code. Stopping twice, or before a start, is fine."""
        return self._server.stop()

    @property
    def url(self) -> str:
        return self._server.url

    @property
    def account_sid(self) -> str:
        return self._server.account_sid

    @property
    def auth_token(self) -> str:
        return self._server.auth_token

    @property
    def number(self) -> str:
        return self._server.number

    def messages(self, rest: str = ".json") -> str:
        """The path of the account's messages."""
        return self._server.account_path(f"/Messages{rest}")

    def send(self, to: str, body: str, **more: str) -> Answer:
        form = {"To": to, "From": self.number, "Body": body, **more}
        return self.call("POST", self.messages(), urlencode(form).encode())

    def sandbox(self, method: str, path: str, content: object = None) -> Answer:
        """A call to the sandbox; `{number}` in a path is quoted by the caller's f-string."""
        try:
            found = self._server.ask_json(method, f"/sandbox{quote(path)}", content)
        except (OSError, HTTPException) as error:
            raise _no_answer(error) from None
        return Answer(found.status, found.json())

    def call(self, method: str, path: str, body: bytes | None = None) -> Answer:
        """A request with the account's credentials; any status is an answer."""
        try:
            found = self._server.ask(method, path, body, FORM if body is not None else {})
        except (OSError, HTTPException) as error:
            raise _no_answer(error) from None
        return Answer(found.status, found.json())

    def metrics(self) -> bytes:
        """What monitoring reads."""
        return self._server.ask("GET", "/metrics", auth=False).body


class Receiver(CallbackReceiver):
    """The customer's side: takes callbacks on a free port and keeps them in memory."""

    def wait(self, sid: str, status: str) -> Callback:
        """The callback that tells `status` of message `sid`. Raises DemoFailed."""
        found = self.find(
            lambda callback: (
                (callback.form.get("MessageSid"), callback.form.get("MessageStatus"))
                == (sid, status)
            )
        )
        if found is None:
            raise DemoFailed(f"no callback said {status!r} in time")
        return found


def _no_answer(error: Exception) -> DemoFailed:
    return DemoFailed(f"the server does not answer ({type(error).__name__})")
