"""What tests of the real process share: a server on a free port, and a callback receiver.

Both are those of `hushwire.testing`, with what only our own tests need.
"""

import re
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

from twilio.rest import Client

from hushwire.testing.receiver import Callback
from hushwire.testing.receiver import Receiver as CallbackReceiver
from hushwire.testing.server import ServerProcess

__all__ = ["Callback", "Receiver", "RunningServer", "quiet", "wait_for"]


class RunningServer(ServerProcess):
    """`hushwire up` as a process of its own, on a data directory that outlives it."""

    def __init__(self, data: Path, *flags: str, **environment: str) -> None:
        super().__init__(data, *flags, settings=environment)

    @property
    def sid(self) -> str:
        return self.account_sid

    @property
    def token(self) -> str:
        return self.auth_token

    def client(self) -> Client:
        """The official SDK, pointed here."""
        client = Client(self.sid, self.token)
        client.api.base_url = self.url
        return client

    def request(
        self, method: str, path: str, body: bytes | None = None,
        headers: Mapping[str, str] | None = None, *, auth: bool = True,
    ) -> tuple[int, dict[str, str], bytes]:  # fmt: skip
        """A plain HTTP request: (status, headers in lower case, body)."""
        found = self.ask(method, path, body, headers, auth=auth)
        return found.status, found.headers, found.body

    def json(self, method: str, path: str, content: object = None) -> tuple[int, dict]:  # type: ignore[type-arg]
        """A JSON request, for the sandbox."""
        found = self.ask_json(method, path, content)
        return found.status, found.json()

    def behave(self, number: str, behaviour: str) -> None:
        status, _ = self.json("POST", f"/sandbox/phones/{quote(number)}", {"behaviour": behaviour})
        assert status == 200

    def screen(self, number: str) -> list[dict]:  # type: ignore[type-arg]
        status, answer = self.json("GET", f"/sandbox/phones/{quote(number)}/messages")
        assert status == 200
        return answer["messages"]

    def advance(self, seconds: int) -> dict:  # type: ignore[type-arg]
        status, answer = self.json("POST", "/sandbox/clock", {"advance_s": seconds})
        assert status == 200, (status, answer)
        return answer

    def stop(self, within_s: float = 20) -> int:
        """Ctrl-C; the exit code. Raises TimeoutExpired: a test may not overlook a late stop."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        return self.process.wait(within_s)

    def __exit__(self, *_: object) -> None:
        if self.process is not None and self.process.poll() is None:
            self.stop()


class Receiver(CallbackReceiver):
    """A customer's webhook endpoint. `answer(callback)` gives the status; it may block."""

    def wait(self, count: int, within_s: float = 15) -> list[Callback]:
        """The callbacks once there are at least `count`."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.callbacks) >= count, within_s), (
                f"{len(self.callbacks)} of {count} callbacks came"
            )
            return list(self.callbacks)


def wait_for(condition: Callable[[], object], within_s: float = 15) -> None:
    """Wait until `condition()` is true."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)


class _Asked(Protocol):
    def request(
        self, method: str, path: str, *, auth: bool = True
    ) -> tuple[int, dict[str, str], bytes]: ...


def quiet(server: _Asked) -> None:
    """Wait until what a start sweeps is committed: from then on a commit is what was asked for."""
    seen = [""]

    def same() -> bool:
        metrics = server.request("GET", "/metrics", auth=False)[2].decode()
        (count,) = re.findall(r"^hushwire_commit_seconds_count (\S+)", metrics, re.MULTILINE)
        seen.append(count)
        time.sleep(0.05)
        return len(seen) > 5 and len(set(seen[-5:])) == 1

    wait_for(same)
