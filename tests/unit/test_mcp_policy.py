"""What an agent may: recipients, and questions an hour."""

from pathlib import Path

import pytest

from hushwire.clock import Clock, SeededEntropy
from hushwire.connect.refused import Refused
from hushwire.errors import Misconfigured
from hushwire.mcp.policy import HOUR_MS, TICKET_MS, Policy, Tickets, read_recipients
from hushwire.private import Private

ALICE, BOB = "+14155550123", "whatsapp:+14155550124"


def test_recipients_come_from_a_list_or_a_file(tmp_path: Path) -> None:
    both = frozenset({Private(ALICE), Private(BOB)})
    assert read_recipients(f"{ALICE}, {BOB}") == both
    assert read_recipients(BOB) == frozenset({Private(BOB)})
    path = tmp_path / "recipients"
    path.write_text(f"# who may be written to\n{ALICE}  # Alice\n\n{BOB}\n")
    assert read_recipients(str(path)) == both
    assert ALICE not in repr(Policy(recipients=both))


def test_what_is_no_recipient_is_told_by_its_place_alone(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"entry 2 must be E\.164") as found:
        read_recipients(f"{ALICE},+1415555012")
    assert "+1415555012" not in str(found.value).replace(ALICE, "")
    path = tmp_path / "recipients"
    path.write_text(f"{ALICE}\n(415) 555-0124\n")
    with pytest.raises(Misconfigured, match=r"line 2 must be E\.164"):
        read_recipients(str(path))
    path.write_text("# nobody\n")
    with pytest.raises(Misconfigured, match="names nobody"):
        read_recipients(str(path))
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(Misconfigured, match="not text"):
        read_recipients(str(path))
    with pytest.raises(Misconfigured, match="cannot be read"):
        read_recipients(str(tmp_path / "none"))


@pytest.mark.parametrize("to", ["+14155550199", "whatsapp:+14155550123", "14155550124", "x", ""])
def test_nobody_else_is_written_to(to: str) -> None:
    policy = Policy(recipients=read_recipients(f"{ALICE},{BOB}"))
    with pytest.raises(Refused) as found:
        policy.check_recipient(to)
    assert (found.value.status, found.value.field) == (403, "to")
    assert not to or to not in found.value.text.split()


def test_what_is_checked_is_what_is_sent() -> None:
    """However an agent spells a number: the spelling of the list goes on the wire."""
    policy = Policy(recipients=read_recipients(f"{ALICE},{BOB}"))
    assert policy.check_recipient("+1 (415) 555-0123") == ALICE
    assert policy.check_recipient("WhatsApp:+14155550124") == BOB


def clock() -> Clock:
    return Clock(read=lambda: 1_800_000_000_000)


def test_an_hour_has_so_many_questions() -> None:
    time = clock()
    tickets = Tickets(2, time, SeededEntropy(1))
    first = tickets.issue()
    time.advance(HOUR_MS // 2)
    assert tickets.issue() != first
    with pytest.raises(Refused) as found:
        tickets.issue()
    assert (found.value.status, found.value.retry_after_s) == (429, HOUR_MS / 2000)
    assert "2 messages an hour" in found.value.text
    assert "30 minutes" in found.value.text
    time.advance(HOUR_MS // 2)
    tickets.issue()
    with pytest.raises(Refused):
        tickets.issue()


def test_a_ticket_is_good_once_and_for_ten_minutes() -> None:
    time = clock()
    tickets = Tickets(9, time, SeededEntropy(1))
    ticket = tickets.issue()
    assert tickets.redeem(ticket)
    assert not tickets.redeem(ticket)
    assert not tickets.redeem("0" * 32)
    late = tickets.issue()
    time.advance(TICKET_MS)
    assert not tickets.redeem(late)
