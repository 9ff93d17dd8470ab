"""Usage: categories, their sums, and the periods they are asked for in (twilio-messaging 7.5).

Messages are counted in the finest category that fits. A category that others refine is the
sum of them. Days are UTC days since 1970-01-01. Pure.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Final, Literal

from msgspec import Struct

Period = Literal["all", "daily", "monthly", "yearly"]

EPOCH: Final = date(1970, 1, 1)
PRICE_PLACES: Final = 5  # prices are counted in 1/100,000
CATEGORIES: Final[Mapping[str, str]] = {  # what is counted, and its description
    "mms": "MMS",
    "mms-inbound": "Inbound MMS",
    "mms-inbound-longcode": "Inbound MMS to long codes",
    "mms-inbound-shortcode": "Inbound MMS to short codes",
    "mms-outbound": "Outbound MMS",
    "mms-outbound-longcode": "Outbound MMS from long codes",
    "mms-outbound-shortcode": "Outbound MMS from short codes",
    "sms": "SMS",
    "sms-inbound": "Inbound SMS",
    "sms-inbound-longcode": "Inbound SMS to long codes",
    "sms-inbound-shortcode": "Inbound SMS to short codes",
    "sms-outbound": "Outbound SMS",
    "sms-outbound-longcode": "Outbound SMS from long codes",
    "sms-outbound-shortcode": "Outbound SMS from short codes",
    "totalprice": "Total price",
}
TOTAL: Final = "totalprice"
NOT_COUNTED: Final = frozenset({  # Twilio's other categories of messaging: nothing here uses them
    "sms-outbound-content-inspection", "sms-messages-carrierfees", "sms-messages-features",
    "sms-messages-features-senderid", "mms-messages-carrierfees", "mediastorage", "shortcodes",
    "shortcodes-random", "shortcodes-vanity", "shortcodes-uk", "shortcodes-customerowned",
    "shortcodes-mps", "shortcodes-mms-enablement", "phonenumbers", "phonenumbers-local",
    "phonenumbers-mobile", "phonenumbers-tollfree", "phonenumbers-setups",
    "a2p-registration-fees", "monitor-reads", "monitor-storage", "monitor-writes",
})  # fmt: skip

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_OFFSET = re.compile(r"([+-]?)([0-9]{1,4})days?\Z")


class Sum(Struct, frozen=True):
    """What was used in one category."""

    count: int = 0
    usage: int = 0
    price: int = 0

    def __add__(self, other: "Sum") -> "Sum":
        return Sum(self.count + other.count, self.usage + other.usage, self.price + other.price)


def category_of(prefix: str, own_begins: str, *, inbound: bool) -> str:
    """The finest category of a message: its SID's prefix, and how the account's own address
    begins: `+` is a number, a digit a short code, and anything else has no category of its own.
    """
    name = f"{'mms' if prefix == 'MM' else 'sms'}-{'inbound' if inbound else 'outbound'}"
    if own_begins == "+":
        return f"{name}-longcode"
    return f"{name}-shortcode" if own_begins.isdigit() else name


def counts_for(category: str, finest: str) -> bool:
    """Is what was counted in the category `finest` part of `category`?"""
    return category in (TOTAL, finest) or finest.startswith(f"{category}-")


def day_number(day: date) -> int:
    """Days since 1970-01-01."""
    return (day - EPOCH).days


def day_at(number: int) -> date:
    """The day that is so many days after 1970-01-01."""
    return EPOCH + timedelta(days=number)


def read_date(text: str) -> date | None:
    """`YYYY-MM-DD`; None for anything else."""
    if _DATE.match(text) is None:  # a week date is ISO 8601, too
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def read_day(text: str, today: date) -> date | None:
    """`YYYY-MM-DD`, or days from today (`-30days`, `+1days`); None for anything else."""
    offset = _OFFSET.match(text.strip())  # a plus that was not escaped is a space
    if offset is None:
        return read_date(text)
    days = int(offset[2])
    return today + timedelta(days=-days if offset[1] == "-" else days)


def spans(period: Period, first: date, last: date) -> Iterator[tuple[date, date]]:
    """The periods that a span of days falls into, newest first, cut to the span."""
    while last >= first:
        begins = first
        if period == "daily":
            begins = last
        elif period == "monthly":
            begins = max(first, last.replace(day=1))
        elif period == "yearly":
            begins = max(first, last.replace(month=1, day=1))
        yield begins, last
        if begins == first:
            return
        last = begins - timedelta(days=1)
