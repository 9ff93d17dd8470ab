"""What the fixture `hushwire` gives a test: a server, its phones, its clock and its callbacks."""

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import cached_property
from importlib import import_module
from itertools import count
from typing import TYPE_CHECKING, Any, Final, Literal, overload
from urllib.parse import quote

import pytest
from msgspec import Struct, convert

from hushwire.testing.receiver import Callback, Receiver, signature_of
from hushwire.testing.reset import messages, reset
from hushwire.testing.server import Answer, ServerProcess

if TYPE_CHECKING:
    from twilio.rest import Client  # pyright: ignore[reportMissingTypeStubs]  # it has none

Behaviour = Literal[
    "deliver", "undeliverable", "unreachable", "blocked", "landline", "filtered", "slow", "silent",
    "no_short_codes",
]  # fmt: skip

REST_S: Final = 5.0  # real time that reading a phone waits for what is on its way
_POLL_S: Final = 0.005
_ON_ITS_WAY: Final = frozenset({"queued", "sending"})
_FINAL: Final = frozenset({"delivered", "undelivered", "failed", "received", "canceled", "read"})
_PASSED: Final = frozenset({"accepted", "queued", "sending", "sent"})  # before a receipt
_TESTS: Final = count(1)


class Text(Struct, frozen=True, rename={"from_": "from"}):
    """A text as the phone shows it."""

    sid: str
    from_: str
    to: str
    body: str
    received_at: datetime
    media_urls: tuple[str, ...] = ()


class Phone:
    """A simulated phone."""

    def __init__(self, hushwire: "Hushwire", number: str) -> None:
        self.number = number
        self._hushwire = hushwire
        self._path = f"/sandbox/phones/{quote(number)}"

    @property
    def messages(self) -> list[Text]:
        """The texts it received in this test, newest last.

        First it waits, at most 5 s, until nothing is on its way any more.
        """
        self._hushwire.rest()
        shown = self._hushwire.sandbox("GET", f"{self._path}/messages").json()["messages"]
        texts = convert(shown, list[Text])
        return [text for text in reversed(texts) if text.received_at >= self._hushwire.began]

    def send(self, body: str, to: str | None = None) -> str:
        """Text the account's number, or another one it owns. Returns the message's SID."""
        text = {"to": to or self._hushwire.number, "body": body}
        return self._hushwire.sandbox("POST", f"{self._path}/messages", text).json()["sid"]

    def behaves(self, behaviour: Behaviour) -> None:
        """What it does from now on with the messages it is sent, until the test ends."""
        self._hushwire.misbehaving.add(self.number)
        self._hushwire.sandbox("POST", self._path, {"behaviour": behaviour})


class SandboxClock:
    """The server's clock. It only goes forward, and the next test goes on where it stands."""

    def __init__(self, hushwire: "Hushwire") -> None:
        self._hushwire = hushwire

    @property
    def now(self) -> datetime:
        """In UTC."""
        return _moment(self._hushwire.sandbox("GET", "/sandbox/clock"))

    def advance(self, seconds: int) -> datetime:
        """Let so many seconds pass; all that becomes due is done, in its order."""
        answer = self._hushwire.sandbox("POST", "/sandbox/clock", {"advance_s": seconds})
        assert answer.status == 200, f"the server is still busy: {answer.json()['pending']} to do"
        return _moment(answer)


class Callbacks(Sequence[dict[str, str]]):
    """The callbacks of this test as they came, each a form; every signature was checked."""

    def __init__(self, receiver: Receiver, url: str, auth_token: str) -> None:
        self.url = url
        self._receiver = receiver
        self._token = auth_token
        self._path = url.removeprefix(receiver.url(""))

    @overload
    def __getitem__(self, index: int) -> dict[str, str]: ...
    @overload
    def __getitem__(self, index: slice) -> list[dict[str, str]]: ...
    def __getitem__(self, index: int | slice) -> dict[str, str] | list[dict[str, str]]:
        return self._forms()[index]

    def __len__(self) -> int:
        return len(self._forms())

    def __iter__(self) -> Iterator[dict[str, str]]:
        return iter(self._forms())

    def wait(
        self, *, status: str | None = None, sid: str | None = None, within_s: float = 10.0
    ) -> dict[str, str]:
        """The first callback with this status, of this message; waits until it comes."""
        __tracebackhide__ = True

        def wanted(callback: Callback) -> bool:
            form = callback.form
            said = form.get("MessageStatus", form.get("SmsStatus"))
            return (
                self._mine(callback)
                and (status is None or said == status)
                and (sid is None or form.get("MessageSid") == sid)
            )

        found = self._receiver.find(wanted, within_s)
        if found is None:
            came = [form.get("MessageStatus", "?") for form in self]
            raise AssertionError(f"no such callback came within {within_s:g} s, only {came}")
        return self._checked(found)

    def _forms(self) -> list[dict[str, str]]:
        with self._receiver.arrived:
            mine = [callback for callback in self._receiver.callbacks if self._mine(callback)]
        return [self._checked(callback) for callback in mine]

    def _mine(self, callback: Callback) -> bool:
        return callback.path.partition("?")[0] == self._path

    def _checked(self, callback: Callback) -> dict[str, str]:
        url = self._receiver.url(callback.path)
        right = signature_of(self._token, url, callback.form)
        assert callback.signature == right, "a callback came with a wrong signature"
        return callback.form


class Hushwire:
    """A server of your own for one test; the process is shared by the tests of a session."""

    def __init__(self, server: ServerProcess, receiver: Receiver) -> None:
        self._server = server
        self.url = server.url
        self.account_sid = server.account_sid
        self.auth_token = server.auth_token
        self.number = server.number  # one the account owns, E.164
        self.clock = SandboxClock(self)
        self.callback_url = receiver.url(f"/test/{next(_TESTS)}")
        self.callbacks = Callbacks(receiver, self.callback_url, server.auth_token)
        self.misbehaving: set[str] = set()
        self.began = self.clock.now
        self._patches = pytest.MonkeyPatch()

    @cached_property
    def client(self) -> "Client":
        """Twilio's own SDK, pointed here. Raises ModuleNotFoundError when it is not installed."""
        made: Client = _sdk().client_for(self.url, self.account_sid, self.auth_token)
        return made

    def patch_twilio(self) -> None:
        """Until the test ends: every client of Twilio's SDK in this process talks to the server.

        `TWILIO_ACCOUNT_SID` and `TWILIO_AUTH_TOKEN` of the environment are the account's.
        """
        self._patches.setenv("TWILIO_ACCOUNT_SID", self.account_sid)
        self._patches.setenv("TWILIO_AUTH_TOKEN", self.auth_token)
        _sdk().redirect(self.url, self._patches.setattr)

    def phone(self, number: str) -> Phone:
        """The simulated phone of that number (E.164)."""
        return Phone(self, number)

    def wait(self, sid: str, status: str, within_s: float = 10.0) -> dict[str, Any]:
        """Wait until the message has, or had, this status; the message as the API shows it."""
        __tracebackhide__ = True
        deadline = time.monotonic() + within_s
        while True:
            answer = self._server.ask("GET", self._server.account_path(f"/Messages/{sid}.json"))
            message: dict[str, Any] = answer.json()
            assert answer.status == 200, message["message"]
            now = message["status"]
            if now == status or (status in _PASSED and now in ("delivered", "undelivered")):
                return message
            code = message["error_code"]
            assert now not in _FINAL, f"the message is {now} (error {code}), not {status}"
            assert time.monotonic() < deadline, f"still {now}, not {status}, after {within_s:g} s"
            time.sleep(_POLL_S)

    def rest(self) -> None:
        """Wait, at most 5 s, until no message is on its way to a phone."""
        deadline = time.monotonic() + REST_S
        while time.monotonic() < deadline:
            if not any(message["status"] in _ON_ITS_WAY for message in messages(self._server)):
                return
            time.sleep(_POLL_S)

    def forget(self) -> None:
        """The test is over: nothing it did is left but the time that passed."""
        self._patches.undo()
        for number in self.misbehaving:
            self.sandbox("POST", f"/sandbox/phones/{quote(number)}", {"behaviour": "deliver"})
        reset(self._server)

    def sandbox(self, method: str, path: str, content: object = None) -> Answer:
        """A request to the sandbox. Raises AssertionError with what it refused."""
        __tracebackhide__ = True
        answer = self._server.ask_json(method, path, content)
        assert answer.status < 400, f"the sandbox says: {answer.json()['message']}"
        return answer


def _sdk() -> Any:
    # By name and only when asked for: a program that does not use the SDK need not have it.
    return import_module("hushwire.testing.sdk")


def _moment(answer: Answer) -> datetime:
    return convert(answer.json()["now"], datetime)
