"""After a test: what it left on the server is gone, so that the next one does not see it."""

from typing import Any, Final
from urllib.parse import urlencode

from msgspec import Struct

from hushwire.testing.server import FORM, Answer, ServerProcess

HOUR_S: Final = 3600  # after it, nothing more is expected of a message without a receipt
QUEUE_S: Final = 36_000  # after it, nothing waits for its sender's turn
_PAGE: Final = "?PageSize=1000"
_UNSET: Final = dict.fromkeys(
    ("FriendlyName", "SmsUrl", "SmsMethod", "SmsFallbackUrl", "SmsFallbackMethod",
     "StatusCallback", "StatusCallbackMethod"), "",
)  # fmt: skip


class _Kind(Struct, frozen=True):
    """A kind of record that a test may make."""

    path: str
    key: str  # of the list
    suffix: str = ""
    of_account: bool = False  # below the account's path


_MADE: Final = (
    _Kind("/v1/Services", "services"),
    _Kind("/Applications", "applications", ".json", of_account=True),
    _Kind("/v1/Content", "contents"),
    _Kind("/Keys", "keys", ".json", of_account=True),
    _Kind("/v1/Subscriptions", "subscriptions"),
    _Kind("/v1/Sinks", "sinks"),
)


class CannotReset(Exception):
    """The test left something that cannot be undone: it needs a server of its own."""


def messages(server: ServerProcess) -> list[dict[str, Any]]:
    """The account's messages, newest first; at most a thousand."""
    path = server.account_path(f"/Messages.json{_PAGE}")
    found: list[dict[str, Any]] = _done(server.ask("GET", path)).json()["messages"]
    return found


def reset(server: ServerProcess) -> None:
    """Lift opt-outs, delete the account's messages, give back its numbers, close subaccounts;
    delete its services, applications, templates, keys, sinks and subscriptions.

    What is not finished is finished by letting time pass. Raises CannotReset.
    """
    _advance(server, 1)  # what is under way is done; and no text of the next test is as old
    _opt_outs(server)
    if not (_empty(server) or _empty(server, HOUR_S) or _empty(server, QUEUE_S)):
        raise CannotReset("messages of this test are not finished, so they cannot be deleted")
    for kind in _MADE:
        _delete_all(server, kind)
    _numbers(server)
    _subaccounts(server)


def _opt_outs(server: ServerProcess) -> None:
    """Phones that texted STOP want messages again."""
    path = f"/hushwire/v1/accounts/{server.account_sid}/opt-outs"
    inbound = (message for message in messages(server) if message["direction"] == "inbound")
    for phone in {message["from"] for message in inbound}:
        asked = server.ask("GET", f"{path}/check?{urlencode({'phone': phone})}")
        for scope in _done(asked).json()["scopes"]:
            _done(server.ask_json("DELETE", path, {"phone": phone, "scope": scope}))


def _empty(server: ServerProcess, wait_s: int = 0) -> bool:
    """Delete all messages, `wait_s` later; False when some are not finished."""
    if wait_s:
        _advance(server, wait_s)
    while found := messages(server):
        paths = [server.account_path(f"/Messages/{message['sid']}.json") for message in found]
        refused = [path for path in paths if server.ask("DELETE", path).status == 409]
        if refused:
            return False
    return True


def _delete_all(server: ServerProcess, kind: _Kind) -> None:
    """Of what has a path of its own, all: none is there when the server starts."""
    path = server.account_path(kind.path) if kind.of_account else kind.path
    while found := _done(server.ask("GET", f"{path}{kind.suffix}{_PAGE}")).json()[kind.key]:
        for record in found:
            _done(server.ask("DELETE", f"{path}/{record['sid']}{kind.suffix}"))


def _numbers(server: ServerProcess) -> None:
    """The account owns its first number, as it was, and no other."""
    path = server.account_path(f"/IncomingPhoneNumbers.json{_PAGE}")
    owned: dict[str, str] = {
        number["phone_number"]: server.account_path(f"/IncomingPhoneNumbers/{number['sid']}.json")
        for number in _done(server.ask("GET", path)).json()["incoming_phone_numbers"]
    }
    first = owned.pop(server.number, server.account_path("/IncomingPhoneNumbers.json"))
    for path in owned.values():
        _done(server.ask("DELETE", path))
    _post(server, first, {**_UNSET, "PhoneNumber": server.number})


def _subaccounts(server: ServerProcess) -> None:
    for status in ("active", "suspended"):
        path = f"/2010-04-01/Accounts.json{_PAGE}&Status={status}"
        for account in _done(server.ask("GET", path)).json()["accounts"]:
            if account["sid"] != server.account_sid:
                path = f"/2010-04-01/Accounts/{account['sid']}.json"
                _post(server, path, {"Status": "closed"})


def _advance(server: ServerProcess, seconds: int) -> None:
    _done(server.ask_json("POST", "/sandbox/clock", {"advance_s": seconds}))


def _post(server: ServerProcess, path: str, form: dict[str, str]) -> None:
    _done(server.ask("POST", path, urlencode(form).encode(), FORM))


def _done(answer: Answer) -> Answer:
    if answer.status >= 400:
        raise CannotReset(str(answer.json().get("message", f"HTTP {answer.status}")))
    return answer
