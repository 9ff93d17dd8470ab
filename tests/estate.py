"""What an account sets up, in unit tests: the actions on it, over the store of a rig."""

from collections.abc import Callable
from pathlib import Path

import pytest

from hushwire.actions.applications import Applications
from hushwire.actions.contents import Contents
from hushwire.actions.numbers import Numbers, Order
from hushwire.actions.services import Services
from hushwire.actions.shortcodes import ShortCodes
from hushwire.clock import SeededEntropy
from hushwire.domain.account import Account, Caller, Number
from hushwire.domain.service import Service
from hushwire.errors import Refusal
from hushwire.outbound import Guard
from hushwire.private import Private
from hushwire.store.records import Records
from rig import START_MS, Rig, play


class Estate:
    """The actions, as of a server that just started; the caller is the first account."""

    def __init__(self, rig: Rig, *, sandbox: bool = True, allow_loopback: bool = False) -> None:
        self.rig = rig
        self.records = Records(rig.store)
        entropy = SeededEntropy(rig.clock.now_ms() % 1_000 + len(rig.rows("owned")) + 2)
        guard, clock, owned = Guard(allow_loopback=allow_loopback), rig.clock, self.records.owned
        self.services = Services(self.records, rig.store, clock, entropy, guard)
        self.applications = Applications(owned, rig.store, clock, entropy, guard)
        self.short_codes = ShortCodes(owned, self.services, clock, entropy, guard, sandbox=sandbox)
        self.contents = Contents(owned, clock, entropy)
        self.numbers = Numbers(
            rig.store, self.services, self.applications, clock, entropy, guard, sandbox=sandbox
        )
        self.account = rig.account
        self.caller = Caller(self.account)
        self.child = rig.store.accounts.by_sid.get("AC" + "c" * 32) or self.account_of("c")

    def account_of(self, letter: str) -> Account:
        """A new subaccount of the first account."""
        return self.rig.store.accounts.open(
            "AC" + letter * 32, "", Private(letter * 32), None, letter, START_MS, self.account.id
        )

    def number(self, phone: str, account: Account | None = None) -> Number:
        return self.numbers.buy(self.caller, account or self.account, Order(phone))

    def service(self, name: str = "Shop", **changes: object) -> Service:
        return self.services.create(self.account, name, changes)

    def now(self, service: Service) -> Service:
        """The service as it is now."""
        found = self.services.find(service.account_id, service.sid)
        assert found is not None
        return found

    def restarted(self) -> "Estate":
        """The same, as a server would find it after a restart."""
        return Estate(self.rig)


def on_estate(directory: Path, scene: Callable[[Estate], None], *, sandbox: bool = True) -> None:
    async def with_rig(rig: Rig) -> None:
        estate = Estate(rig, sandbox=sandbox)
        scene(estate)
        estate.records.close()

    play(directory, with_rig)


def refused(call: Callable[[], object]) -> int:
    """The code that `call` is refused with."""
    with pytest.raises(Refusal) as caught:
        call()
    return caught.value.problem.code
