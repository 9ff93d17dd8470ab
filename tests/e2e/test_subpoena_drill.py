"""The subpoena drill: what can be produced of an account that has us forget.

docs/explanation/threat-model.md has the table that this proves. Whoever comes holds root key,
vault, database, media and logs. The drill is done twice: at once, when everything is there to be
read, which shows that the reader can read; and when the last hold is over.
"""

import json
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from canary_search import Canaries, files
from seized import Seized

from harness import Receiver, RunningServer, wait_for
from picture_host import PNG, PictureHost
from tenants import Tenant, owner
from webhook_app import App, Request, Said

HOUR = 3_600
SHORT = {"recovery": 0, "inbound": 1_800, "media_us_ca": 900, "media_inbound": 900}
LEFT = {  # of a message whose parts are forgotten, in any row
    "key", "tail", "prefix", "account_id", "direction", "status", "segments", "updated_ms",
    "sent_ms", "expires_ms", "error_code", "attempt", "flags", "from_shown", "to_shown", "stretch",
    "from_tag", "to_tag", "lane", "callback_lane", "history", "price", "rare",
}  # fmt: skip


class Traffic:
    """One of everything that a person can do with an account, or it with a person."""

    def __init__(self, server: RunningServer, receiver: Receiver) -> None:
        self.server, self.receiver = server, receiver
        self.account: Tenant = owner(server)
        self.canaries = Canaries()
        self.own = server.number
        self.sids: list[str] = []

    def person(self, label: str) -> str:
        return self.canaries.number(f"number of {label}")

    def text(self, label: str) -> str:
        return self.canaries.text(f"text of {label}")

    def send(self, label: str, behaviour: str = "deliver", **form: str) -> str:
        to = self.person(label)
        self.server.behave(to, behaviour)
        callback = self.receiver.url(f"/{self.canaries.text(f'URL of {label}')}")
        made = self.account.made(
            "POST", "Messages.json", 201, To=to, Body=self.text(label), StatusCallback=callback,
            **({} if "MessagingServiceSid" in form else {"From": self.own}), **form,
        )  # fmt: skip
        self.sids.append(made["sid"])
        return made["sid"]

    def receive(self, label: str, body: str | None = None, *media: str) -> str:
        person = self.person(label)
        status, answer = self.server.json(
            "POST", f"/sandbox/phones/{quote(person)}/messages",
            {"to": self.own, "body": body or self.text(label), "media_urls": list(media)},
        )  # fmt: skip
        assert status == 201, answer
        self.sids.append(answer["sid"])
        return answer["sid"]

    def read(self, sid: str) -> dict[str, Any]:
        return self.account.made("GET", f"Messages/{sid}.json")

    def service(self) -> str:
        made = self.account.made(
            "POST", "/v1/Services", 201, FriendlyName="Shop", UseInboundWebhookOnNumber="true"
        )
        (number,) = self.account.made("GET", "IncomingPhoneNumbers.json")["incoming_phone_numbers"]
        path = f"/v1/Services/{made['sid']}/PhoneNumbers"
        self.account.made("POST", path, 201, PhoneNumberSid=number["sid"])
        return made["sid"]

    def number_settings(self, **form: str) -> None:
        (number,) = self.account.made("GET", "IncomingPhoneNumbers.json")["incoming_phone_numbers"]
        self.account.made("POST", f"IncomingPhoneNumbers/{number['sid']}.json", 200, **form)


def answer(request: Request) -> Said:
    """The customer's app: it replies, and is down for one of them."""
    if "down" in request.form.get("Body", ""):
        return Said("down", 500)
    return Said("<Response><Message>Come at nine</Message></Response>")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    with RunningServer(tmp_path / "data") as running:
        yield running


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.close()


@pytest.mark.parametrize(
    ("windows", "wait_s", "live"),
    [(SHORT, HOUR, 6), ({}, 25 * HOUR, 18)],
    ids=["an-hour", "by-default"],
)
def test_when_the_last_hold_is_over_nothing_private_can_be_produced(
    server: RunningServer, receiver: Receiver, tmp_path: Path,
    windows: dict[str, int], wait_s: int, live: int,
) -> None:  # fmt: skip
    """R2, R3, R8, R38: an hour after the last message where windows are short; where they are as
    in the guide, an hour after the longest of those that were used, media that came in."""
    traffic = Traffic(server, receiver)
    switches = {"redact_body": True, "redact_numbers": True, "windows_s": windows}
    path = f"/hushwire/v1/accounts/{server.sid}/privacy"
    status, answered = server.json("PUT", path, switches)
    assert status == 200, answered
    with App(answer) as app, PictureHost() as host:
        happen(traffic, app, host)
    wanted = [value.encode() for value in traffic.canaries.planted.values()]

    before = Seized(copied(server.data, tmp_path / "before"))
    found = before.where(*wanted, PNG[:24])
    read = [value for value, places in found.items() if places]
    assert {"message.content", "message.address", "media"} <= set().union(*found.values())
    assert len(read) >= live, "the reader cannot read: the drill proves nothing"

    server.advance(wait_s + 90)  # holds that end by a fact are looked at every minute
    wait_for(lambda: all(is_forgotten(traffic.read(sid)) for sid in traffic.sids))
    assert server.stop() == 0
    after = Seized(copied(server.data, tmp_path / "after"))
    assert {k: v for k, v in after.where(*wanted, PNG[:24]).items() if v} == {}
    assert traffic.canaries.find(files(after.data)) == []  # in nine encodings
    produced(after, traffic)


def happen(traffic: Traffic, app: App, host: PictureHost) -> None:
    """All of it, up to its end on the wire."""
    server = traffic.server
    traffic.number_settings(SmsUrl=app.url(), SmsFallbackUrl=app.url("/fallback"))
    service = traffic.service()
    ends = {
        traffic.send("delivered"): "delivered",
        traffic.send("without receipt", "silent"): "sent",
        traffic.send("undeliverable", "undeliverable"): "undelivered",
        traffic.send("picture", MediaUrl=host.url("/cat.png")): "delivered",
        traffic.send("service", MessagingServiceSid=service): "delivered",
        traffic.receive("taken"): "received",
        traffic.receive("picture that came", None, host.url("/cat.png")): "received",
        traffic.receive("stop", "STOP"): "received",
    }
    at = datetime.fromisoformat(server.json("GET", "/sandbox/clock")[1]["now"])
    due = (at + timedelta(seconds=600)).strftime("%Y-%m-%dT%H:%M:%SZ")
    scheduled = traffic.send(
        "scheduled", MessagingServiceSid=service, ScheduleType="fixed", SendAt=due
    )
    for sid, status in ends.items():
        wait_for(lambda sid=sid, status=status: traffic.read(sid)["status"] == status)
    server.advance(601)
    wait_for(lambda: traffic.read(scheduled)["status"] == "delivered")
    ends[traffic.send("last")] = "delivered"
    ends[traffic.receive("nobody took", f"down {traffic.text('nobody took')}")] = "received"
    replies = [m for m in listed(traffic) if m["direction"] == "outbound-reply"]
    traffic.sids += [reply["sid"] for reply in replies]
    wait_for(lambda: traffic.account.made("GET", "/v1/Alerts")["alerts"])


def listed(traffic: Traffic) -> list[dict[str, Any]]:
    return traffic.account.made("GET", "Messages.json")["messages"]


def is_forgotten(message: dict[str, Any]) -> bool:
    outbound = message["direction"].startswith("outbound")
    return message["body"] == "" and message["to" if outbound else "from"].endswith("XXXX")


def produced(seized: Seized, traffic: Traffic) -> None:
    """What is left is what the page says: SIDs, times, status, price and display forms; and the
    two lists that are about people, as hashes that only a guess opens."""
    rows = seized.table("message")
    assert len(rows) >= len(traffic.sids)
    for row in rows:
        assert {name for name, value in row.items() if value is not None} <= LEFT
        inbound = row["direction"] == "inbound"
        person = "from" if inbound else "to"
        assert row[f"{person}_tag"] is None
        assert str(row[f"{person}_shown"]).endswith("XXXX")
        assert row["to_shown" if inbound else "from_shown"] == traffic.own
    assert seized.table("media") == []
    for table, label in (("optout", "stop"), ("sticky", "service")):
        tags = {bytes(row["tag"]) for row in seized.table(table)}  # type: ignore[call-overload]
        guessed = seized.index(f"+{traffic.canaries.planted[f'number of {label}']}")
        assert tags & {each[:16] for each in guessed}, table
        assert not tags & {each[:16] for each in seized.index("+14155550100")}


def copied(data: Path, to: Path) -> Path:
    """What is there now."""
    shutil.copytree(data, to, ignore=shutil.ignore_patterns("ballast"))
    return to


def test_the_page_names_what_is_left() -> None:
    """The table of the page has every table of the database, so that none is forgotten."""
    root = Path(__file__).parents[2]
    page = (root / "docs" / "explanation" / "threat-model.md").read_text(encoding="utf-8")
    schema = (root / "src/hushwire/store/migrations/0001_foundation.sql").read_text("utf-8")
    tables = {line.split()[2] for line in schema.splitlines() if line.startswith("CREATE TABLE")}
    assert json.dumps(sorted(name for name in tables if f"`{name}`" not in page)) == "[]"
