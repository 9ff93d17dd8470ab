"""The backends that an action is tested against: a Hushwire server, another one reached as if it
were Twilio's cloud, and Twilio's own answers as they are recorded.
"""

import asyncio
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qsl, urlencode

import httpx

from harness import RunningServer
from hushwire.connect.credentials import Basic
from hushwire.connect.refused import Refused
from hushwire.connect.run import Connected, run
from hushwire.connect.view import View
from hushwire.connect.wire import CLOUD, Wire
from hushwire.private import Private

RECORDED: dict[str, Any] = json.loads(
    (Path(__file__).parent / "facts" / "recorded_messages.json").read_text(encoding="utf-8")
)
_OURS = ("idempotency-key", "i-twilio-idempotency-token")  # what the cloud does not know


class Transport(httpx.AsyncBaseTransport):
    """Keeps what is asked, and hands it to `then`."""

    def __init__(self, then: httpx.AsyncBaseTransport | None = None) -> None:
        self.then = then or httpx.AsyncHTTPTransport()
        self.asked: list[httpx.Request] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        return await self.then.handle_async_request(request)

    async def aclose(self) -> None:
        await self.then.aclose()


class Cloud(Transport):
    """Twilio's hosts, played by a server: what only Hushwire knows does not reach it."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._own = httpx.URL(url)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        assert request.url.scheme == "https"
        assert request.url.host.endswith(".twilio.com")
        own = request.url.copy_with(
            scheme=self._own.scheme, host=self._own.host, port=self._own.port
        )
        headers = [(k, v) for k, v in request.headers.items() if k not in (*_OURS, "host")]
        sent = httpx.Request(request.method, own, headers=headers, content=await request.aread())
        return await self.then.handle_async_request(sent)


class Cut(Transport):
    """Breaks the connection at the first POST: `after` it was done, or before it arrived."""

    def __init__(self, then: httpx.AsyncBaseTransport, *, after: bool, times: int = 1) -> None:
        super().__init__(then)
        self._after = after
        self._times = times

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if request.method != "POST" or self._times == 0:
            return await self.then.handle_async_request(request)
        self._times -= 1
        if self._after:
            answer = await self.then.handle_async_request(request)
            await answer.aread()
        raise httpx.ReadError("cut", request=request)


class Busy(Transport):
    """Answers 429 with Retry-After at first, as Twilio does when too much is open (20429)."""

    def __init__(self, then: httpx.AsyncBaseTransport, *waits: str) -> None:
        super().__init__(then)
        self._waits = list(waits)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not self._waits:
            return await super().handle_async_request(request)
        error = {"code": 20429, "message": "Too Many Requests", "status": 429, "more_info": ""}
        return httpx.Response(429, json=error, headers={"Retry-After": self._waits.pop(0)})


class Backend(Protocol):
    """Where an action runs."""

    name: str
    sid: str
    number: str

    def transport(self) -> httpx.AsyncBaseTransport: ...
    def wire(self, transport: httpx.AsyncBaseTransport | None = None, **more: Any) -> Wire: ...


class Live:
    """A server: as itself, or as the cloud."""

    def __init__(self, server: RunningServer, *, cloud: bool) -> None:
        self.name = "cloud" if cloud else "hushwire"
        self.server = server
        self.sid = server.sid
        self.number = server.number
        self.user, self.password = server.sid, server.token

    def transport(self) -> httpx.AsyncBaseTransport:
        return Cloud(self.server.url) if self.name == "cloud" else Transport()

    def wire(self, transport: httpx.AsyncBaseTransport | None = None, **more: Any) -> Wire:
        url = CLOUD if self.name == "cloud" else self.server.url
        basic = Basic(self.user, Private(self.password))
        return Wire(url, basic, transport=transport or self.transport(), **more)

    def known_as(self, user: str, password: str, sid: str) -> "Live":
        """The same backend, asked by somebody else."""
        other = Live(self.server, cloud=self.name == "cloud")
        other.user, other.password, other.sid = user, password, sid
        return other


class Recorded:
    """Twilio's recorded answers: two pages of messages, one account, one create."""

    name = "recorded"
    number = "+15005550006"
    sid = str(RECORDED["base"]["account_sid"])

    def transport(self) -> httpx.AsyncBaseTransport:
        return Transport(httpx.MockTransport(_recorded))

    def wire(self, transport: httpx.AsyncBaseTransport | None = None, **more: Any) -> Wire:
        basic = Basic(self.sid, Private("f" * 32))
        return Wire(CLOUD, basic, transport=transport or self.transport(), **more)


def recorded_messages() -> list[dict[str, Any]]:
    """Every recorded message, newest first."""
    found: list[dict[str, Any]] = []
    for at, sample in enumerate(RECORDED["messages"]):
        record = {**RECORDED["base"], **sample["changes"]}
        sid = f"{record.get('sid', 'SM')}{at:032x}"
        uri = f"/2010-04-01/Accounts/{record['account_sid']}/Messages/{sid}"
        links = {"media": f"{uri}/Media.json", "feedback": f"{uri}/Feedback.json"}
        found.append({**record, "sid": sid, "uri": f"{uri}.json", "subresource_uris": links})
    return found


def _recorded(request: httpx.Request) -> httpx.Response:
    root, path = f"/2010-04-01/Accounts/{Recorded.sid}", request.url.path
    if path == f"{root}/Messages.json":
        return _created(request) if request.method == "POST" else _page(request)
    if path == "/2010-04-01/Accounts.json":
        query = [*parse_qsl(request.url.query.decode()), ("Page", "0")]
        return httpx.Response(200, json=_envelope(path, query, "accounts", [RECORDED["account"]]))
    if path == f"{root}.json":
        return httpx.Response(200, json=RECORDED["account"])
    for record in recorded_messages():
        if path == record["uri"]:
            return httpx.Response(200, json=record)
    text = f"The requested resource {path} was not found"
    more = "https://www.twilio.com/docs/errors/20404"
    error = {"code": 20404, "message": text, "more_info": more, "status": 404}
    return httpx.Response(404, json=error)


def _created(request: httpx.Request) -> httpx.Response:
    form = dict(parse_qsl(request.content.decode()))
    names = {"Body": "body", "To": "to", "From": "from"}
    asked = {key: form[name] for name, key in names.items() if name in form}
    return httpx.Response(201, json={**recorded_messages()[1], **asked})


def _page(request: httpx.Request) -> httpx.Response:
    """The first of the pages has three messages, the second all others."""
    given = parse_qsl(request.url.query.decode())
    if any(value.startswith("2008") for name, value in given if name.startswith("DateSent")):
        return httpx.Response(RECORDED["retention"]["status"], json=RECORDED["retention"]["error"])
    found = recorded_messages()
    if "PageToken" in dict(given):
        return httpx.Response(200, json=_envelope(request.url.path, given, "messages", found[3:]))
    first = [*given, ("Page", "0")]
    page = _envelope(request.url.path, first, "messages", found[:3])
    token = [*given, ("Page", "1"), ("PageToken", f"PA{found[2]['sid']}")]
    return httpx.Response(
        200, json={**page, "next_page_uri": f"{request.url.path}?{urlencode(token)}"}
    )


def _envelope(
    path: str, query: Iterable[tuple[str, str]], key: str, records: list[dict[str, Any]]
) -> dict[str, Any]:
    uri = f"{path}?{urlencode(list(query))}"
    return {
        "first_page_uri": uri, "uri": uri, "next_page_uri": None, "previous_page_uri": None,
        "page": 0, "page_size": 50, "start": 0, "end": max(len(records) - 1, 0), key: records,
    }  # fmt: skip


def act(
    backend: Backend, name: str, given: Mapping[str, object] | None = None, *,
    key: str | None = None, scopes: Iterable[str] | None = None, profile: str = "current",
    view: View = "full", transport: httpx.AsyncBaseTransport | None = None, **more: Any,
) -> dict[str, Any]:  # fmt: skip
    """Run an action there, through a connection of its own."""

    async def go() -> dict[str, Any]:
        wire = backend.wire(transport, **more)
        try:
            allowed = None if scopes is None else frozenset(scopes)
            connected = Connected(
                wire, backend.sid, scopes=allowed, profile=profile, view=view, view_key=b"k" * 32
            )
            return await run(name, given or {}, connected, key=key)
        finally:
            await wire.close()

    return asyncio.run(go())


def refusal_of(*args: Any, **more: Any) -> Refused:
    """What `act` is refused with."""
    try:
        output = act(*args, **more)
    except Refused as problem:
        return problem
    raise AssertionError(f"it was not refused: {output}")
