"""What can be done with Applications: make, list, change and delete them."""

from collections.abc import Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from hushwire.actions.owner_settings import changed
from hushwire.clock import Clock, Entropy
from hushwire.domain.account import Account
from hushwire.domain.application import Application, ApplicationSettings
from hushwire.domain.sid import new_sid
from hushwire.errors import Refusal
from hushwire.outbound import Guard
from hushwire.store.owned import OwnedRecords
from hushwire.store.store import Store

_APPLICATION: Final = "AP"
_UNSET: Final = ApplicationSettings()


class Applications:
    """The actions on Applications, for every door."""

    def __init__(
        self, records: OwnedRecords, store: Store, clock: Clock, entropy: Entropy, guard: Guard
    ) -> None:
        self._records = records
        self._accounts = store.accounts
        self._clock = clock
        self._entropy = entropy
        self._guard = guard

    def list(self, account: Account, friendly_name: str | None = None) -> Sequence[Application]:
        """The account's applications, newest first; those of exactly that name if one is given."""
        return [
            application
            for application in self._records.of(Application, account.id)
            if friendly_name in (None, application.settings.friendly_name)
        ]

    def find(self, account_id: int, sid: str) -> Application | None:
        """The account's application of that SID, or None."""
        return self._records.get(Application, account_id, sid)

    def create(self, account: Account, changes: Mapping[str, object]) -> Application:
        """Make an application; `changes` is field of `ApplicationSettings` → value.

        Durable when it returns. Raises Refusal: invalid_friendly_name, url_invalid,
        method_invalid, sms_fallback_without_url, voice_fallback_without_url.
        """
        now_ms = self._clock.now_ms()
        application = Application(
            sid=new_sid(_APPLICATION, self._entropy.bytes(16)), account_id=account.id,
            created_ms=now_ms, updated_ms=now_ms, settings=self._changed(_UNSET, changes),
        )  # fmt: skip
        self._records.put(application)
        return application

    def update(self, application: Application, changes: Mapping[str, object]) -> Application:
        """Change settings; empty text puts a default back. Raises Refusal, as create does."""
        settings = self._changed(application.settings, changes)
        if settings == application.settings:
            return application
        application = replace(application, settings=settings, updated_ms=self._clock.now_ms())
        self._records.put(application)
        return application

    def delete(self, application: Application) -> None:
        """Delete it. Numbers that had it go back to their own settings, as at Twilio.

        They go first: a number must never name an application that is not there.
        """
        now_ms = self._clock.now_ms()
        for number in tuple(self._accounts.numbers.values()):
            if number.settings.sms_application_sid == application.sid:
                settings = replace(number.settings, sms_application_sid="")
                self._accounts.put_number(replace(number, settings=settings, updated_ms=now_ms))
        self._records.delete(application)

    def _changed(
        self, settings: ApplicationSettings, changes: Mapping[str, object]
    ) -> ApplicationSettings:
        after = changed(settings, changes, self._guard)
        if after.sms_fallback_url and not after.sms_url:
            raise Refusal("sms_fallback_without_url")
        if after.voice_fallback_url and not after.voice_url:
            raise Refusal("voice_fallback_without_url")
        return after
