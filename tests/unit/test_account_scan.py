"""The account scan at work: when it looks, what it alerts of, and how often."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from msgspec.structs import replace

from estate import Estate
from hushwire.actions.alerts import Alerts, Span
from hushwire.actions.debugger import Debuggers
from hushwire.actions.keywords import KeywordSets
from hushwire.actions.privacy import PrivacySettings
from hushwire.actions.scan import SOON_MS, AccountScan
from hushwire.clock import SeededEntropy
from hushwire.domain.account import Account
from hushwire.domain.entry import DAY_MS
from hushwire.domain.scan import Finding
from hushwire.outbound import Guard
from rig import Rig, play

TWILIO = {"scan_profile": "twilio"}
ON = {"redact_body": True, "redact_numbers": True}
ALWAYS = Span(0, 1 << 62)
MINUTE_MS = 60_000

Told = list[tuple[int, str | None]]


class Watch:
    """An estate whose scan is running, as of a server that just started."""

    def __init__(self, rig: Rig, **settings: object) -> None:
        self.rig = rig
        self.estate = Estate(rig)
        records, clock = self.estate.records, rig.clock
        debuggers = Debuggers(records.owned, records.outbox, Guard(True), clock, SeededEntropy(3))
        entropy = SeededEntropy(clock.now_ms())  # another process draws others
        self.alerts = Alerts(records.entries, debuggers, clock, entropy)
        self.scan = AccountScan(rig.store, records, self.alerts, clock, **settings)
        self.privacy = PrivacySettings(rig.store, clock, self.scan)
        rig.store.accounts.changed = records.owned.changed = self.scan.changed
        self.keywords = KeywordSets(records.owned, self.estate.services, clock)
        self.scan.start()

    @property
    def account(self) -> Account:
        return self.rig.store.accounts.by_id[1]

    def set(self, **wanted: object) -> list[Finding]:
        return self.privacy.change(self.account, wanted)[1]

    async def told(self, account: Account | None = None) -> Told:
        """Code and resource of each alert of the account, oldest first."""
        await self.rig.settle()
        page = self.alerts.page(account or self.account, None, ALWAYS, 1_000)
        return [(alert.code, alert.subject) for alert in page][::-1]

    async def pass_(self, ms: int) -> None:
        """Let time pass, and what is due happen."""
        await asyncio.sleep(ms / 1000)
        await self.rig.settle()

    def close(self) -> None:
        self.scan.stop()
        self.alerts.close()


Scene = Callable[[Watch], Awaitable[None]]


def watch(directory: Path, scene: Scene, **settings: object) -> None:
    async def main(rig: Rig) -> None:
        made = Watch(rig, **settings)
        await scene(made)
        made.close()
        await rig.settle()
        made.estate.records.close()

    play(directory, main)


def test_turning_a_switch_on_scans_and_alerts(tmp_path: Path) -> None:
    """R32, RC-7: an alert for each finding with a code, none for hints, and all of them told."""

    async def scene(watch: Watch) -> None:
        service = watch.estate.service()
        (number,) = watch.rig.store.accounts.numbers.values()
        assert watch.set(**TWILIO) == []
        found = watch.set(**ON)
        coded = [(finding.code, finding.resource_sid) for finding in found if finding.code]
        assert coded == [(23003, service.sid), (23005, service.sid), (23001, number.sid)]
        assert (None, number.sid) in [(f.code, f.resource_sid) for f in found]
        assert await watch.told() == coded
        (alert, *_) = watch.alerts.page(watch.account, "warning", ALWAYS, 10)
        assert alert.detail in {finding.cure for finding in found}

    watch(tmp_path, scene)


def test_the_same_is_told_once_a_day(tmp_path: Path) -> None:
    """R32: however often it is asked, by whichever process."""

    async def scene(watch: Watch) -> None:
        service = watch.estate.service(inbound_url="https://a.example/", inbound_method="GET")
        once = [(23006, service.sid)]
        for _ in range(3):
            watch.set(redact_body=None)
            found = watch.set(redact_body=True)
            assert once[0] in [(f.code, f.resource_sid) for f in found]
            await watch.pass_(MINUTE_MS)
        assert await watch.told() == once
        watch.close()
        again = Watch(watch.rig)
        await again.pass_(MINUTE_MS)
        assert again.privacy.scan(again.account) == found
        assert await again.told() == once
        await again.pass_(DAY_MS)
        assert await again.told() == once * 2
        again.close()
        again.estate.records.close()

    watch(tmp_path, scene)


def test_it_looks_every_day_while_a_switch_is_on(tmp_path: Path) -> None:
    async def scene(watch: Watch) -> None:
        service = watch.estate.service(inbound_url="https://a.example/", inbound_method="GET")
        await watch.pass_(3 * DAY_MS)
        assert await watch.told() == []
        watch.set(redact_body=True)
        await watch.pass_(3 * DAY_MS + MINUTE_MS)
        assert await watch.told() == [(23006, service.sid)] * 4
        watch.set(redact_body=False)
        await watch.pass_(3 * DAY_MS)
        assert await watch.told() == [(23006, service.sid)] * 4

    watch(tmp_path, scene)


def test_every_account_has_its_day(tmp_path: Path) -> None:
    """All of them, each its own, none a day late."""

    async def scene(watch: Watch) -> None:
        children = [watch.estate.account_of(letter) for letter in "abde"]
        sids: dict[int, str] = {}
        for child in children:
            services = watch.estate.services
            made = services.create(child, "Shop", {"inbound_url": "https://a.example/"})
            services.update(made, {"inbound_method": "GET"})
            sids[child.id] = made.sid
            watch.privacy.change(child, {"redact_numbers": True})
        await watch.pass_(2 * DAY_MS + MINUTE_MS)
        for child in children:
            assert await watch.told(child) == [(23006, sids[child.id])] * 3
        assert await watch.told() == []

    watch(tmp_path, scene)


def test_a_closed_account_is_left_alone(tmp_path: Path) -> None:
    async def scene(watch: Watch) -> None:
        child = watch.estate.child
        watch.estate.services.create(
            child, "Shop", {"inbound_url": "https://a.example/", "inbound_method": "GET"}
        )
        watch.privacy.change(child, {"redact_body": True})
        told = await watch.told(child)
        assert len(told) == 1
        closed = watch.rig.store.accounts.by_id[child.id]
        watch.rig.store.accounts.change(replace(closed, status="closed"))
        await watch.pass_(2 * DAY_MS)
        assert await watch.told(child) == told

    watch(tmp_path, scene)


def _a_number(watch: Watch) -> str:
    number = watch.estate.number("+14155550133")
    watch.estate.numbers.update(
        watch.estate.caller, number, {"sms_url": "https://a.example/", "sms_method": "GET"}
    )
    return number.sid


def _a_service(watch: Watch) -> str:
    return watch.estate.service(inbound_url="https://a.example/", inbound_method="GET").sid


def _an_application(watch: Watch) -> str:
    wanted = {"sms_url": "https://a.example/", "sms_method": "GET"}
    return watch.estate.applications.create(watch.account, wanted).sid


def _a_short_code(watch: Watch) -> str:
    codes = watch.estate.short_codes
    code = codes.register(watch.estate.caller, watch.account, "54321", "US")
    return codes.update(code, {"sms_url": "https://a.example/", "sms_method": "GET"}).sid


@pytest.mark.parametrize("make", [_a_number, _a_service, _an_application, _a_short_code])
def test_what_newly_works_against_it_is_told_at_once(
    tmp_path: Path, make: Callable[[Watch], str]
) -> None:
    """R30: numbers, services, short codes and applications, made while a switch is on."""

    async def scene(watch: Watch) -> None:
        watch.set(redact_body=True)
        await watch.pass_(MINUTE_MS)  # the look at the start is over
        sid = make(watch)
        assert await watch.told() == []
        await watch.pass_(2 * SOON_MS)
        assert await watch.told() == [(23006, sid)]
        await watch.pass_(DAY_MS // 2)
        assert await watch.told() == [(23006, sid)]

    watch(tmp_path, scene)


def test_keywords_that_newly_work_against_it(tmp_path: Path) -> None:
    """R28."""

    async def scene(watch: Watch) -> None:
        service = watch.estate.service(sticky_sender=False, fallback_to_long_code=False)
        watch.rig.store.accounts.release(watch.rig.store.accounts.numbers["+15005550006"])
        watch.set(redact_numbers=True, **TWILIO)
        await watch.pass_(MINUTE_MS)
        assert await watch.told() == []
        own = watch.keywords.of(1, service.sid)
        watch.keywords.put(own, b'{"rules":[{"type":"STOP","keywords":["BASTA"],"text":"Out."}]}')
        await watch.pass_(2 * SOON_MS)
        assert await watch.told() == [(23004, service.sid)]

    watch(tmp_path, scene)


def test_nothing_is_looked_at_while_all_is_off(tmp_path: Path) -> None:
    async def scene(watch: Watch) -> None:
        _a_service(watch)
        await watch.pass_(2 * DAY_MS)
        assert watch.privacy.scan(watch.account) == []
        assert await watch.told() == []
        assert watch.rig.clock.next_due_ms() is None  # the sandbox's clock is not held up

    watch(tmp_path, scene)


def test_what_the_server_knows_of_itself_counts(tmp_path: Path) -> None:
    """R29: GET webhooks that are sent as POST; a filesystem that may keep what was overwritten."""

    async def scene(watch: Watch) -> None:
        _a_service(watch)
        found = watch.set(redact_body=True)
        assert 23006 not in {finding.code for finding in found}
        assert (None, watch.account.sid) in {(f.code, f.resource_sid) for f in found}
        assert await watch.told() == []

    watch(tmp_path, scene, get_webhooks="post", shreds_stay=lambda: True)


def test_scheduled_messages_are_counted(tmp_path: Path) -> None:
    """R27: a hint, where Twilio's rules are asked for."""

    async def scene(watch: Watch) -> None:
        watch.estate.records.scheduled.add(1)
        hint = (None, watch.account.sid)
        assert hint not in {(f.code, f.resource_sid) for f in watch.set(redact_body=True)}
        assert hint in {(f.code, f.resource_sid) for f in watch.set(**TWILIO)}
        watch.estate.records.scheduled.remove(1)
        assert hint not in {(f.code, f.resource_sid) for f in watch.set()}

    watch(tmp_path, scene)
