"""Everything around messages: what a customer sets up, asks and gets wrong, and who looks."""

import json
from typing import Any
from urllib.parse import quote

import httpx
from canary_forgetting import Forgetting
from canary_search import Canaries
from real_process import FORM

from harness import wait_for
from tenants import Tenant

ACTIONS, CONNECTIONS = "/hushwire/v1/actions", "/hushwire/v1/connections"
REFUSED = range(400, 500)


class Around:
    """Works on the account of `own`. `names` may stand in the database as they are."""

    def __init__(self, own: Forgetting) -> None:
        self.own = own
        self.server = own.server
        self.names = Canaries()

    @property
    def ours(self) -> str:
        return f"/hushwire/v1/accounts/{self.server.sid}"

    def ask(self, method: str, path: str, content: object = None) -> tuple[int, Any]:
        return self.server.json(method, path, content)

    def refuse(self, method: str, path: str, content: object = None) -> None:
        """What must be refused; the refusal is the caller's to read, and nobody else's."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        status, _, answer = self.server.request(method, path, body if content else None)
        assert status in REFUSED, (path.partition("?")[0][:40], status, answer)

    # What may stay, sealed --------------------------------------------------------------------

    def set_up(self) -> None:
        """Webhooks, sinks, applications, keys, connections: each with something secret."""
        text, account, own = self.own.settings.text, self.own.account, self.own
        url = own.receiver.url
        assert self.ask("PUT", f"{self.ours}/debugger", {"url": url(f"/{text('debugger: url')}")})[
            0
        ] == 200  # fmt: skip
        for numbers in ("masked", "full"):
            to = {"destination": url(f"/{text(f'sink {numbers}: url')}"), "numbers": numbers}
            sink = account.made(
                "POST", "/v1/Sinks", 201, Description=text(f"sink {numbers}: name"),
                SinkType="webhook", SinkConfiguration=json.dumps(to),
            )  # fmt: skip
            statuses = ("queued", "sent", "delivered", "undelivered", "failed")
            kinds = [{"type": f"com.twilio.messaging.message.{s}"} for s in statuses]
            account.made(
                "POST", "/v1/Subscriptions", 201, SinkSid=sink["sid"], Types=json.dumps(kinds),
                Description=text(f"subscription {numbers}: name"),
            )  # fmt: skip
        account.made(
            "POST", "Applications.json", 201, FriendlyName=text("application: name"),
            MessageStatusCallback=url(f"/{text('application: url')}"),
        )  # fmt: skip
        name = self.names.text("account: name")
        account.made("POST", "/2010-04-01/Accounts.json", 201, FriendlyName=name)
        self._connections(account.key(FriendlyName=self.names.text("key: name")))
        self._oauth()

    def _connections(self, key: Tenant) -> None:
        text = self.own.settings.text
        self.own.settings.secret("connection: secret", key.password)
        works = {
            "kind": "key", "account_sid": key.sid, "key_sid": key.user, "key_secret": key.password,
        }  # fmt: skip
        status, made = self.ask("POST", CONNECTIONS, {"name": "mine", "credential": works})
        assert status == 201, made
        wrong = {**works, "key_secret": text("connection wrong: secret")}
        self.refuse("POST", CONNECTIONS, {"name": "wrong", "credential": wrong})
        odd = {"name": "odd", "credential": {**works, text("connection odd: field"): "x"}}
        self.refuse("POST", CONNECTIONS, odd)
        self.refuse("GET", f"{CONNECTIONS}/{text('connection unknown: name')}")
        host = f"http://{text('connection host: host')}.invalid"
        self.refuse_or_fail("POST", CONNECTIONS, {"name": "x", "url": host, "credential": works})

    def refuse_or_fail(self, method: str, path: str, content: object) -> None:
        """Of a backend that is not there: no success."""
        assert self.ask(method, path, content)[0] >= 400

    def _oauth(self) -> None:
        text, form = self.own.settings.text, self.server.request
        for path, names in (
            ("/v2/token", ("client_id", "client_secret", "grant_type")),
            ("/v1/token", ("ClientId", "ClientSecret", "GrantType")),
        ):  # fmt: skip
            fields = {name: text(f"oauth {path}: {name}") for name in names}
            fields[names[2]] = "client_credentials"
            body = "&".join(f"{k}={v}" for k, v in fields.items()).encode()
            assert form("POST", path, body, FORM, auth=False)[0] in REFUSED
        asked = "&".join(f"{name}={text(f'oauth authorize: {name}')}" for name in (
            "client_id", "redirect_uri", "state", "code_challenge", "scope"))  # fmt: skip
        assert form("GET", f"/oauth/authorize?{asked}", auth=False)[0] in REFUSED

    # Who looks, and what they look for --------------------------------------------------------

    def look(self) -> None:
        """Searches by number, and logs that are filtered."""
        text, number = self.own.canaries.text, self.own.canaries.number
        person = quote(f"+{self.own.canaries.planted['out delivered: to']}")
        for name in ("To", "From"):
            path = f"{self.server.messages_path}?{name}={quote(number(f'search {name}: number'))}"
            assert self.ask("GET", path)[0] == 200
        found = self.ask("GET", f"{self.server.messages_path}?To={person}")[1]["messages"]
        assert [m["sid"] for m in found] == [self.own.sids["out delivered"]]
        looked_up = quote(number("lookup: number"))
        assert self.ask("GET", f"/v2/PhoneNumbers/{looked_up}")[0] == 200
        self.refuse("GET", f"/v2/PhoneNumbers/{looked_up}?Fields={text('lookup fields: value')}")
        self.refuse("GET", f"/v2/PhoneNumbers/{text('lookup wrong: number')}?Fields=caller_name")
        self.refuse("GET", f"{self.ours}/callbacks?Outcome={text('callbacks: outcome')}")
        self.refuse("GET", f"{self.ours}/audit?What={text('audit: what')}")
        assert self.ask("GET", f"{self.ours}/audit?Subject={text('audit: subject')}")[0] == 200
        for path in ("/v1/Alerts?LogLevel=", "/v1/Events?StartDate="):
            self.server.request("GET", path + text(f"{path[4:9]}: filter"))
        assert self.ask("GET", f"{self.ours}/callbacks")[1]["callbacks"]
        assert self.ask("GET", f"{self.ours}/tombstones?x={text('tombstones: query')}")[0] < 500
        for view in ("history", "holds"):
            sid = self.own.sids["out delivered"]
            assert self.ask("GET", f"{self.ours}/messages/{sid}/{view}")[0] == 200
            self.refuse("GET", f"{self.ours}/messages/{text(f'{view}: sid')}/{view}")
        self._opt_outs(number("opt-out: number"), number("opt-out check: number"))
        self._actions()

    def _opt_outs(self, phone: str, other: str) -> None:
        (scope, *_) = self.own.account.made("GET", "IncomingPhoneNumbers.json")[
            "incoming_phone_numbers"
        ]
        path = f"{self.ours}/opt-outs"
        given = {"phone": phone, "scope": scope["sid"]}
        assert self.ask("POST", path, given)[0] == 204
        assert self.ask("GET", f"{path}/check?phone={quote(phone)}")[1]["blocked"]
        assert not self.ask("GET", f"{path}/check?phone={quote(other)}")[1]["blocked"]
        assert self.ask("DELETE", path, given)[0] == 204
        text = self.own.canaries.text
        self.refuse("POST", path, {"phone": text("opt-out wrong: phone"), "scope": scope["sid"]})
        self.refuse("POST", path, {**given, "scope": text("opt-out wrong: scope")})

    def _actions(self) -> None:
        """By the door of the actions, with a connection and without."""
        text, number = self.own.canaries.text, self.own.canaries.number
        for label, more in (("action", {}), ("action connected", {"connection": "mine"})):
            given = {
                "to": number(f"{label}: to"), "from": self.server.number,
                "body": text(f"{label}: body"),
            }  # fmt: skip
            status, sent = self.ask("POST", f"{ACTIONS}/send_message", {"input": given, **more})
            assert status == 200, sent
            self.own.sids[label] = sent["sid"]
            listing = {"to": given["to"], "limit": 1}
            self.ask("POST", f"{ACTIONS}/list_messages", {"input": listing, **more})
            looking = {"phone_number": number(f"{label} look-up: number")}
            self.ask("POST", f"{ACTIONS}/look_up_phone", {"input": looking, **more})
            for name, value in (("to", "x"), ("limit", "y"), ("sid", "z")):
                odd = {name: text(f"{label} wrong {name}: {value}")}
                self.refuse("POST", f"{ACTIONS}/send_message", {"input": odd, **more})
            self.refuse("POST", f"{ACTIONS}/{text(f'{label} unknown: name')}", {"input": {}})
        field = {"input": {text("action field: name"): 1}, text("action key: name"): 2}
        self.refuse("POST", f"{ACTIONS}/send_message", field)

    def follow(self) -> None:
        """The live log, while a message passes."""
        label = "tail"
        url, who = f"{self.server.url}{self.ours}/tail", (self.server.sid, self.server.token)
        with httpx.stream("GET", url, auth=who, timeout=10) as answer:
            lines = answer.iter_lines()
            assert "heartbeat" in next(lines)
            sid = self.own.send(label)
            read = next(line for line in lines if sid in line)
        assert self.own.canaries.find([("tail", read.encode())]) == [], "numbers are masked"

    def reveal(self) -> None:
        """An operator reads what lives, for a reason; or for none."""
        path = f"{self.ours}/messages/{self.own.sids['out delivered']}/reveal"
        reason = self.own.settings.text("reveal: reason")
        status, revealed = self.ask("POST", path, {"reason": reason})
        assert status == 200
        assert self.own.canaries.planted["out delivered: body"] in revealed["body"]
        self.refuse("POST", path, {"reason": self.own.settings.text("reveal long: reason") * 60})
        self.refuse("POST", path, {self.own.settings.text("reveal odd: name"): 1})

    def redeliver(self) -> None:
        """Callbacks that failed, posted again."""
        path, text = f"{self.ours}/callbacks/redeliver", self.own.canaries.text
        sid = self.own.sids["out callback fails"]
        assert self.ask("POST", path, {"message_sid": sid})[0] in (200, 202)
        self.refuse("POST", path, {"message_sid": text("redeliver: sid")})
        self.refuse("POST", path, {"from": text("redeliver from: date"), "to": "x"})

    # Rules about forgetting -------------------------------------------------------------------

    def hold(self) -> list[str]:
        """Legal holds on one message and on a person; the paths that lift them."""
        text, path = self.own.settings.text, f"{self.ours}/legal-holds"
        person = f"+{self.own.canaries.planted['out silent: to']}"
        about = {"message": {"message_sid": self.own.sids["out blocked"]},
                 "person": {"phone": person}}  # fmt: skip
        lifts: list[str] = []
        for label, what in about.items():
            signed = {name: text(f"hold {label}: {name}") for name in ("author", "reason")}
            status, made = self.ask("POST", path, {**signed, **what})
            assert status == 201, made
            lifts.append(f"{path}/{made['sid']}/lift")
        return lifts

    def wrong(self) -> None:
        """Values that no setting takes, in each of the forms that ask for some."""
        text, number = self.own.canaries.text, self.own.canaries.number
        for name in ("privacy", "retention"):
            path = f"{self.ours}/{name}"
            self.refuse("PATCH", path, {text(f"{name} unknown: name"): 1})
            known = {"privacy": "redact_body", "retention": "body_days"}[name]
            self.refuse("PATCH", path, {known: text(f"{name} value: value")})
            self.refuse("PUT", path, f'{{"{text(f"{name} torn: text")}'.encode())
        windows = {text("window unknown: name"): 1}
        self.refuse("PATCH", f"{self.ours}/privacy", {"windows_s": windows})
        self.refuse("PATCH", f"{self.ours}/privacy", {"display": number("display: number")})
        path = f"{self.ours}/legal-holds"
        signed = {"author": text("hold wrong: author"), "reason": text("hold wrong: reason")}
        self.refuse("POST", path, {**signed, "phone": text("hold wrong: phone")})
        self.refuse("POST", path, {**signed, "message_sid": text("hold wrong: sid")})
        self.refuse(
            "POST", path, {**signed, "phone": number("hold both: phone"), "message_sid": "x"}
        )
        self.refuse("POST", path, {**signed, "author": text("hold long: author") * 9})
        self.refuse("POST", f"{path}/{text('lift: sid')}/lift")
        self.refuse("POST", "/hushwire/v1/keys/rotate", {"rotate": text("rotate: what")})
        odd = {"rules": [{"type": "STOP", "keywords": [text("keyword wrong: word") * 9]}]}
        self.refuse("PUT", f"{self.ours}/opt-out-keywords/{text('keyword scope: sid')}", odd)
        self.refuse("PUT", f"{self.ours}/debugger", {"url": f"ftp://{text('debugger wrong: url')}"})

    def rotate(self) -> None:
        """Every key of the vault, to its end."""
        path = "/hushwire/v1/keys/rotate"
        for what in ("root", "all"):
            assert self.ask("POST", path, {"rotate": what})[0] == 202
            wait_for(lambda: self.ask("GET", path)[1]["state"] != "running")
            assert self.ask("GET", path)[1]["state"] == "done"
