"""Every way into the server that we know: a canary of its own goes through each."""

import json
import socket
from base64 import b64encode
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

from canary_search import Canaries
from real_process import FORM, Process

from harness import Receiver
from picture_host import PNG, PictureHost

JSON = {"Content-Type": "application/json"}


class Planter:
    """Plants canaries in a running server."""

    def __init__(self, server: Process, canaries: Canaries, receiver: Receiver) -> None:
        self.server = server
        self.canaries = canaries
        self.receiver = receiver
        self.pictures = PictureHost()
        self.sids: dict[str, str] = {}  # label → SID

    def create(self, label: str, expect: int = 201, **fields: str) -> None:
        """A create with a body and a recipient of its own, unless `fields` say otherwise."""
        form = {"From": "+15005550006", **fields}
        if "To" not in form:
            form["To"] = self.canaries.number(f"{label}: to")
        if "Body" not in form:  # with characters that no two encodings write alike
            form["Body"] = f"Hé ñ ✉ {self.canaries.text(f'{label}: body')} = 100 %"
        body = urlencode(form).encode()
        status, _, answer = self.server.request("POST", self.server.messages_path, body, FORM)
        assert status == expect, (label, status, answer)
        if status == 201:
            self.sids[label] = str(json.loads(answer)["sid"])

    def behave(self, label: str, behaviour: str) -> str:
        """A phone with a behaviour; its number."""
        number = self.canaries.number(f"{label}: to")
        self.server.behave(number, behaviour)
        return number

    # The entry points ---------------------------------------------------------------------

    def everything(self) -> None:
        self.messages()
        self.callbacks()
        self.media()
        self.refused_creates()
        self.reads()
        self.sandbox()
        self.strangers()

    def messages(self) -> None:
        """Messages that come to every end there is, and some that come to none."""
        for label in ("kept", "redacted", "deleted"):
            self.create(label)
        for label, behaviour in (
            ("live", "slow"), ("silent", "silent"), ("undelivered", "blocked"),
            ("undelivered, redacted", "filtered"), ("undelivered, deleted", "unreachable"),
        ):  # fmt: skip
            self.create(label, To=self.behave(label, behaviour))
        self.create("discarded", ContentRetention="discard", AddressRetention="obfuscate")
        self.create("long", Body=self.canaries.text("long: body") * 40)
        self.create("smart", SmartEncoded="true")
        self.create("plain", Body=self.canaries.text("plain: body"))

    def callbacks(self) -> None:
        """URLs with secrets in each part, and endpoints that fail in each way."""
        text = self.canaries.text
        whole = self.receiver.url(f"/{text('url: path')}?a={text('url: query')}")
        self.create("url", StatusCallback=f"{whole}#rc=1&{text('url: fragment')}=1")
        user = self.receiver.url().replace(
            "://", f"://{text('url: user')}:{text('url: password')}@"
        )
        self.create("userinfo", StatusCallback=user)
        self.create("no host", StatusCallback=f"http://{text('no host: host')}.invalid/x")
        self.create(
            "no listener", StatusCallback=f"{nobody()}/{text('no listener: path')}#rc=1&rp=all"
        )
        self.create("error", StatusCallback=self.receiver.url(f"/500/{text('error: path')}"))
        self.create("gone", StatusCallback=self.receiver.url(f"/410/{text('gone: path')}"))
        self.create("redirect", StatusCallback=self.receiver.url(f"/302/{text('redirect: path')}"))
        for label in ("url redacted", "url deleted"):
            self.create(label, StatusCallback=self.receiver.url(f"/500/{text(f'{label}: path')}"))
        self.create("bad url", expect=400, StatusCallback=f"ftp://{text('bad url: host')}/x")

    def media(self) -> None:
        """Files with secrets in their bytes, names and URLs; some that cannot be had."""
        text, files = self.canaries.text, self.pictures.files
        for label in ("media", "media deleted", "media redacted", "media refused", "media in"):
            path = f"/{text(f'{label}: name')}.png"
            content = PNG + text(f"{label}: bytes").encode() * 9_000
            files[path] = ("text/html" if label == "media refused" else "image/png", content)
            url = self.pictures.url(f"{path}?{text(f'{label}: query')}=1")
            if label != "media in":
                self.create(label, MediaUrl=url)
                continue
            phone = quote(self.canaries.number(f"{label}: from"))
            sent = {"to": self.server.number, "media_urls": [url]}
            status, answer = self.server.json("POST", f"/sandbox/phones/{phone}/messages", sent)
            assert status == 201
            self.sids[label] = answer["sid"]
        self.create("no media", MediaUrl=f"{nobody()}/{text('no media: path')}")
        user = self.pictures.url("/cat.png").replace("://", f"://{text('media: user')}:x@")
        self.create("media user", MediaUrl=user)

    def refused_creates(self) -> None:
        """Creates that are refused late or early; what they carried must not stay either."""
        text = self.canaries.text
        for label, to in (("magic", "+15005550001"), ("magic 2", "+15005550009")):
            self.create(label, expect=400, To=to)
        self.create("invalid to", expect=400, To=text("invalid to: to"))
        self.create("short to", expect=400, To=self.canaries.number("short to: to") + "000000")
        self.create("invalid from", expect=400, From=text("invalid from: from"))
        self.create("foreign from", expect=400, From=self.canaries.number("foreign from: from"))
        self.create("too long", expect=400, Body=text("too long: body") * 81)
        self.create("retention", expect=400, ContentRetention=text("retention: value"))
        self.create("validity", expect=400, ValidityPeriod=text("validity: value"))
        self.create("flag", expect=400, ProvideFeedback=text("flag: value"))
        self.create("bad media", expect=400, MediaUrl=f"ftp://{text('bad media: host')}/a.png")
        self.create("template", expect=400, ContentVariables=text("template: variables"))
        self.create("tags", Tags=json.dumps({"who": text("tags: value")}))
        self.create("unknown", **{text("unknown: name"): text("unknown: value")})
        self._raw_create("not UTF-8", b"To=%ff" + text("not UTF-8: to").encode())
        self._raw_create("huge", b"Body=" + text("huge: body").encode() * 4_000)
        self._raw_create("many", b"&".join([b"a=" + text("many: value").encode()] * 300))

    def _raw_create(self, label: str, body: bytes) -> None:
        status, _, answer = self.server.request("POST", self.server.messages_path, body, FORM)
        assert 400 <= status < 500, (label, status, answer)

    def reads(self) -> None:
        """Filters, paths and updates that carry what they ask for."""
        text, number = self.canaries.text, self.canaries.number
        for name in ("To", "From"):
            status, _ = self._get(f"?{name}={quote(number(f'filter {name}: number'))}")
            assert status == 200
        status, _ = self._get(f"?DateSent={text('filter date: value')}")
        assert status == 400
        self._get(f"?{text('query: name')}={text('query: value')}")
        self._get(f"?PageToken={text('token: value')}&Page=1")
        for path in (f"/{text('path: root')}", f"/2010-04-01/Accounts/{text('path: account')}.json",
                     self.server.message_path(text("path: message"))):  # fmt: skip
            assert self.server.request("GET", path)[0] == 404
        body = f"Body={text('update: body')}".encode()
        path = self.server.message_path(self.sids["kept"])
        assert self.server.request("POST", path, body, FORM)[0] == 400
        status, _ = self._get(f"?To={quote(self.canaries.planted['kept: to'])}")
        assert status == 200

    def _get(self, query: str) -> tuple[int, dict]:  # type: ignore[type-arg]
        return self.server.json("GET", self.server.messages_path + query)

    def sandbox(self) -> None:
        """Texts from phones, their screens, and JSON that is none of ours."""
        text = self.canaries.text
        for label in ("inbound", "inbound redacted", "inbound deleted"):
            phone = quote(self.canaries.number(f"{label}: from"))
            content = {"to": self.server.number, "body": text(f"{label}: body")}
            status, answer = self.server.json("POST", f"/sandbox/phones/{phone}/messages", content)
            assert status == 201
            self.sids[label] = answer["sid"]
        phone = "/sandbox/phones/%2B14155550101"
        foreign = {"to": self.canaries.number("inbound foreign: to"), "body": text("foreign: body")}
        assert self.server.json("POST", f"{phone}/messages", foreign)[0] == 404
        for label, body in (
            ("json broken", '{"to": "%s'), ("json type", '{"to": ["%s"]}'),
            ("json key", '{"%s": 1}'), ("json value", '{"behaviour": "%s"}'),
        ):  # fmt: skip
            where = phone if label == "json value" else f"{phone}/messages"
            sent = (body % text(f"{label}: text")).encode()
            assert self.server.request("POST", where, sent, JSON)[0] == 400
        assert self.server.json("GET", f"/sandbox/phones/{text('phone: path')}/messages")[0] == 400
        shown = self.server.screen("+" + self.canaries.planted["kept: to"])
        assert self.canaries.planted["kept: body"] in shown[0]["body"], "it went all the way"

    def strangers(self) -> None:
        """Wrong credentials, odd headers, and bytes that are no HTTP."""
        text = self.canaries.text
        for label, pair in (
            ("wrong token", f"{self.server.sid}:{text('wrong token: token')}"),
            ("wrong user", f"{text('wrong user: user')}:{self.server.token}"),
        ):
            basic = b64encode(pair.encode()).decode()
            path = self.server.messages_path
            status, _, _ = self.server.request(
                "GET", path, headers={"Authorization": f"Basic {basic}"}, auth=False
            )
            assert status == 401, label
        bearer = {"Authorization": f"Bearer {text('bearer: token')}"}
        path = self.server.messages_path
        assert self.server.request("GET", path, headers=bearer, auth=False)[0] == 401
        names = "User-Agent", "I-Twilio-Idempotency-Token", "X-Forwarded-For", "Cookie", "X-Odd"
        odd = {name: text(f"header {name}: value") for name in names}
        assert self.server.request("GET", self.server.messages_path, headers=odd)[0] == 200
        for label in ("garbage", "torn"):
            line = f"GET /{text(f'{label}: line')}"
            self._bytes((line if label == "torn" else f"{line} \x00\x01 HTTP/9\r\n\r\n").encode())

    def _bytes(self, data: bytes) -> None:
        parts = urlsplit(self.server.url)
        with socket.create_connection((parts.hostname or "", parts.port or 0), 5) as link:
            link.sendall(data)
            link.shutdown(socket.SHUT_WR)
            while link.recv(4_096):
                pass


def answers(path: str) -> int:
    """How the receiver answers: by the status the path begins with."""
    first = Path(path).parts[1]
    return int(first) if first.isdigit() else 200


def nobody() -> str:
    """A URL of a port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return f"http://127.0.0.1:{taken.getsockname()[1]}"
