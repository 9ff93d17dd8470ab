"""The messages of an account that has everything forgotten: each way in and out, and each end."""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from canary_plants import nobody
from canary_search import Canaries
from real_process import Process

from harness import Receiver, wait_for
from picture_host import PNG, PictureHost
from tenants import Tenant, owner
from webhook_app import App, Request, Said

ON = {"redact_body": True, "redact_numbers": True}
ENDS = {"delivered", "undelivered", "failed", "sent", "received", "canceled"}


class Forgetting:
    """Sends and receives. `sids`: label → SID of what is to be forgotten.

    A canary of `canaries` is of a person or a text, and must go; one of `settings` is what the
    customer set up, such as a webhook's URL: it may stay, sealed.
    """

    def __init__(self, server: Process, canaries: Canaries, receiver: Receiver) -> None:
        self.server = server
        self.canaries, self.settings = canaries, Canaries()
        self.receiver = receiver
        self.pictures = PictureHost()
        self.app = App(self._answer)
        self.sids: dict[str, str] = {}
        self.claimed: list[dict[str, str]] = []  # of webhooks without content
        self.own: dict[str, str] = {}  # label → number
        self._said = {
            kind: canaries.text(f"twiml {kind}: answer")
            for kind in ("reply", "picture", "to", "broken", "doctype", "plain", "odd", "redirect")
        }
        self._third = canaries.number("twiml to: number")

    def close(self) -> None:
        self.app.__exit__()
        self.pictures.close()

    # The account ----------------------------------------------------------------------------

    @property
    def account(self) -> Tenant:
        return owner(self.server)

    def switch_on(self) -> None:
        """Both switches; the media of a person's picture go with the rest."""
        path = f"/hushwire/v1/accounts/{self.server.sid}/privacy"
        status, answer = self.server.json("PUT", path, ON)
        assert status == 200, answer

    def buy(self, label: str, **form: str) -> str:
        """A number of the account; its SID."""
        name = self.settings.text(f"number {label}: name")
        made = self.account.made(
            "POST", "IncomingPhoneNumbers.json", 201, AreaCode="628", FriendlyName=name, **form
        )
        self.own[label] = made["phone_number"]
        return made["sid"]

    def service(self, label: str, pool: dict[str, str], **form: str) -> str:
        """A Messaging Service with these senders: kind of the pool → SID."""
        made = self.account.made(
            "POST", "/v1/Services", 201, UseInboundWebhookOnNumber="true",
            FriendlyName=self.settings.text(f"service {label}: name"),
            InboundRequestUrl=self.app.url(f"/{self.settings.text(f'service {label}: url')}"),
            **form,
        )  # fmt: skip
        for kind, sid in pool.items():
            path = f"/v1/Services/{made['sid']}/{kind}s"
            self.account.made("POST", path, 201, **{f"{kind}Sid": sid})
        return made["sid"]

    # What is sent ---------------------------------------------------------------------------

    def send(self, label: str, behaviour: str = "deliver", **form: str) -> str:
        """A text to a person of its own, with a callback URL of its own; its SID."""
        to = form.pop("To", "") or self.canaries.number(f"{label}: to")
        self.server.behave(to, behaviour)
        callback = self.receiver.url(f"/{self.canaries.text(f'{label}: url')}")
        given = {"To": to, "StatusCallback": callback, **form}
        if not given.keys() & {"MessagingServiceSid", "From"}:
            given["From"] = self.server.number
        if not given.keys() & {"ContentSid", "Body"}:
            given["Body"] = f"Hé ñ {self.canaries.text(f'{label}: body')}"
        made = self.account.made("POST", "Messages.json", 201, **given)
        self.sids[label] = made["sid"]
        return made["sid"]

    def outbound(self) -> None:
        """To every end there is, with everything that a create may carry."""
        text = self.canaries.text
        for label, behaviour in (
            ("out delivered", "deliver"), ("out silent", "silent"),
            ("out undeliverable", "undeliverable"), ("out blocked", "blocked"),
        ):  # fmt: skip
            self.send(label, behaviour)
        failing = self.receiver.url(f"/500/{text('out callback fails: path')}?a=1#rc=1")
        self.send("out callback fails", StatusCallback=failing)
        absent = f"{nobody()}/{text('out callback nobody: path')}"
        self.send("out callback nobody", StatusCallback=absent)
        self.send("out tags", Tags=f'{{"who": "{text("out tags: tag")}"}}')
        self.picture("out picture")
        key = text("out idempotency: key")
        form = {"Body": text("out idempotency: again"), "To": self.canaries.number("again: to")}
        for _ in range(2):
            self.sids["out idempotency"] = self._keyed(key, **form)
        self.send("out override", ContentRetention="discard", AddressRetention="obfuscate")

    def picture(self, label: str, **form: str) -> None:
        """A text with a picture that has canaries in its bytes, its name and its URL."""
        path = f"/{self.canaries.text(f'{label}: name')}.png"
        content = PNG + self.canaries.text(f"{label}: bytes").encode() * 50
        self.pictures.files[path] = ("image/png", content)
        query = self.canaries.text(f"{label}: query")
        self.send(label, MediaUrl=self.pictures.url(f"{path}?{query}=1"), **form)

    def _keyed(self, key: str, **form: str) -> str:
        body = "&".join(f"{k}={quote(v)}" for k, v in {**form, "From": self.server.number}.items())
        headers = {
            "Content-Type": "application/x-www-form-urlencoded", "Idempotency-Key": key,
        }  # fmt: skip
        answer = self.server.ask("POST", self.server.messages_path, body.encode(), headers)
        assert answer.status == 201, answer.body
        return str(answer.json()["sid"])

    def services(self) -> None:
        """By a service: a sender that a person knows, a long code for a short one, and later."""
        shop = self.service("shop", {"PhoneNumber": self.buy("shop")})
        for label in ("service sticky", "service scheduled", "service canceled"):
            form = {"MessagingServiceSid": shop}
            if label != "service sticky":
                form |= {"ScheduleType": "fixed", "SendAt": self._in_s(600)}
            self.send(label, **form)
        self.send("service template", MessagingServiceSid=shop, **self._template())
        again = f"+{self.canaries.planted['service sticky: to']}"
        self.send("service sticky again", MessagingServiceSid=shop, To=again)
        path = f"Messages/{self.sids['service canceled']}.json"
        self.account.made("POST", path, 200, Status="canceled")
        codes = f"/hushwire/v1/accounts/{self.server.sid}/short-codes"
        status, code = self.server.json("POST", codes, {"short_code": "73345", "country": "US"})
        assert status == 201, code
        pool = {"ShortCode": code["sid"], "PhoneNumber": self.buy("fallback")}
        fallback = self.service("fallback", pool)
        for label, behaviour in (
            ("fallback", "no_short_codes"), ("fallback silent", "silent"),
            ("fallback fails", "landline"),
        ):  # fmt: skip
            self.send(label, behaviour, MessagingServiceSid=fallback)

    def _template(self) -> dict[str, str]:
        content = {
            "friendly_name": self.settings.text("template: name"), "language": "en",
            "variables": {"1": self.settings.text("template: default")},
            "types": {"twilio/text": {"body": f"{self.settings.text('template: body')} {{{{1}}}}"}},
        }  # fmt: skip
        status, made = self.server.json("POST", "/v1/Content", content)
        assert status == 201, made
        variables = f'{{"1": "{self.canaries.text("service template: variable")}"}}'
        return {"ContentSid": made["sid"], "ContentVariables": variables}

    def _in_s(self, seconds: int) -> str:
        now = datetime.fromisoformat(self.server.json("GET", "/sandbox/clock")[1]["now"])
        return (now + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")

    # What comes in --------------------------------------------------------------------------

    def receive(self, label: str, body: str | None = None, to: str = "", **more: Any) -> str:
        """A text from a person of its own; its SID."""
        person = self.canaries.planted.get(f"{label}: from")
        number = f"+{person}" if person else self.canaries.number(f"{label}: from")
        if body is None:
            body = f"{label.split()[-1]} {self.canaries.text(f'{label}: body')}"
        status, answer = self.server.json(
            "POST", f"/sandbox/phones/{quote(number)}/messages",
            {"to": to or self.server.number, "body": body, **more},
        )  # fmt: skip
        assert status == 201, answer
        self.sids[f"{label} {len(self.sids)}"] = answer["sid"]
        return str(answer["sid"])

    def inbound(self) -> None:
        """Taken, taken by the second webhook, taken by nobody, and answered in every way."""
        (number,) = self.account.made(
            "GET", f"IncomingPhoneNumbers.json?PhoneNumber={quote(self.server.number)}"
        )["incoming_phone_numbers"]
        user, query = self.settings.text("webhook: user"), self.settings.text("webhook: query")
        path = f"IncomingPhoneNumbers/{number['sid']}.json"
        self.account.made(
            "POST", path, 200, SmsFallbackUrl=self.app.url("/fallback"),
            SmsUrl=self.app.url(f"/sms?{query}=1").replace("://", f"://{user}:x@"),
        )  # fmt: skip
        for kind in ("taken", "fallback", "down", *self._said):
            self.receive(f"in {kind}")
        name = f"/{self.canaries.text('in media: name')}.png"
        content = PNG + self.canaries.text("in media: bytes").encode() * 50
        self.pictures.files[name] = ("image/png", content)
        self.receive("in media", media_urls=[self.pictures.url(name)])
        self.receive("in unasked", to=self.own["shop"])  # by the service's URL, or none
        self._keywords(number["sid"])

    def _keywords(self, sid: str) -> None:
        words = [self.settings.text(f"keyword {kind}: word") for kind in ("STOP", "HELP")]
        rules = [
            {"type": kind, "keywords": [word], "text": self.settings.text(f"keyword {kind}: text")}
            for kind, word in zip(("STOP", "HELP"), words, strict=True)
        ]
        path = f"/hushwire/v1/accounts/{self.server.sid}/opt-out-keywords/{sid}"
        status, answer = self.server.json("PUT", path, {"rules": rules})
        assert status == 200, answer
        for body in ("STOP", "START", "HELP"):
            self.receive("in keywords", body)
        self.receive("in own keyword", words[0])
        to = f"+{self.canaries.planted['in own keyword: from']}"
        refused = self.account.may(
            "POST", "Messages.json", To=to, From=self.server.number, Body="x"
        )
        assert refused == 21610, "the person said the word"

    def by_get(self, policy: str) -> None:
        """A webhook by GET, under the policy that the server has now; claims are taken."""
        url = self.app.url(f"/get?{self.settings.text(f'get {policy}: query')}=1")
        self.buy(f"get {policy}", SmsUrl=url, SmsMethod="GET")
        before = len(self.app.requests)
        self.receive(f"in get {policy}", f"get {self.canaries.text(f'in get {policy}: body')}",
                     self.own[f"get {policy}"])  # fmt: skip
        wait_for(lambda: any("/get" in r.path for r in self.app.requests[before:]))
        (request,) = (r for r in self.app.requests[before:] if "/get" in r.path)
        assert request.method == ("POST" if policy == "post" else "GET")
        assert ("ClaimToken" in request.form) == (policy == "thin")
        if policy == "thin":
            self.canaries.secret("claim: token", request.form["ClaimToken"])
            wait_for(lambda: self.claimed)
            body = f"get {self.canaries.planted['in get thin: body']}"
            assert [claimed["Body"] for claimed in self.claimed] == [body]
            wrong = self.canaries.text("claim wrong: token")
            assert self.server.json("GET", f"/hushwire/v1/claims/{wrong}")[0] == 404

    def _answer(self, request: Request) -> Said:
        """The customer's app. The first word of a text says what it does."""
        if token := request.form.get("ClaimToken"):
            self.claimed.append(self.server.json("GET", f"/hushwire/v1/claims/{token}")[1])
        kind = request.form.get("Body", "").split(" ")[0]
        if kind == "down" or (kind == "fallback" and "/fallback" not in request.path):
            return Said(f"<Response>{kind}", 500)
        if kind not in self._said or request.path.startswith("/after"):
            return Said("<Response/>")
        text = self._said[kind]
        if request.path.startswith("/next"):
            return Said(f"<Response><Message>{text}</Message></Response>")
        picture = self.pictures.url("/cat.png")
        document = {
            "reply": f'<Message action="/after?{text}=1" statusCallback="/s?{text}=1">{text}'
            "</Message>",
            "picture": f"<Message><Media>{picture}?{text}=1</Media></Message>",
            "to": f'<Message to="{self._third}">{text}</Message>',
            "redirect": f'<Redirect method="GET">/next?q={text}&amp;Body=redirect</Redirect>',
            "broken": f"<Message>{text}<{text}></Message>",
        }.get(kind)
        if document is not None:
            return Said(f"<Response>{document}</Response>")
        if kind == "doctype":
            return Said(f'<!DOCTYPE a [<!ENTITY b "{text}">]><Response>&b;</Response>')
        types = {"plain": "text/plain", "odd": f"application/{text}"}
        return Said(text, content_type=types[kind])

    # Ends -----------------------------------------------------------------------------------

    def messages(self) -> dict[str, dict[str, Any]]:
        """Every message of the account by SID, replies too."""
        path = "Messages.json?PageSize=1000"
        return {m["sid"]: m for m in self.account.made("GET", path)["messages"]}

    def settle(self) -> None:
        """Wait until nothing more is on its way, but what is scheduled."""
        wait_for(lambda: self._waiting() <= {self.sids["service scheduled"]})
        self.server.advance(601)
        wait_for(lambda: not self._waiting())

    def _waiting(self) -> set[str]:
        return {sid for sid, m in self.messages().items() if m["status"] not in ENDS}

    def is_forgotten(self, kept: set[str]) -> bool:
        """Is nothing to be read of any message but those?"""
        return all(
            m["body"] == "" and m["from" if m["direction"] == "inbound" else "to"].endswith("XXXX")
            for sid, m in self.messages().items()
            if sid not in kept
        )
