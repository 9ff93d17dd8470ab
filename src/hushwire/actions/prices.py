"""What messages cost: set when the carrier took them, by the operator's table of rates."""

from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Final

from hushwire.domain.address import is_toll_free
from hushwire.domain.extras import extras_of
from hushwire.domain.message import INBOUND, Message
from hushwire.domain.rates import (
    RateTable,
    Usage,
    is_too_expensive,
    price,
    read_max_price,
    read_rates,
)
from hushwire.domain.routing import SenderKind
from hushwire.domain.usage import PRICE_PLACES
from hushwire.errors import Misconfigured
from hushwire.store.usage import UsageTable

_UNIT: Final = 10**PRICE_PLACES


class Prices:
    """Prices by one table, for every worker."""

    def __init__(self, table: RateTable, usage: UsageTable) -> None:
        self._table = table
        self._usage = usage

    @property
    def currency(self) -> str:
        """Of all prices, ISO 4217."""
        return self._table.currency

    def of(self, message: Message) -> int | None:
        """What a message costs, in 1/100,000 of the currency; None when the table does not say."""
        cost = self._cost(message)
        return int(cost * _UNIT) if cost is not None else None

    def charge(self, message: Message, price: int) -> None:
        """Add its price to what its account used, with the commit of this tick's changes."""
        self._usage.charge(message, price)

    def exceeds_limit(self, message: Message) -> bool:
        """Does it cost more than its MaxPrice says?"""
        if message.extras is None:
            return False
        limit = extras_of(message.extras).max_price
        return limit is not None and is_too_expensive(self._cost(message), read_max_price(limit))

    def _cost(self, message: Message) -> Decimal | None:
        inbound = message.direction is INBOUND
        own = message.to if inbound else message.from_
        if own is None:
            return None
        return price(
            self._table,
            Usage(
                phone=message.to,
                sender=_kind(own.reveal()),
                direction="inbound" if inbound else "outbound",
                segments=message.segments,
                media=message.media > 0,
            ),
        )


def load_rates(path: Path | None) -> RateTable | None:
    """The table of the setting `rates`. Raises Misconfigured."""
    if path is None:
        return None
    try:
        return read_rates(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Misconfigured(f"rates: {path} cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise Misconfigured(f"rates: {path} is not in UTF-8") from None


@lru_cache(maxsize=1024)  # the accounts' own addresses, not people's
def _kind(sender: str) -> SenderKind:
    if sender.startswith("+"):
        return "toll_free" if is_toll_free(sender) else "long_code"
    return "short_code" if sender.isdigit() else "alphanumeric"
