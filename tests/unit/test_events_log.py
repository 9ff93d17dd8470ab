"""Events: every change of a record, who made it, and nothing that is secret."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from pathlib import Path

from msgspec.structs import replace

from hushwire.actions.accounts import Administration
from hushwire.actions.events import Events, acting
from hushwire.actions.keys import Keys, NewKey
from hushwire.clock import SeededEntropy
from hushwire.domain.account import Caller, NumberSettings
from hushwire.domain.application import Application, ApplicationSettings
from hushwire.domain.entry import DAY_MS, KEPT_DAYS
from hushwire.domain.event import Event
from hushwire.store.records import Records
from rig import SENDER, START_MS, Rig, play

IP = "203.0.113.9"
SECRET = "https://user:hunter2@h.example.com/in?token=hunter2"
SHOWN = "https://h.example.com/in"


class Office:
    """A rig whose changes are recorded."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.records = Records(rig.store)
        self.events = Events(self.records.entries, rig.store.accounts, rig.clock, SeededEntropy(2))
        rig.store.accounts.changed = self.records.owned.changed = self.events.changed
        self.administration = Administration(rig.store, rig.clock, SeededEntropy(3))
        self.keys = Keys(rig.store, rig.clock, SeededEntropy(4))

    async def found(self) -> list[Event]:
        """Oldest first."""
        await self.rig.settle()
        page = self.events.page(self.rig.account, lambda event: True, 0, 1 << 62, 99)
        return list(page)[::-1]


def play_office(directory: Path, scene: Callable[[Office], Awaitable[None]]) -> None:
    async def main(rig: Rig) -> None:
        office = Office(rig)
        await scene(office)
        await rig.settle()
        office.records.close()

    contextvars.Context().run(play, directory, main)


def test_an_account_s_changes_with_both_values_and_the_caller(tmp_path: Path) -> None:
    async def scene(o: Office) -> None:
        account = o.rig.account
        o.administration.update(account, account, "Before noon", None)
        acting(Caller(account), IP)
        o.administration.update(account, o.rig.store.accounts.by_id[1], "After noon", None)
        quiet, told = await o.found()
        assert (quiet.actor_sid, quiet.source, quiet.ip) == (None, "twilio", None)
        assert (told.actor_sid, told.source, told.ip) == (account.sid, "api", IP)
        assert (told.type, told.subject) == ("account.updated", account.sid)
        assert told.changes == {"friendly_name": ("Before noon", "After noon")}

    play_office(tmp_path, scene)


def test_no_token_or_secret_is_in_an_event(tmp_path: Path) -> None:
    async def scene(o: Office) -> None:
        account = o.administration.create_secondary(o.rig.account)
        o.administration.promote(account)
        key, secret = o.keys.create(Caller(account), account, NewKey("Reader"))
        acting(Caller(account, key), IP)
        o.keys.update(Caller(account), key, "Writer")
        o.keys.delete(key)
        found = await o.found()
        assert [event.type for event in found] == [
            "account.updated", "account.updated", "api-key.created", "api-key.updated",
            "api-key.deleted",
        ]  # fmt: skip
        assert found[0].changes == {"secondary_auth_token": (None, None)}
        assert found[1].changes.keys() == {"auth_token", "secondary_auth_token"}
        assert found[2].changes == {"friendly_name": (None, "Reader"), "kind": (None, "standard")}
        assert found[3].changes == {"friendly_name": ("Reader", "Writer")}
        assert found[3].actor_sid == key.sid
        assert found[4].changes == {}
        assert secret.reveal() not in repr(found)

    play_office(tmp_path, scene)


def test_urls_are_shown_without_what_is_secret_in_them(tmp_path: Path) -> None:
    async def scene(o: Office) -> None:
        accounts = o.rig.store.accounts
        number = accounts.numbers[SENDER]
        accounts.put_number(replace(number, settings=NumberSettings(sms_url=SECRET)))
        settings = ApplicationSettings("App", sms_url=SECRET, sms_method="GET")
        made = Application(
            sid="AP" + "0" * 32, account_id=1, created_ms=START_MS, updated_ms=START_MS,
            settings=settings,
        )  # fmt: skip
        o.records.owned.put(made)
        o.records.owned.put(replace(made, updated_ms=START_MS + 1))
        o.records.owned.delete(made)
        accounts.release(number)
        found = await o.found()
        assert [event.type for event in found] == [
            "phone-number.updated", "application.created", "application.deleted",
            "phone-number.deleted",
        ], "what changes nothing is no event"  # fmt: skip
        assert found[0].changes == {"sms_url": ("", SHOWN)}
        assert found[1].changes["sms_url"] == (None, SHOWN)
        assert found[1].changes["sms_method"] == (None, "GET")
        assert "hunter2" not in repr(found)

    play_office(tmp_path, scene)


def test_a_parent_sees_its_subaccounts_come_and_go(tmp_path: Path) -> None:
    async def scene(o: Office) -> None:
        sub = o.administration.create(o.rig.account, "Sub")
        o.administration.update(o.rig.account, sub, None, "closed")
        created, closed = await o.found()
        assert (created.type, created.subject) == ("account.created", sub.sid)
        assert closed.changes == {"status": ("active", "closed")}
        assert o.events.page(sub, lambda event: True, 0, 1 << 62, 99) == []
        assert o.events.fetch(sub, created.sid) is None

    play_office(tmp_path, scene)


def test_they_are_kept_for_30_days(tmp_path: Path) -> None:
    async def scene(o: Office) -> None:
        o.administration.create(o.rig.account, "Sub")
        (event,) = await o.found()
        await asyncio.sleep(KEPT_DAYS * DAY_MS / 1000 + 1)
        assert await o.found() == []
        assert o.events.fetch(o.rig.account, event.sid) is None
        while o.records.entries.sweep(o.rig.clock.now_ms()):
            await o.rig.settle()
        assert o.rig.rows("entry") == []

    play_office(tmp_path, scene)
