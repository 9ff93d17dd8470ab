"""What a message costs: a table of rates from CSV, and the price of one message.

The longest beginning of a number wins; a country counts for a little more than its calling
code (`US` before `+1`, `+1415` before `US`), and `*` for least. At the same place a named kind
of sender wins over `*`. Pure: the caller reads the file.
"""

import csv
import re
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from typing import Final, Literal, get_args

import phonenumbers
from msgspec import Struct

from hushwire.domain.address import country_of
from hushwire.domain.routing import SenderKind
from hushwire.errors import Misconfigured, Refusal
from hushwire.private import Private

Unit = Literal["segment", "message"]
Direction = Literal["outbound", "inbound"]

TOO_EXPENSIVE: Final = 30010  # stored on a message that would cost more than its MaxPrice

_COLUMNS: Final = ["destination", "sender", "direction", "unit", "price", "currency"]
_ANY: Final = "*"
_DESTINATION = re.compile(r"\*\Z|[A-Z]{2}\Z|\+[1-9][0-9]{0,14}\Z")
_PRICE = re.compile(r"[0-9]{1,6}(?:\.[0-9]{1,5})?\Z")
_CURRENCY = re.compile(r"[A-Z]{3}\Z")
_SENDERS: Final = frozenset({_ANY, *get_args(SenderKind)})
_CHANNELS: Final = frozenset({"whatsapp", "messenger", "rcs"})
_FIVE_PLACES: Final = Decimal("0.00001")

_Key = tuple[str, str, str, str]  # destination, sender, direction, unit


class RateTable(Struct, frozen=True):
    """Prices per unit, all in one currency (ISO 4217)."""

    currency: str
    rates: dict[_Key, Decimal]


class Usage(Struct, frozen=True):
    """One message, as far as it is charged for."""

    phone: Private | None  # E.164 of the recipient, or of our number when it came in; None: neither
    sender: SenderKind
    direction: Direction
    segments: int = 1
    media: bool = False


def read_rates(text: str) -> RateTable:
    """The table in a CSV of these columns: destination, sender, direction, unit, price, currency.

    Lines that start with `#` are comments. Raises Misconfigured, which names the line.
    """
    lines = text.splitlines()
    kept = [
        (number, line) for number, line in enumerate(lines, 1) if line.strip()[:1] not in ("", "#")
    ]
    if not kept or [name.strip() for name in kept[0][1].split(",")] != _COLUMNS:
        raise Misconfigured(f"rates: the first line must be {','.join(_COLUMNS)}")
    rates: dict[_Key, Decimal] = {}
    currency = ""
    for number, line in kept[1:]:
        row = _cells(line)
        fault = _fault(row)
        if fault is None and currency not in ("", row[5]):
            fault = f"another currency than {currency}; a table has one"
        key = (row[0], row[1], row[2], row[3]) if fault is None else None
        if key is None or key in rates:
            raise Misconfigured(f"rates, line {number}: {fault or 'the same as an earlier line'}")
        rates[key] = Decimal(row[4])
        currency = row[5]
    if not rates:
        raise Misconfigured("rates: there is no line with a price")
    return RateTable(currency, rates)


def price(table: RateTable, usage: Usage) -> Decimal | None:
    """What a message costs in the table's currency, or None when the table does not say.

    Texts are charged by the segment; media and channels by the message.
    """
    whole = usage.media or usage.sender in _CHANNELS
    unit: Unit = "message" if whole else "segment"
    phone = usage.phone.reveal() if usage.phone is not None else None
    for destination in _destinations(phone):
        for sender in (usage.sender, _ANY):
            rate = table.rates.get((destination, sender, usage.direction, unit))
            if rate is not None:
                return rate if whole else rate * usage.segments
    return None


def shown(cost: Decimal) -> str:
    """A cost as the API shows it: negative, with five places, `-0.00750` (twilio-messaging 5.2)."""
    amount = cost.quantize(_FIVE_PLACES)
    return str(-amount) if amount else str(_FIVE_PLACES * 0)


def read_max_price(text: str) -> Decimal:
    """`MaxPrice`: a positive number. Raises Refusal (21627)."""
    try:
        limit = Decimal(text)
    except InvalidOperation:
        raise Refusal("max_price_invalid") from None
    if not limit.is_finite() or limit <= 0:
        raise Refusal("max_price_invalid")
    return limit


def is_too_expensive(cost: Decimal | None, limit: Decimal | None) -> bool:
    """Does a message cost more than its MaxPrice (30010)? One without a price does not."""
    return cost is not None and limit is not None and cost > limit


def _destinations(phone: str | None) -> Iterator[str]:
    """What may stand in the first column for a number, the best first."""
    if phone is not None:
        country = country_of(phone)
        code = f"+{phonenumbers.country_code_for_region(country)}" if country is not None else None
        for end in range(len(phone), 1, -1):
            if country is not None and phone[:end] == code:
                yield country
            yield phone[:end]
    yield _ANY


def _cells(line: str) -> list[str]:
    try:
        return [cell.strip() for cell in next(csv.reader([line]))]
    except csv.Error:
        return []


def _fault(row: list[str]) -> str | None:
    if len(row) != len(_COLUMNS):
        return f"{len(row)} cells instead of {len(_COLUMNS)}"
    destination, sender, direction, unit, amount, currency = row
    known = destination == _ANY or destination.startswith("+")
    if _DESTINATION.match(destination) is None:
        return "destination must be a country such as US, a prefix such as +447, or *"
    if not known and destination not in phonenumbers.SUPPORTED_REGIONS:
        return "destination is no country with phone numbers"
    if sender not in _SENDERS:
        return f"sender must be one of {', '.join(sorted(_SENDERS))}"
    if direction not in get_args(Direction):
        return "direction must be outbound or inbound"
    if unit not in get_args(Unit):
        return "unit must be segment or message"
    if _PRICE.match(amount) is None:
        return "price must be a number with at most five places, such as 0.0075"
    if _CURRENCY.match(currency) is None:
        return "currency must be three capitals, such as USD"
    return None
