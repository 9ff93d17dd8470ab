"""Draws what a redacting account's messages keep, and until when: docs/explanation/pictures.

A picture is a story that is played: the custody record of one message, what happens to it, and
`holds()` of the server itself, which says at every moment what still keeps which part. So a
picture cannot show other times than those the server keeps to. `make docs` draws them all.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import timeline_svg
from msgspec import Struct
from msgspec.structs import replace

from hushwire.domain.fallback import FALLBACK_CAP_MS
from hushwire.domain.holds import HOLDS, Custody, HoldName, Part, holds, releasable, unneeded
from hushwire.domain.incoming import CLAIM_MS
from hushwire.domain.privacy import DEFAULTS, Windows

PICTURES: Final = Path(__file__).resolve().parent.parent / "docs" / "explanation" / "pictures"

S: Final = 1_000  # ms
MINUTE: Final = 60 * S
DAY: Final = 24 * 60 * MINUTE
MEDIA: Final[frozenset[Part]] = frozenset({"content", "address", "media"})


class Moment(Struct, frozen=True):
    """Something that happens `at_ms` after the message was accepted, and what it changes."""

    at_ms: int
    label: str
    changes: dict[str, Any]  # fields of Custody


class Story(Struct, frozen=True):
    """One message's life under full redaction."""

    name: str  # of the picture
    title: str
    custody: Custody
    moments: tuple[Moment, ...]


class Span(Struct, frozen=True):
    """A hold kept a part from then to then, in ms after the message was accepted."""

    part: Part
    from_ms: int
    until_ms: int


class Bar(Struct, frozen=True):
    """One hold in a played story."""

    name: HoldName
    reason: str
    began_ms: int
    cap_ms: int  # it could have lasted until then
    spans: tuple[Span, ...]


class Timeline(Struct, frozen=True):
    """A story as it was played."""

    story: Story
    columns: tuple[tuple[int, str], ...]  # when, and what happened
    bars: tuple[Bar, ...]
    gone_ms: dict[Part, int]  # when each part was gone for every reader
    destroyed_ms: dict[Part, int]  # and when its key was destroyed


def stories(windows: Windows) -> Iterator[Story]:
    """Every kind of message. Times between facts are examples; those of holds are not."""
    out = _outbound(windows)
    told = {"callback": True, "callbacks_pending": True}
    yield Story("outbound-sms", "A text that is sent", replace(out, **told), (
        *_sent(), Moment(5 * S, "delivered, told", {"finished": True, "callbacks_pending": False}),
    ))  # fmt: skip
    with_media = replace(out, alive=MEDIA)
    yield Story("outbound-mms", "A picture that is sent within the US and Canada",
                replace(with_media, media="mms"), (*_sent(), _delivered()))  # fmt: skip
    yield Story("outbound-link", "A picture that is sent as a link",
                replace(with_media, media="link"), (*_sent(), _delivered()))  # fmt: skip
    came = Custody(created_ms=0, inbound=True, discard=True, obfuscate=True)
    answered = Moment(1 * S, "webhook took it", {"answered": True})
    yield Story("inbound-taken", "A text that comes in, and a webhook takes it", came, (
        Moment(0, "received", {}), answered,
    ))  # fmt: skip
    yield Story("inbound-untaken", "A text that comes in, and no webhook takes it", came, (
        Moment(0, "received", {}),
    ))  # fmt: skip
    yield Story("inbound-claimed", "A text that comes in, and is told without its content", came, (
        Moment(0, "received", {}),
        Moment(1 * S, "webhook answered", {"answered": True, "claim_ms": 1 * S + CLAIM_MS}),
        Moment(20 * S, "claimed", {"claim_ms": None}),
    ))  # fmt: skip
    yield Story("inbound-mms", "A picture that comes in", replace(came, alive=MEDIA,
                media="inbound"), (Moment(0, "received", {}), answered))  # fmt: skip
    due = 3 * DAY
    waits = replace(out, send_at_ms=due, expires_ms=due + windows.queue * S)
    yield Story("scheduled", "A text that is scheduled", waits, (
        Moment(0, "accepted", {}), Moment(due, "due", {}), *_sent(due)[1:],
        _delivered(due),
    ))  # fmt: skip
    yield _fallback(replace(out, fallback=True))
    handed = Moment(2 * S, "handed over", {"left_ms": 2 * S})
    yield Story("legal-hold", "A text that a legal hold is about", replace(out, legal=True), (
        Moment(0, "accepted", {}), handed, Moment(30 * DAY, "hold lifted", {"legal": False}),
    ))  # fmt: skip
    yield _whatsapp(replace(out, channel=True))


def _outbound(windows: Windows) -> Custody:
    return Custody(created_ms=0, expires_ms=windows.queue * S, discard=True, obfuscate=True)


def _sent(from_ms: int = 0) -> tuple[Moment, ...]:
    return (
        Moment(from_ms, "accepted", {}),
        Moment(from_ms + 1 * S, "on the wire", {"on_wire_ms": from_ms + 1 * S}),
        Moment(from_ms + 2 * S, "handed over", {"left_ms": from_ms + 2 * S, "on_wire_ms": None}),
    )


def _delivered(from_ms: int = 0) -> Moment:
    return Moment(from_ms + 5 * S, "delivered", {"finished": True})


def _fallback(custody: Custody) -> Story:
    """What was held from the first hand-over on is held anew from the second."""
    left, failed = 2 * S, 2 * MINUTE
    again = {"left_ms": None, "expires_ms": left + FALLBACK_CAP_MS}
    return Story("fallback", "A short code fails, a long code tries", custody, (
        Moment(0, "accepted", {}),
        Moment(left, "short code", {"left_ms": left}),
        Moment(failed, "refused", again),
        Moment(failed + 2 * S, "long code", {"left_ms": failed + 2 * S, "fallback": False}),
        Moment(failed + 5 * S, "delivered", {"finished": True}),
    ))  # fmt: skip


def _whatsapp(custody: Custody) -> Story:
    listed = {"alive": custody.alive | {"session"}}
    return Story("whatsapp", "A WhatsApp message to a phone that is off", custody, (
        Moment(0, "accepted", {}),
        Moment(2 * S, "handed over", {"left_ms": 2 * S, **listed}),
    ))  # fmt: skip


def play(story: Story, windows: Windows = DEFAULTS) -> Timeline:
    """What keeps what, from the first moment until nothing keeps anything."""
    custody, now = story.custody, 0
    ahead = list(story.moments)
    columns: list[tuple[int, str]] = []
    began: dict[tuple[HoldName, Part], int] = {}
    rules: dict[HoldName, tuple[str, int, int]] = {}
    spans: dict[HoldName, list[Span]] = {}
    gone: dict[Part, int] = {}
    destroyed: dict[Part, int] = {}
    while True:
        while ahead and ahead[0].at_ms == now:
            moment = ahead.pop(0)
            custody = replace(custody, **moment.changes)
            columns.append((now, moment.label))
        found = holds(custody, now, windows)
        keeps = {(hold.name, part) for hold in found for part in hold.keeps}
        ended = sorted(began.keys() - keeps)
        for name, part in ended:
            spans.setdefault(name, []).append(Span(part, began.pop((name, part)), now))
        if columns[-1][0] != now:
            columns.append((now, f"{ended[0][0]} ends"))
        for hold in found:
            rules.setdefault(hold.name, (hold.reason, now, hold.until_ms))
        began |= dict.fromkeys(keeps - began.keys(), now)
        free = releasable(custody, now, windows)
        hidden = unneeded(custody, now, windows) - custody.withheld
        gone |= dict.fromkeys(hidden, now)
        destroyed |= dict.fromkeys(free, now)
        custody = replace(
            custody, alive=custody.alive - free, withheld=(custody.withheld | hidden) - free
        )
        coming = [hold.until_ms for hold in found] + [moment.at_ms for moment in ahead[:1]]
        if not coming:
            break
        now = min(coming)
    bars = [Bar(name, *rules[name], tuple(spans[name])) for name in HOLDS if name in rules]
    return Timeline(story, tuple(columns), tuple(bars), gone, destroyed)


def pictures(windows: Windows = DEFAULTS) -> dict[str, str]:
    """File name → SVG, of every story."""
    return {
        f"{story.name}.svg": timeline_svg.draw(play(story, windows)) for story in stories(windows)
    }


def texts() -> list[tuple[Path, str, str]]:
    """Of each picture: its path, as it is, as it should be."""
    return [
        (path, path.read_text("utf-8") if path.exists() else "", text)
        for path, text in ((PICTURES / name, text) for name, text in pictures().items())
    ]
