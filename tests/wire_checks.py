"""What the contract tests share: forms, refusals, and the shapes of answers."""

import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from twilio.base.exceptions import TwilioRestException

from harness import RunningServer, wait_for

MORE_INFO = "https://www.twilio.com/docs/errors/"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
Answer = tuple[int, dict[str, str], bytes]

_numbers = itertools.count(2000)
_VARIABLE = [
    (re.compile(r"\bAC[0-9a-f]{32}"), "<AC>"),
    (re.compile(r"SM[0-9a-f]{32}"), "<SM>"),
    (re.compile(r"(Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+0000\Z"),
     "<date>"),
]  # fmt: skip
_FACTS = Path(__file__).parent / "facts" / "api_v2010_messaging.json"
FACTS: dict[str, Any] = json.loads(_FACTS.read_text(encoding="utf-8"))


def fresh_phone() -> str:
    """A number that no other test texts."""
    return f"+1628555{next(_numbers):04d}"


def messages(server: RunningServer, sid: str | None = None) -> str:
    """The path of the list, or of one message."""
    base = f"/2010-04-01/Accounts/{server.sid}/Messages"
    return f"{base}.json" if sid is None else f"{base}/{sid}.json"


def post(server: RunningServer, form: object, path: str | None = None) -> Answer:
    """A form as any HTTP client sends it: a dict, a list of pairs, or the bytes themselves."""
    body = form if isinstance(form, bytes) else urlencode(form).encode()  # type: ignore[arg-type]
    return server.request("POST", path or messages(server), body, FORM)


def create(server: RunningServer, **changes: str | None) -> dict[str, Any]:
    """A message that is accepted, as the create answers it. None leaves a parameter out."""
    form = {"To": fresh_phone(), "From": server.number, "Body": "Hello Ada", **changes}
    status, _, body = post(server, {k: v for k, v in form.items() if v is not None})
    assert status == 201, body
    return json.loads(body)


def get(server: RunningServer, path: str) -> dict[str, Any]:
    status, _, body = server.request("GET", path)
    assert status == 200, body
    return json.loads(body)


def bodies(server: RunningServer, path: str) -> list[str]:
    """The bodies of a page, as listed."""
    return [message["body"] for message in get(server, path)["messages"]]


def until(server: RunningServer, sid: str, status: str) -> dict[str, Any]:
    """The message once it has that status."""
    wait_for(lambda: get(server, messages(server, sid))["status"] == status)
    return get(server, messages(server, sid))


def assert_refused(answer: Answer, status: int, code: int, text: str | None = None) -> None:
    """Twilio's error: the HTTP status, and exactly four keys."""
    assert answer[0] == status, answer[2]
    assert answer[1]["content-type"] == "application/json"
    error = json.loads(answer[2])
    assert error == {
        "code": code,
        "message": text if text is not None else error["message"],
        "more_info": f"{MORE_INFO}{code}",
        "status": status,
    }
    assert error["message"]


def refusal(call: Callable[[], object]) -> TwilioRestException:
    """What the SDK makes of a refusal."""
    with pytest.raises(TwilioRestException) as caught:
        call()
    return caught.value


def shape(value: Any) -> Any:
    """An answer with its SIDs and dates replaced by `<SM>`, `<AC>` and `<date>`."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value]
    if isinstance(value, str):
        for pattern, name in _VARIABLE:
            value = pattern.sub(name, value)
    return value


def assert_facts(schema: dict[str, Any], value: Any, where: str = "answer") -> None:
    """Does `value` fit Twilio's OpenAPI: properties known and all there, types, enums, formats?"""
    if "$ref" in schema:
        schema = FACTS["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if value is None:
        assert schema.get("nullable"), where
        return
    types: dict[str, type] = {"string": str, "integer": int, "array": list, "object": dict}
    assert type(value) is types[schema["type"]], where
    if "enum" in schema:
        assert value in schema["enum"], where
    if "pattern" in schema:
        assert re.search(schema["pattern"], value), where
    if schema.get("format") == "date-time-rfc-2822":
        assert shape(value) == "<date>", where
    if schema.get("format") in ("uri", "uri-map"):
        uris = [value] if isinstance(value, str) else list(value.values())
        assert uris, where
        assert all(uri.startswith("/2010-04-01/Accounts/AC") for uri in uris), where
    if schema.get("format") == "currency":
        assert re.fullmatch("[A-Z]{3}", value), where
    if "properties" in schema:
        assert set(value) == set(schema["properties"]), where
        for name, part in schema["properties"].items():
            assert_facts(part, value[name], f"{where}.{name}")
    for item in value if isinstance(value, list) else ():
        assert_facts(schema["items"], item, f"{where}[]")
