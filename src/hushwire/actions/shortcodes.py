"""What can be done with short codes: register, list, change and give them back.

Nobody sells short codes here: a carrier rents them out, and the operator registers whose they
are. One that is registered has one owner on this server, whatever its country: messages name it
by its digits alone.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from hushwire.actions.numbers import has_digits, is_operator
from hushwire.actions.owner_settings import changed
from hushwire.actions.services import Services
from hushwire.clock import Clock, Entropy
from hushwire.domain.account import Account, Caller
from hushwire.domain.address import is_short_code
from hushwire.domain.lookup import is_region
from hushwire.domain.phone import mask
from hushwire.domain.shortcode import ShortCode, ShortCodeSettings
from hushwire.domain.sid import new_sid
from hushwire.errors import Refusal
from hushwire.outbound import Guard
from hushwire.store.owned import OwnedRecords

_SHORT_CODE: Final = "SC"


class ShortCodeFilter(Struct, frozen=True):
    """Which of an account's short codes to list. None takes all."""

    digits: str | None = None  # a part of them; `*` is any digit
    friendly_name: str | None = None  # all of it


class ShortCodes:
    """The actions on short codes, for every door. Nobody else writes their records."""

    def __init__(
        self, records: OwnedRecords, services: Services, clock: Clock, entropy: Entropy,
        guard: Guard, *, sandbox: bool,
    ) -> None:  # fmt: skip
        self._records = records
        self._services = services
        self._clock = clock
        self._entropy = entropy
        self._guard = guard
        self._sandbox = sandbox
        self._by_digits = {code.digits: code for code in records.every(ShortCode)}

    def list(self, account: Account, wanted: ShortCodeFilter) -> Sequence[ShortCode]:
        """The account's short codes that fit, newest first."""
        return [
            code
            for code in self._records.of(ShortCode, account.id)
            if wanted.friendly_name in (None, shown_name(code))
            and (wanted.digits is None or has_digits(code.digits, wanted.digits))
        ]

    def find(self, account_id: int, sid: str) -> ShortCode | None:
        """The account's short code of that SID, or None."""
        return self._records.get(ShortCode, account_id, sid)

    def by_digits(self, digits: str) -> ShortCode | None:
        """The short code of these digits, whoever's it is, or None."""
        return self._by_digits.get(digits)

    def register(self, caller: Caller, account: Account, digits: str, country: str) -> ShortCode:
        """Say whose a short code is; durable when it returns. `country` is ISO 3166.

        Without the sandbox only the first account's own token may do it. Raises Refusal:
        access_denied, invalid_parameter, number_not_available (it has an owner).
        """
        self._check_operator(caller)
        if not is_region(country):
            raise Refusal("invalid_parameter", parameter="country")
        if not is_short_code(digits, country):
            raise Refusal("invalid_parameter", parameter="short_code")
        if digits in self._by_digits:
            raise Refusal("number_not_available", number=mask(digits))
        now_ms = self._clock.now_ms()
        code = ShortCode(
            sid=new_sid(_SHORT_CODE, self._entropy.bytes(16)), account_id=account.id,
            created_ms=now_ms, updated_ms=now_ms, digits=digits, country=country,
        )  # fmt: skip
        return self._put(code)

    def update(self, code: ShortCode, changes: Mapping[str, object]) -> ShortCode:
        """Change settings, field of `ShortCodeSettings` → value; empty text puts a default back.

        Raises Refusal: invalid_friendly_name, url_invalid, method_invalid,
        sms_fallback_without_url.
        """
        settings: ShortCodeSettings = changed(code.settings, changes, self._guard)
        if settings.sms_fallback_url and not settings.sms_url:
            raise Refusal("sms_fallback_without_url")
        if settings == code.settings:
            return code
        return self._put(replace(code, settings=settings, updated_ms=self._clock.now_ms()))

    def give_back(self, caller: Caller, code: ShortCode) -> None:
        """It belongs to nobody from now on. Its messages stay with the account.

        Raises Refusal (access_denied), as register does.
        """
        self._check_operator(caller)
        self._services.let_go(code.account_id, code.sid)
        self._records.delete(code)
        del self._by_digits[code.digits]

    def _check_operator(self, caller: Caller) -> None:
        if not self._sandbox and not is_operator(caller):
            raise Refusal("access_denied")

    def _put(self, code: ShortCode) -> ShortCode:
        self._records.put(code)
        self._by_digits[code.digits] = code
        return code


def shown_name(code: ShortCode) -> str:
    """Its friendly name: what was set, or else its digits."""
    return code.settings.friendly_name or code.digits
