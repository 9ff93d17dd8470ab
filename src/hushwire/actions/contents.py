"""What can be done with content templates: make, list, change and delete them."""

from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from hushwire.clock import Clock, Entropy
from hushwire.domain.account import Account
from hushwire.domain.content import Template
from hushwire.domain.sid import new_sid
from hushwire.domain.template import Content
from hushwire.store.owned import OwnedRecords

_TEMPLATE: Final = "HX"


class Contents:
    """The actions on content templates, for every door."""

    def __init__(self, records: OwnedRecords, clock: Clock, entropy: Entropy) -> None:
        self._records = records
        self._clock = clock
        self._entropy = entropy

    def list(self, account: Account) -> Sequence[Template]:
        """The account's templates, newest first."""
        return self._records.of(Template, account.id)

    def find(self, account_id: int, sid: str) -> Template | None:
        """The account's template of that SID, or None."""
        return self._records.get(Template, account_id, sid)

    def create(self, account: Account, content: Content) -> Template:
        """Make a template; durable when it returns."""
        now_ms = self._clock.now_ms()
        template = Template(
            sid=new_sid(_TEMPLATE, self._entropy.bytes(16)), account_id=account.id,
            created_ms=now_ms, updated_ms=now_ms, content=content,
        )  # fmt: skip
        self._records.put(template)
        return template

    def update(self, template: Template, content: Content) -> Template:
        """Let it hold something else. Messages that were made of it stay as they are."""
        if content == template.content:
            return template
        template = replace(template, content=content, updated_ms=self._clock.now_ms())
        self._records.put(template)
        return template

    def delete(self, template: Template) -> None:
        """Delete it. Messages that were made of it stay as they are."""
        self._records.delete(template)
