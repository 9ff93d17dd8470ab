"""What an agent may: whom it may write to, how often it may ask, how much it sees."""

from collections import deque
from pathlib import Path
from socket import socket
from typing import Final

from msgspec import Struct

from hushwire.clock import Clock, Entropy
from hushwire.connect.refused import Kind, refused
from hushwire.connect.view import View
from hushwire.domain.address import read_recipient
from hushwire.errors import Misconfigured
from hushwire.private import Private

FORBIDDEN: Final = Kind(20403, 403)  # this server does not let agents do that
TOO_MANY: Final = Kind(20429, 429)

HOUR_MS: Final = 3_600_000
TICKET_MS: Final = 600_000  # how long an approval may take

_TICKET_BYTES: Final = 16


class Policy(Struct, frozen=True):
    """What an agent may."""

    view: View = "masked"
    recipients: frozenset[Private] | None = None  # canonical addresses; None: sending is off
    hourly: int = 10  # questions to the person, and so messages, in any hour

    @property
    def may_send(self) -> bool:
        return self.recipients is not None

    def check_recipient(self, to: str) -> str:
        """The recipient as it is written on the wire. Raises Refused unless it is on the list."""
        address = read_recipient(to)
        if self.recipients is None or address is None or address.text() not in self.recipients:
            raise refused(
                FORBIDDEN, "to is not on the list of recipients that agents may write to: the "
                "operator adds it with --recipients", field="to",
            )  # fmt: skip
        return address.text().reveal()


def read_recipients(given: str) -> frozenset[Private]:
    """Recipients from a list (`+1…,whatsapp:+1…`) or a file with one a line (`#` begins a remark).

    Raises Misconfigured, which names the place and never the number.
    """
    if given.startswith("+") or ":+" in given:
        entries = list(enumerate(given.split(","), 1))
        place = "entry"
    else:
        entries, place = _lines(Path(given)), "line"
    found = set[Private]()
    for at, entry in entries:
        text = entry.partition("#")[0].strip()
        if not text:
            continue
        address = read_recipient(text)
        if address is None or address.text().reveal() != text:
            raise Misconfigured(
                f"--recipients: {place} {at} must be E.164, +14155550123, or an address in a "
                "channel, whatsapp:+14155550123"
            )
        found.add(address.text())
    if not found:
        raise Misconfigured("--recipients names nobody: give a number, or a file with one a line")
    return frozenset(found)


def _lines(path: Path) -> list[tuple[int, str]]:
    try:
        return list(enumerate(path.read_text(encoding="utf-8").splitlines(), 1))
    except OSError as error:
        raise Misconfigured(
            f"--recipients: the file cannot be read ({error.strerror}): give its path, or numbers "
            "in E.164 with commas between them"
        ) from None
    except ValueError:
        raise Misconfigured("--recipients: the file is not text in UTF-8") from None


class Http(Struct, frozen=True):
    """Where clients reach us over HTTP, and what they must know."""

    listener: socket
    token: Private


class Tickets:
    """A ticket is one question to the person, and good for one message.

    What counts is that somebody is asked: an agent that is refused again and again must not wear
    the person out.
    """

    def __init__(self, hourly: int, clock: Clock, entropy: Entropy) -> None:
        self._hourly = hourly
        self._clock = clock
        self._entropy = entropy
        self._issued = deque[int]()  # when; of the last hour
        self._open: dict[str, int] = {}  # ticket → when it was issued

    def issue(self) -> str:
        """A ticket to ask with. Raises Refused when the hour's are spent."""
        now = self._clock.now_ms()
        while self._issued and self._issued[0] <= now - HOUR_MS:
            self._issued.popleft()
        self._open = {one: at for one, at in self._open.items() if at > now - TICKET_MS}
        if len(self._issued) >= self._hourly:
            wait_s = (self._issued[0] + HOUR_MS - now) / 1000 if self._issued else 3600.0
            raise refused(
                TOO_MANY, f"an agent may ask to send {self._hourly} messages an hour, and has: "
                f"the next one in {wait_s / 60:.0f} minutes", retry_after_s=wait_s,
            )  # fmt: skip
        ticket = self._entropy.bytes(_TICKET_BYTES).hex()
        self._issued.append(now)
        self._open[ticket] = now
        return ticket

    def redeem(self, ticket: str) -> bool:
        """Is it good? It is not, after that."""
        issued = self._open.pop(ticket, None)
        return issued is not None and issued > self._clock.now_ms() - TICKET_MS
