"""The demo's scenes, in order: each does one thing with the server and says what it saw.

A scene returns its line of the final table and raises `DemoFailed` when the server does
anything else than what the scene promises.
"""

import hmac
import secrets
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote_plus

from msgspec import Struct

from hushwire.cli.demo_disk import SPELLINGS, SealedRow, copies, sealed_row, search, slot
from hushwire.cli.demo_stage import SLOT_PARTS, Stage, blob_parts
from hushwire.cli.demo_world import Answer, DemoFailed, Receiver, World
from hushwire.testing.receiver import signature_of

PHONE: Final = "+14155550101"  # 555-01xx is kept for examples
SILENT_PHONE: Final = "+14155550102"
BAD_NUMBER: Final = "+15005550001"
HOUR_S: Final = 3600
_MESSAGES: Final = "$URL/2010-04-01/Accounts/$SID/Messages"


class Tour:
    """What the scenes share. `body` is made up at each run, so it lies nowhere beforehand."""

    def __init__(self, stage: Stage, home: Path, receipt_ms: int) -> None:
        self.stage = stage
        self.home = home
        self.world = World(home, receipt_ms)
        self.receiver = Receiver()
        self.body = f"Your code is {secrets.randbelow(900_000) + 100_000}. Tell nobody."
        self.sid = ""
        self.sent_at_s = 0.0
        self.sealed = SealedRow(b"", 0)
        self.slot = b""

    def close(self) -> None:
        self.world.stop()
        self.receiver.close()


class Scene(Struct, frozen=True):
    title: str
    play: Callable[[Tour], str]


def start(tour: Tour) -> str:
    stage, world = tour.stage, tour.world
    stage.say(
        "The real server starts, in an empty directory and on a free port. Its phones are "
        "simulated: nothing leaves this machine, and nothing stays on it."
    )
    stage.command(f"hushwire up --port 0 --data {world.data}")
    began = time.monotonic()
    world.start()
    took_ms = _ms_since(began)
    stage.facts([
        ("URL", world.url),
        ("Account SID", world.account_sid),
        ("Auth token", "32 hex digits, made just now (not shown)"),
        ("Your number", world.number),
    ])  # fmt: skip
    stage.result(f"Ready {took_ms} ms after the command: no broker, no database to set up.")
    return f"ready in {took_ms} ms"


def send(tour: Tour) -> str:
    stage, world = tour.stage, tour.world
    stage.say(
        "This is Twilio's Messaging API. Twilio's own SDKs speak to it with one line changed: "
        "[cyan]client.api.base_url = …[/]; so does curl:"
    )
    stage.command(
        f"curl -u $SID:$TOKEN {_MESSAGES}.json \\\n"
        f"  --data-urlencode To={PHONE} --data-urlencode From={world.number} \\\n"
        f"  --data-urlencode 'Body={tour.body}' \\\n"
        f"  --data-urlencode StatusCallback={tour.receiver.url()}"
    )
    tour.sent_at_s = time.monotonic()
    answer = world.send(PHONE, tour.body, StatusCallback=tour.receiver.url())
    took_ms = _ms_since(tour.sent_at_s)
    stage.answer(answer.status, _some(answer, "sid", "status", "from", "to", "body"))
    _expect(answer, 201)
    tour.sid = str(answer.body["sid"])
    stage.result(
        f"After {took_ms} ms the message is [bold]sealed and on disk[/], with the order to send it."
    )
    stage.say("[dim]201 is a promise: pull the plug now and it is still sent.[/]")
    return f"201 after {took_ms} ms, durable"


def deliver(tour: Tour) -> str:
    stage, world = tour.stage, tour.world
    stage.say("Each change of status is told to your server, signed with your token:")
    sent = _called_back(tour, "sent")
    stage.say("The phone, as GET /sandbox/phones/… shows it (in memory only):")
    screen = world.sandbox("GET", f"/phones/{PHONE}/messages")
    _expect(screen, 200)
    text = screen.body["messages"][0]
    stage.phone(PHONE, str(text["from"]), str(text["body"]))
    stage.say("Then the phone's receipt comes back from the network:")
    delivered = _called_back(tour, "delivered")
    return f"sent {sent} ms, delivered {delivered} ms; both signed"


def find(tour: Tour) -> str:
    stage, world = tour.stage, tour.world
    stage.say("Messages are found by number …")
    stage.command(f"curl -u $SID:$TOKEN -G {_MESSAGES}.json \\\n  --data-urlencode To={PHONE}")
    answer = world.call("GET", world.messages(f".json?To={quote_plus(PHONE)}"))
    _expect(answer, 200)
    found: list[dict[str, Any]] = answer.body["messages"]
    if [message["sid"] for message in found] != [tour.sid]:
        raise DemoFailed("the list by number does not hold the one message it should")
    shown = {name: found[0][name] for name in ("sid", "status", "to", "date_sent")}
    stage.answer(answer.status, {"messages": [shown]})
    stage.result(
        "… though no number is stored to search in: an 8-byte hash found it, keyed by a "
        "secret of this month in the vault."
    )
    return "1 message, by keyed hash"


def look_at_disk(tour: Tour) -> str:
    stage, data = tour.stage, tour.world.data
    stage.say(
        "Now be the thief of the disk. Every file of the data directory, the journal and the "
        f"metrics page are searched for the text and the number, as {SPELLINGS}. Your own "
        "number is no secret: it shows that the search does find what is there."
    )
    _search_all(tour)
    sealed = sealed_row(data, tour.sid)
    if sealed is None:
        raise DemoFailed("the sealed row is not there")
    tour.sealed, tour.slot = sealed, slot(data, sealed.key)
    stage.say("This is all the database holds of the text. Only its key opens it …")
    stage.dump("hushwire.db · message.content", sealed.blob, blob_parts(sealed.blob))
    stage.say("\n… and the key lives in one place: 64 bytes of the vault, wrapped in turn.")
    stage.dump(_slot_title(tour), tour.slot, SLOT_PARTS)
    return "text and number: in no file"


def delete(tour: Tour) -> str:
    stage, world = tour.stage, tour.world
    stage.say(
        "Deleting a message overwrites its keys in place, the text's and the numbers', before "
        "its row is touched:"
    )
    stage.command(f"curl -u $SID:$TOKEN -X DELETE \\\n  {_MESSAGES}/{tour.sid[:10]}….json")
    answer = world.call("DELETE", world.messages(f"/{tour.sid}.json"))
    stage.answer(answer.status)
    _expect(answer, 204)
    after = slot(world.data, tour.sealed.key)
    stage.dump(f"before · {_slot_title(tour)}", tour.slot, SLOT_PARTS)
    stage.dump("after · the same 64 bytes", after, SLOT_PARTS)
    generation = (tour.sealed.key & 0xFFFFFFFF) + 1
    if after != bytes(60) + generation.to_bytes(4, "big"):
        raise DemoFailed("the key slot was not overwritten")
    stage.result(
        "Sixty zeros and the next generation: no copy of the row, however old, fits the slot again."
    )
    return "the key is 60 zero bytes"


def prove_gone(tour: Tour) -> str:
    stage, world = tour.stage, tour.world
    stage.say("The API knows nothing of it any more:")
    answer = world.call("GET", world.messages(f"/{tour.sid}.json"))
    stage.answer(answer.status, _some(answer, "code", "status"))
    _expect(answer, 404, 20404)
    listed = world.call("GET", world.messages(f".json?To={quote_plus(PHONE)}"))
    if listed.body.get("messages") != []:
        raise DemoFailed("the deleted message is still listed")
    stage.result("The list by number is empty.")
    stage.say("\nAnd the disk, searched again:")
    _search_all(tour)
    left = copies(world.data, tour.sealed.blob)
    stage.say(
        f"[dim]Copies of the sealed bytes still in the database's log: {left}. They may live on "
        "in backups too, and it does not matter: the key that opened them is gone.[/]"
    )
    return "404, not listed, in no file"


def move_clock(tour: Tour) -> str:
    stage, world = tour.stage, tour.world
    stage.say(
        "The sandbox is the real server with a clock you can move. A phone that never confirms:"
    )
    stage.command(f'POST /sandbox/phones/{SILENT_PHONE}  {{"behaviour": "silent"}}')
    _expect(world.sandbox("POST", f"/phones/{SILENT_PHONE}", {"behaviour": "silent"}), 200)
    answer = world.send(SILENT_PHONE, tour.body, StatusCallback=tour.receiver.url())
    _expect(answer, 201)
    sid = str(answer.body["sid"])
    tour.receiver.wait(sid, "sent")
    path = world.messages(f"/{sid}.json")
    stage.say("Its message stays [bold]sent[/]. A receipt may still come, so it cannot go yet:")
    refused = world.call("DELETE", path)
    stage.answer(refused.status, _some(refused, "code", "message"))
    _expect(refused, 409, 20009)
    stage.command(f'POST /sandbox/clock  {{"advance_s": {HOUR_S}}}')
    began = time.monotonic()
    moved = world.sandbox("POST", "/clock", {"advance_s": HOUR_S})
    took_ms = _ms_since(began)
    stage.answer(moved.status, moved.body)
    _expect(moved, 200)
    deleted = world.call("DELETE", path)
    stage.answer(deleted.status)
    _expect(deleted, 204)
    stage.result(
        f"An hour took {took_ms} ms, and all that was due happened in its order: the wait for "
        "the receipt ended, and the message could be deleted."
    )
    return f"20009, one hour in {took_ms} ms, then 204"


def fail_on_purpose(tour: Tour) -> str:
    stage, world = tour.stage, tour.world
    stage.say("Twilio's magic numbers fail as they do at Twilio, so you can test your errors:")
    stage.command(f"… --data-urlencode To={BAD_NUMBER}")
    answer = world.send(BAD_NUMBER, tour.body)
    stage.answer(answer.status, answer.body)
    _expect(answer, 400, 21211)
    stage.result("Code, text and link are Twilio's; the number in the text is masked.")
    return "400 with code 21211"


def stop(tour: Tour) -> str:
    stage = tour.stage
    stage.say("Ctrl-C drains the server: what is on its way is finished or waits on disk.")
    began = time.monotonic()
    code = tour.world.stop()
    took_ms = _ms_since(began)
    if code != 0:
        raise DemoFailed(f"the server ended with exit code {code}")
    stage.result(f"Stopped after {took_ms} ms, exit code 0.")
    return f"exit code 0 after {took_ms} ms"


SCENES: Final = (
    Scene("A server of your own", start),
    Scene("Send a text", send),
    Scene("Watch it arrive", deliver),
    Scene("Find it by number", find),
    Scene("Look at the disk", look_at_disk),
    Scene("Delete it", delete),
    Scene("See that it is gone", prove_gone),
    Scene("Move the clock", move_clock),
    Scene("Fail on purpose", fail_on_purpose),
    Scene("Stop", stop),
)


def _called_back(tour: Tour, status: str) -> int:
    """Show the callback of `status` and check its signature; milliseconds since the send."""
    callback = tour.receiver.wait(tour.sid, status)
    form, token = callback.form, tour.world.auth_token
    if not hmac.compare_digest(callback.signature, signature_of(token, tour.receiver.url(), form)):
        raise DemoFailed(f"the signature of the callback {status!r} is wrong")
    took_ms = int((callback.at_s - tour.sent_at_s) * 1000)
    shown = [(name, form[name]) for name in ("MessageSid", "MessageStatus", "To") if name in form]
    tour.stage.facts([*shown, ("X-Twilio-Signature", callback.signature)])
    tour.stage.result(f"{status} after {took_ms} ms; the signature is right.\n")
    return took_ms


def _search_all(tour: Tour) -> None:
    """Search for what is private (nowhere) and for what is not (somewhere)."""
    metrics = tour.world.metrics()
    looked = [
        (what, search(tour.home, text, [metrics]))
        for what, text in (
            ("the text", tour.body),
            ("the number " + PHONE, PHONE),
            ("control: your own number " + tour.world.number, tour.world.number),
        )
    ]
    rows = [(what, ", ".join(seen.hits) or "in no file") for what, seen in looked]
    seen = looked[0][1]
    tour.stage.table((f"{seen.files} files, {seen.bytes / 1e6:.1f} MB", "found"), rows)
    if looked[0][1].hits or looked[1][1].hits:
        raise DemoFailed("something private was found on disk")
    if not looked[2][1].hits:
        raise DemoFailed("the search did not even find the number that is there")


def _slot_title(tour: Tour) -> str:
    return f"vault/0000.slots · slot {tour.sealed.key >> 32}"


def _some(answer: Answer, *names: str) -> dict[str, object]:
    return {name: answer.body[name] for name in names if name in answer.body}


def _expect(answer: Answer, status: int, code: int | None = None) -> None:
    if answer.status != status or (code is not None and answer.body.get("code") != code):
        raise DemoFailed(
            f"expected {status}{f' with code {code}' if code else ''}, the server answered "
            f"{answer.status} with code {answer.body.get('code')}"
        )


def _ms_since(began_s: float) -> int:
    return int((time.monotonic() - began_s) * 1000)
