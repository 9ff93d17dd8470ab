"""One resource of each kind for a tenant, so that a test can ask for any of them."""

import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from itertools import count
from typing import Any

from harness import wait_for
from picture_host import PictureHost
from tenants import Tenant, owner
from wire_checks import Answer

Made = dict[str, Any]
JSON = {"Content-Type": "application/json"}
TO = "+14155550172"

_codes = count(54_321)
NEEDS = {  # to make the one, the others are made
    "SM": ("PN",), "ME": ("SM",), "AI": ("MG",), "NO": ("PN",), "AE": ("PN",), "DF": ("DG",),
    "LH": ("SM",),
}  # fmt: skip


def send(
    who: Tenant, method: str, path: str, body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:  # fmt: skip
    """A request with a body of any kind; `path` is the whole of it."""
    basic = b64encode(f"{who.user}:{who.password}".encode()).decode()
    given = {**(headers or {}), "Authorization": f"Basic {basic}"}
    return who.server.request(method, path, body, given, auth=False)


def fresh_code() -> str:
    """A short code that nobody has."""
    return str(next(_codes))


class Belongings:
    """What a tenant has: beginning of a SID → the resource as it was made.

    Every name, body and URL holds `mark`, so that a leak of any shows.
    """

    def __init__(self, tenant: Tenant, mark: str) -> None:
        self.tenant = tenant
        self.mark = mark
        self.made: dict[str, Made] = {}

    @property
    def sids(self) -> dict[str, str]:
        """Beginning of a SID → SID; a message's is `SM`, though it has a picture."""
        return {"AC": self.tenant.sid, **{kind: made["sid"] for kind, made in self.made.items()}}

    @property
    def number(self) -> str:
        """The number, E.164; one that nobody owns while there is none."""
        return self.made["PN"]["phone_number"] if "PN" in self.made else "+14155550199"

    def make(self, kind: str) -> Made:
        """Make one more of a kind."""
        return _MAKERS[kind](self)

    def have(self, kinds: Iterable[str]) -> "Belongings":
        """Make what is not there of these kinds."""
        for kind in sorted(kinds, key=list(_MAKERS).index):
            self.have(NEEDS.get(kind, ()))
            if kind not in self.made:
                self.made[kind] = self.make(kind)
        return self

    def have_all(self) -> "Belongings":
        """One of each kind; number and short code are in the service's pool."""
        self.have(_MAKERS)
        self.join("PN")
        self.join("SC")
        return self

    def join(self, kind: str) -> None:
        """Put the number (`PN`) or the short code (`SC`) into the service's pool."""
        path = {"PN": "PhoneNumbers", "SC": "ShortCodes"}[kind]
        form = {f"{path[:-1]}Sid": self.made[kind]["sid"]}
        self.post(f"/v1/Services/{self.made['MG']['sid']}/{path}", **form)

    def list(self, path: str, key: str) -> list[Made]:
        """The records of a page."""
        return self.tenant.made("GET", path)[key]

    def post(self, path: str, **form: str) -> Made:
        return self.tenant.made("POST", path, 201, **form)

    def post_json(self, tenant: Tenant, path: str, content: object) -> Made:
        status, _, answer = send(tenant, "POST", path, json.dumps(content).encode(), JSON)
        assert status == 201, answer
        return json.loads(answer)

    def name(self, kind: str) -> str:
        return f"The {kind} of {self.mark}"


def _number(own: Belongings) -> Made:
    return own.post("IncomingPhoneNumbers.json", AreaCode="650", FriendlyName=own.name("PN"))


def _message(own: Belongings) -> Made:
    """Delivered, so that it may be deleted; with a picture."""
    form = {"From": own.number, "To": TO, "Body": own.name("SM")}
    made = own.post("Messages.json", MediaUrl=_pictures().url("/cat.png"), **form)
    path = f"Messages/{made['sid']}.json"
    wait_for(lambda: own.tenant.made("GET", path)["status"] == "delivered")
    return made


def _medium(own: Belongings) -> Made:
    return own.list(f"Messages/{own.made['SM']['sid']}/Media.json", "media_list")[0]


@cache
def _pictures() -> PictureHost:
    """It goes with the process: its threads are daemons."""
    return PictureHost()


def _short_code(own: Belongings) -> Made:
    path = f"/hushwire/v1/accounts/{own.tenant.sid}/short-codes"
    content = {"short_code": fresh_code(), "country": "US"}
    return own.post_json(owner(own.tenant.server), path, content)


def _template(own: Belongings) -> Made:
    content = {
        "friendly_name": own.name("HX"), "language": "en",
        "types": {"twilio/text": {"body": f"A body of {own.mark}"}},
    }  # fmt: skip
    return own.post_json(own.tenant, "/v1/Content", content)


def _alphanumeric(own: Belongings) -> Made:
    """Eleven characters are all there may be: no room for the mark."""
    path = f"/v1/Services/{own.made['MG']['sid']}/AlphaSenders"
    return own.post(path, AlphaSender=f"Alpha{fresh_code()}")


def _alert(own: Belongings) -> Made:
    """Of a callback that nobody takes."""
    url = f"http://127.0.0.1:9009/{own.mark}"
    form = {"From": own.number, "To": TO, "Body": own.name("NO"), "StatusCallback": url}
    own.post("Messages.json", **form)
    wait_for(lambda: own.list("/v1/Alerts", "alerts"))
    return own.list("/v1/Alerts", "alerts")[0]


def _event(own: Belongings) -> Made:
    """Of what was made last."""
    wait_for(lambda: own.list("/v1/Events", "events"))
    return own.list("/v1/Events", "events")[0]


def _sink(own: Belongings) -> Made:
    to = {"destination": f"http://127.0.0.1:9009/{own.mark}"}
    return own.post(
        "/v1/Sinks", Description=own.name("DG"), SinkType="webhook",
        SinkConfiguration=json.dumps(to),
    )  # fmt: skip


def _subscription(own: Belongings) -> Made:
    kinds = [{"type": f"com.twilio.messaging.message.{status}"} for status in ("failed", "sent")]
    sink = own.made["DG"]["sid"]
    form = {"Description": own.name("DF"), "SinkSid": sink, "Types": json.dumps(kinds)}
    return own.post("/v1/Subscriptions", **form)


def _legal_hold(own: Belongings) -> Made:
    """On its one message."""
    path = f"/hushwire/v1/accounts/{own.tenant.sid}/legal-holds"
    about = own.made["SM"]["sid"]
    content = {"author": own.name("LH"), "reason": own.mark, "message_sid": about}
    return own.post_json(own.tenant, path, content)


_MAKERS: dict[str, Callable[[Belongings], Made]] = {  # in an order in which they can be made
    "PN": _number,
    "SK": lambda own: own.post("Keys.json", FriendlyName=own.name("SK")),
    "SM": _message,
    "ME": _medium,
    "AP": lambda own: own.post(
        "Applications.json", FriendlyName=own.name("AP"), SmsUrl=f"https://example.com/{own.mark}"
    ),
    "MG": lambda own: own.post("/v1/Services", FriendlyName=own.name("MG")),
    "SC": _short_code,
    "HX": _template,
    "AI": _alphanumeric,
    "NO": _alert,
    "AE": _event,
    "DG": _sink,
    "DF": _subscription,
    "LH": _legal_hold,
}
KINDS = tuple(_MAKERS)
