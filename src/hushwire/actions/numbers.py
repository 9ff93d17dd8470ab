"""What can be done with phone numbers: look for them, get, list, change and release them.

In the sandbox any number can be had, and Twilio's magic numbers answer as Twilio documents.
Without it the server has no supplier: the operator registers what the carriers gave him.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import asdict, replace

from hushwire.actions.applications import Applications
from hushwire.actions.owner_settings import changed
from hushwire.actions.services import Services
from hushwire.clock import Clock, Entropy
from hushwire.domain import magic, supply
from hushwire.domain.account import Account, Caller, Number, NumberSettings
from hushwire.domain.phone import mask, normalise
from hushwire.domain.sid import is_sid, new_sid
from hushwire.domain.supply import Country, NumberKind, Offer
from hushwire.errors import Refusal
from hushwire.outbound import Guard
from hushwire.store.store import Store

OPERATOR_ID: Final = 1  # the account of the first start
ORIGIN: Final = "twilio"  # of every number: none is hosted elsewhere

_AREA_CODE = re.compile(r"[0-9]{3}\Z")
_AREA_CODE_COUNTRIES: Final = ("US", "CA")
_PARTIAL = re.compile(r"\+?[0-9*]{1,16}\Z")
_SPACING = str.maketrans("", "", " ().-")
_UNSET: Final = NumberSettings()


class Search(Struct, frozen=True):
    """What numbers somebody looks for. `capabilities`: name → must it have it, or not?"""

    country: str  # ISO 3166
    kind: NumberKind
    area_code: str | None = None
    contains: str | None = None
    capabilities: Mapping[str, bool] = {}


class Order(Struct, frozen=True):
    """A number to get: a certain one in any spelling, or one of an area code.

    `settings` is field of `NumberSettings` → value.
    """

    phone: str | None
    area_code: str | None = None
    kind: NumberKind | None = None
    settings: Mapping[str, str] = {}


class NumberFilter(Struct, frozen=True):
    """Which of an account's numbers to list. None takes all."""

    phone: str | None = None  # a part of it; `*` is any digit
    friendly_name: str | None = None  # all of it
    origin: str | None = None
    kind: NumberKind | None = None


class Numbers:
    """The actions on phone numbers, for every door."""

    def __init__(
        self, store: Store, services: Services, applications: Applications, clock: Clock,
        entropy: Entropy, guard: Guard, *, sandbox: bool,
    ) -> None:  # fmt: skip
        self._accounts = store.accounts
        self._services = services
        self._applications = applications
        self._clock = clock
        self._entropy = entropy
        self._guard = guard
        self._sandbox = sandbox

    # -- the supply -----------------------------------------------------------------------

    def countries(self) -> Sequence[Country]:
        """Where there are numbers to get."""
        return supply.countries() if self._sandbox else ()

    async def search(self, search: Search, limit: int) -> Sequence[Offer]:
        """Up to `limit` numbers that nobody owns; looked for off the event loop."""
        area_code = search.area_code
        if area_code is not None and _AREA_CODE.match(area_code) is None:
            raise Refusal("area_code_invalid")
        if search.contains is not None and not supply.is_pattern(search.contains):
            raise Refusal("invalid_parameter", parameter="Contains")
        if not self._sandbox:
            return ()
        offers = await asyncio.to_thread(
            supply.available, search.country, search.kind, area_code=area_code,
            contains=search.contains, limit=limit, owned=self._accounts.numbers,
        )  # fmt: skip
        return [offer for offer in offers if _is_able(offer, search.capabilities)]

    # -- own numbers ----------------------------------------------------------------------

    def list(self, account: Account, wanted: NumberFilter) -> Sequence[Number]:
        """The account's numbers that fit, newest first."""
        numbers = self._accounts.numbers.values()
        found = [n for n in numbers if n.account_id == account.id and _fits(n, wanted)]
        return sorted(found, key=lambda number: number.id, reverse=True)

    def find(self, account: Account, sid: str) -> Number | None:
        """The account's number of that SID, or None."""
        for number in self._accounts.numbers.values():
            if number.sid == sid and number.account_id == account.id:
                return number
        return None

    def owner(self, number: Number) -> Account:
        return self._accounts.by_id[number.account_id]

    def buy(self, caller: Caller, account: Account, order: Order) -> Number:
        """Give the account a number; durable when it returns.

        Raises Refusal: number_invalid, number_not_available (owned by somebody, or magic),
        area_code_invalid, area_code_empty, and what is wrong with the settings. Without the
        sandbox only the first account's own token registers numbers.
        """
        phone = self._ordered(order)
        owned = self._accounts.numbers.get(phone)
        if owned is not None:
            if self._is_magic(phone) and owned.account_id == account.id:
                return self.update(caller, owned, order.settings)  # however often it is asked for
            raise Refusal("number_not_available", number=mask(phone))
        if not self._sandbox and not is_operator(caller):
            raise Refusal("number_not_available", number=mask(phone))
        settings = self._changed(_UNSET, order.settings, account.id)
        sid = new_sid("PN", self._entropy.bytes(16))
        return self._accounts.buy(sid, account.id, phone, settings, self._clock.now_ms())

    def update(
        self, caller: Caller, number: Number, changes: Mapping[str, str], account_sid: str = ""
    ) -> Number:
        """Change settings (field of `NumberSettings` → value; empty resets it), and hand the
        number over to `account_sid` if that is given. It leaves its service and application then.

        Raises Refusal: url_invalid, method_invalid, sms_fallback_without_url,
        invalid_friendly_name, application_not_accessible, transfer_*.
        """
        account_id = self._heir(caller, number, account_sid)
        if account_id != number.account_id:  # applications are not handed over
            changes = {"sms_application_sid": "", **changes}
        settings = self._changed(number.settings, changes, account_id)
        if (settings, account_id) == (number.settings, number.account_id):
            return number
        if account_id != number.account_id:
            self._services.let_go(number.account_id, number.sid)
        return self._put(replace(number, settings=settings, account_id=account_id))

    def set_pace(self, caller: Caller, number: Number, mps: float | None) -> Number:
        """How many segments a second it sends; None is as fast as the carrier takes them.

        Messages that wait already keep their time. Raises Refusal (access_denied) for a
        subaccount: its pace is what the operator agreed with the carrier.
        """
        if caller.account.owner_id != caller.account.id:
            raise Refusal("access_denied")
        return number if mps == number.mps else self._put(replace(number, mps=mps))

    def release(self, number: Number) -> None:
        """Give it back. Its messages stay with the account."""
        self._services.let_go(number.account_id, number.sid)
        self._accounts.release(number)

    # -- which number ---------------------------------------------------------------------

    def _ordered(self, order: Order) -> str:
        """The number (E.164) that is to be had."""
        if order.phone is None:
            if order.area_code is None:
                raise Refusal("parameter_required", parameter="PhoneNumber")
            return self._one_of(order.area_code, order.kind or "local")
        phone = normalise(order.phone)
        if self._sandbox and phone in magic.PURCHASE:
            raise Refusal(magic.PURCHASE[phone], number=phone)
        if phone is None:
            raise Refusal("number_invalid", number=mask(order.phone))
        if not self._is_magic(phone):
            taken = self._sandbox and (phone in magic.FROM or phone in magic.TO)
            if taken or order.kind not in (None, supply.kind_of(phone)):
                raise Refusal("number_not_available", number=mask(phone))
        return phone

    def _one_of(self, area_code: str, kind: NumberKind) -> str:
        """A number (E.164) of that area code that nobody owns."""
        if _AREA_CODE.match(area_code) is None:
            raise Refusal("area_code_invalid")
        if self._sandbox:
            if area_code in magic.AREA_CODE:
                raise Refusal(magic.AREA_CODE[area_code], area_code=area_code)
            if area_code == magic.AREA_CODE_OK:
                return magic.PURCHASE_OK
            owned = self._accounts.numbers
            for country in _AREA_CODE_COUNTRIES:
                offers = supply.available(country, kind, area_code=area_code, limit=1, owned=owned)
                if offers:
                    return offers[0].phone
        raise Refusal("area_code_empty", area_code=area_code)

    def _is_magic(self, phone: str) -> bool:
        return self._sandbox and phone == magic.PURCHASE_OK

    # -- what becomes of it ---------------------------------------------------------------

    def _changed(
        self, settings: NumberSettings, changes: Mapping[str, str], account_id: int
    ) -> NumberSettings:
        """The settings from now on, of a number of that account."""
        after = changed(settings, changes, self._guard)
        if after.sms_fallback_url and not after.sms_url:
            raise Refusal("sms_fallback_without_url")
        sid = changes.get("sms_application_sid")
        if sid and self._applications.find(account_id, sid) is None:
            raise Refusal("application_not_accessible")
        return after

    def _heir(self, caller: Caller, number: Number, sid: str) -> int:
        """Whose number it is from now on. A foreign account is as unknown as none (D13)."""
        if sid in ("", self.owner(number).sid):
            return number.account_id
        if not is_sid(sid, "AC"):
            raise Refusal("transfer_account_invalid")
        if caller.account.owner_id != caller.account.id:
            raise Refusal("transfer_not_parent")
        account = self._accounts.reaches(caller.account, sid)
        if account is None:
            raise Refusal("transfer_account_unknown")
        if not self._accounts.is_active(account):
            raise Refusal("transfer_account_inactive")
        return account.id

    def _put(self, number: Number) -> Number:
        number = replace(number, updated_ms=self._clock.now_ms())
        self._accounts.put_number(number)
        return number


def shown_name(number: Number) -> str:
    """Its friendly name: what was set, or else the number as people write it."""
    return number.settings.friendly_name or supply.friendly(number.phone)


def is_operator(caller: Caller) -> bool:
    """Is it the first account with its own token, not a key?"""
    return caller.account.id == OPERATOR_ID and caller.key is None


def _is_able(offer: Offer, wanted: Mapping[str, bool]) -> bool:
    has = asdict(offer.capabilities)
    return all(has[name] is on for name, on in wanted.items())


def _fits(number: Number, wanted: NumberFilter) -> bool:
    return (
        wanted.origin in (None, ORIGIN)
        and wanted.kind in (None, supply.kind_of(number.phone))
        and wanted.friendly_name in (None, shown_name(number))
        and (wanted.phone is None or has_digits(number.phone, wanted.phone))
    )


def has_digits(phone: str, partial: str) -> bool:
    """Does the number or short code hold these digits? `*` is any; a plus is its beginning.

    A leading space before a digit is a plus that was not escaped in the query (W3).
    """
    if partial[:1] == " " and partial[1:2].isdigit():
        partial = "+" + partial[1:]
    partial = partial.translate(_SPACING)
    if _PARTIAL.match(partial) is None:
        return False
    pattern = partial.replace("+", r"\A\+").replace("*", "[0-9]")
    return re.search(pattern, phone) is not None
