"""The choice of a sender for messages of a service: when, which, and what is written with it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from msgspec.structs import replace

from estate import Estate
from hushwire.actions.optouts import BlockLists
from hushwire.dispatch.choose import BATCH, MEMORY, Chooser
from hushwire.dispatch.lanes import Lanes
from hushwire.domain.account import QUEUE_MS
from hushwire.domain.extras import Extras
from hushwire.domain.fallback import FALLBACK_CAP_MS
from hushwire.domain.message import Fact, Message, Status, advance, born, history_line
from hushwire.domain.service import Service
from hushwire.domain.shortcode import ShortCode
from hushwire.domain.task import TaskKind
from hushwire.private import Private
from hushwire.testing import simloop
from rig import ALICE, BOB, START_MS, Rig

SAN_FRANCISCO, OAKLAND, LONDON = "+14155550111", "+15105550111", "+442079460111"
LONDONER = "+447700900123"


class Office:
    """A chooser with its lanes, and a service to choose from."""

    def __init__(self, rig: Rig) -> None:
        self.rig = rig
        self.estate = Estate(rig)
        records = self.estate.records
        self.lists = BlockLists(
            records.optouts, rig.store, self.estate.services, self.estate.short_codes, rig.clock
        )
        self.lanes = Lanes(rig.store, rig.clock)
        self.chooser = Chooser(
            rig.store, self.estate.services, records.sticky, records.scheduled, rig.clock,
            obstacle=lambda message: 21610 if self.lists.stops(message) else None,
            drained=self.lanes.wake, warned=lambda *what: self.told.append(what),
        )  # fmt: skip
        self.told: list[tuple[int, int, str | None]] = []
        self.lanes.workers[TaskKind.CHOOSE] = self.chooser
        self.lanes.workers[TaskKind.SUBMIT] = Nobody()
        self.lanes.workers[TaskKind.CALLBACK] = Nobody()
        rig.store.release_held()
        rig.store.outlet = self.lanes
        self.lanes.start()
        self.running = asyncio.create_task(self.lanes.run())

    def service(self, *phones: str, **settings: object) -> Service:
        service = self.estate.service("Shop", **settings)
        for phone in phones:
            self.estate.services.add(self.estate.now(service), "PN", self.estate.number(phone).sid)
        return self.estate.now(service)

    def message(self, service: Service, to: str = ALICE, **changes: object) -> Message:
        now_ms = self.rig.clock.now_ms()
        fields: dict[str, object] = {
            "status": Status.ACCEPTED, "from_": None, "service": service.sid, "to": Private(to),
            "history": history_line("accepted", now_ms), "callback": None, **changes,
        }  # fmt: skip
        return self.rig.message(**fields)

    async def accept(self, service: Service, to: str = ALICE, **changes: object) -> Message:
        message = self.message(service, to, **changes)
        await self.record(message)
        return message

    async def record(self, *messages: Message) -> None:
        now_ms = self.rig.clock.now_ms()
        await self.rig.store.record([born(each, each.send_at_ms or now_ms) for each in messages])

    async def chosen(self, service: Service, to: str = ALICE, **changes: object) -> str:
        """The sender of a new message, once it was chosen."""
        message = await self.accept(service, to, **changes)
        await asyncio.sleep(1)
        now = self.now(message)
        assert now.status is Status.QUEUED, now.error_code
        assert now.from_ is not None
        return now.from_.reveal()

    async def failed(self, service: Service, to: str = ALICE, **changes: object) -> int:
        message = await self.accept(service, to, **changes)
        await asyncio.sleep(1)
        now = self.now(message)
        assert now.status is Status.FAILED
        assert now.from_ is None
        assert now.error_code is not None
        return now.error_code

    def now(self, message: Message) -> Message:
        latest = self.rig.store.latest(message.key)
        assert latest is not None
        return latest

    async def close(self) -> None:
        self.chooser.stop()
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)
        self.estate.records.close()


class Nobody:
    """A worker that takes nothing: its tasks stay in the table."""

    def room(self, lane: int) -> int:
        return 0

    def feed(self, task: object, message: object) -> None:
        raise AssertionError

    def forget(self, record: int) -> None:
        return


Scene = Callable[[Office], Awaitable[None]]


def play(directory: Path, scene: Scene) -> None:
    async def main() -> None:
        rig = Rig(directory)
        office = Office(rig)
        await scene(office)
        await rig.settle()
        await office.close()
        await rig.close()

    simloop.run(main())


def test_a_message_is_chosen_for_and_queued_at_once(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        service = office.service(SAN_FRANCISCO)
        message = await office.accept(service, callback=Private("http://c.example.com/s"))
        await asyncio.sleep(0.5)
        now = office.now(message)
        assert (now.status, now.from_) == (Status.QUEUED, Private(SAN_FRANCISCO))
        assert [line.split()[0] for line in now.history.splitlines()] == ["accepted", "chosen"]
        kinds = {(number, kind) for _, number, kind, _ in office.rig.tasks()}
        assert kinds == {(0, TaskKind.SUBMIT), (2, TaskKind.CALLBACK)}, "and it is called back"
        assert office.chooser.busy() == 0

    play(tmp_path, scene)


def test_the_sender_is_sealed_and_found_after_a_restart(tmp_path: Path) -> None:
    keys: list[int] = []

    async def scene(office: Office) -> None:
        service = office.service(SAN_FRANCISCO)
        message = await office.accept(service, obfuscate=True, from_shown="", to_shown="+1…")
        await asyncio.sleep(1)
        keys.append(message.key)

    async def later(office: Office) -> None:
        (message,) = office.rig.store.load(keys).values()
        assert message.from_ == Private(SAN_FRANCISCO)
        assert message.from_shown == SAN_FRANCISCO, "what is left when the address is forgotten"

    play(tmp_path, scene)
    play(tmp_path, later)


def test_one_who_was_written_to_keeps_the_sender(tmp_path: Path) -> None:
    """Fifty in one commit, fifty one after another, and after a restart."""
    senders: set[str] = set()

    async def scene(office: Office) -> None:
        service = office.service(SAN_FRANCISCO, OAKLAND, area_code_geomatch=False)
        messages = [office.message(service, BOB) for _ in range(50)]
        await office.record(*messages)
        for _ in range(50):
            senders.add(await office.chosen(service, BOB))
        senders.update(m.from_.reveal() for m in map(office.now, messages) if m.from_)
        assert len(senders) == 1
        others = {await office.chosen(service, f"+1415555{n:04d}") for n in range(4)}
        assert others == {SAN_FRANCISCO, OAKLAND}, "others have either"

    async def later(office: Office) -> None:
        (service,) = office.estate.services.list(office.rig.account)
        senders.add(await office.chosen(service, BOB))
        assert len(senders) == 1

    play(tmp_path, scene)
    play(tmp_path, later)


def test_nobody_is_kept_when_the_service_says_so(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        service = office.service(
            SAN_FRANCISCO, OAKLAND, sticky_sender=False, area_code_geomatch=False
        )
        found = [await office.chosen(service, BOB) for _ in range(4)]
        assert found in ([SAN_FRANCISCO, OAKLAND] * 2, [OAKLAND, SAN_FRANCISCO] * 2), "in turn"
        assert office.rig.rows("sticky") == []

    play(tmp_path, scene)


def test_a_sender_that_left_the_pool_is_replaced(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        service = office.service(SAN_FRANCISCO, OAKLAND)
        first = await office.chosen(service, BOB)
        member = next(m for m in service.pool if m.address == first)
        office.estate.services.remove(service, member)
        second = await office.chosen(service, BOB)
        assert {first, second} == {SAN_FRANCISCO, OAKLAND}
        office.estate.services.add(office.estate.now(service), "PN", member.sid)
        assert await office.chosen(service, BOB) == second, "the last one is the known one"

    play(tmp_path, scene)


def test_the_sender_of_the_area_is_preferred(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        service = office.service(LONDON, SAN_FRANCISCO, OAKLAND)
        assert await office.chosen(service, "+15105559999") == OAKLAND
        assert await office.chosen(service, "+14155559999") == SAN_FRANCISCO
        assert await office.chosen(service, LONDONER) == LONDON

    play(tmp_path, scene)


def test_a_named_sender_is_used_and_not_remembered(tmp_path: Path) -> None:
    """T-9."""

    async def scene(office: Office) -> None:
        service = office.service(SAN_FRANCISCO, OAKLAND)
        assert await office.chosen(service, from_=Private(OAKLAND)) == OAKLAND
        assert office.rig.rows("sticky") == []

    play(tmp_path, scene)


def test_the_one_with_the_least_to_send_is_chosen(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        service = office.service(SAN_FRANCISCO, OAKLAND, area_code_geomatch=False)
        accounts, now_ms = office.rig.store.accounts, office.rig.clock.now_ms()
        for phone, waiting in ((SAN_FRANCISCO, 60), (OAKLAND, 30)):
            accounts.put_number(replace(accounts.numbers[phone], mps=1.0, updated_ms=now_ms))
            accounts.paces[phone].occupy(now_ms, waiting)
        messages = [office.message(service, f"+1415555{n:04d}") for n in range(50)]
        await office.record(*messages)
        await asyncio.sleep(1)
        senders = [m.from_.reveal() for m in map(office.now, messages) if m.from_ is not None]
        assert (senders.count(OAKLAND), senders.count(SAN_FRANCISCO)) == (40, 10)
        due = {row[0]: row[4] for row in office.rig.rows("task")}
        first = due[messages[0].key]
        assert isinstance(first, int)
        assert 29_000 <= first - START_MS <= 31_000, "and waits for its turn"

    play(tmp_path, scene)


def test_why_nobody_can_send(tmp_path: Path) -> None:
    """21704 an empty pool, 21703 nobody reaches there, 30001 all are full, 21701 no service."""

    async def scene(office: Office) -> None:
        empty = office.service()
        assert await office.failed(empty) == 21704
        alpha = office.service()
        office.estate.services.add_alphanumeric(alpha, "ACME")
        assert await office.failed(alpha, ALICE) == 21703
        assert await office.chosen(alpha, LONDONER) == "ACME"
        full = office.service(SAN_FRANCISCO)
        accounts, now_ms = office.rig.store.accounts, office.rig.clock.now_ms()
        accounts.put_number(replace(accounts.numbers[SAN_FRANCISCO], mps=1.0, updated_ms=now_ms))
        accounts.paces[SAN_FRANCISCO].occupy(now_ms, QUEUE_MS // 1000 + 2)
        assert await office.failed(full) == 30001
        office.estate.services.delete(office.estate.now(empty))
        assert await office.failed(empty) == 21701

    play(tmp_path, scene)


def test_where_ids_must_be_registered_the_account_is_told(tmp_path: Path) -> None:
    """30018, by the country: networks there may drop what is not registered."""

    async def scene(office: Office) -> None:
        service = office.estate.service("Shop")
        office.estate.services.add_alphanumeric(service, "Globex")
        service = office.estate.now(service)
        assert await office.chosen(service, "+919812345678") == "Globex"
        assert await office.chosen(service, LONDONER) == "Globex"
        assert office.told == [(1, 30018, "IN")]

    play(tmp_path, scene)


def test_a_person_who_opted_out_is_not_written_to(tmp_path: Path) -> None:
    """6.9: of the service, or of the very sender."""

    async def scene(office: Office) -> None:
        service = office.service(SAN_FRANCISCO)
        number = office.rig.store.accounts.numbers[SAN_FRANCISCO]
        account, alice = office.rig.account, Private(ALICE)
        for scope in (service.sid, number.sid):
            office.lists.add(account, alice, scope)
            assert await office.failed(service) == 21610
            assert await office.chosen(service, BOB) == SAN_FRANCISCO
            office.lists.remove(account, alice, scope)
        assert await office.chosen(service) == SAN_FRANCISCO

    play(tmp_path, scene)


# The second try, after a short code ---------------------------------------------------------

SHORT_CODE = "12345"


async def failed_short_code(office: Office, service: Service, to: str = ALICE) -> Message:
    """A message that went from the short code and came back as undelivered; rerouted by now."""
    message = office.message(
        service, to, status=Status.QUEUED, from_=Private(SHORT_CODE), callback=None,
        extras=Extras(fallback=True).sealed(),
        history=history_line("queued", office.rig.clock.now_ms()),
    )  # fmt: skip
    await office.rig.store.record([born(message, office.rig.clock.now_ms())])
    for fact in ("attempted", "handed"):
        change = advance(office.now(message), Fact(fact), office.rig.clock.now_ms())
        assert change is not None
        await office.rig.store.record([change])
    failed = Fact("undelivered", error_code=30005)
    change = advance(office.now(message), failed, office.rig.clock.now_ms())
    assert change is not None
    await office.rig.store.record([change])
    return message


def with_short_code(office: Office, *phones: str, **settings: object) -> Service:
    service = office.service(*phones, **settings)
    code = office.estate.short_codes.register(
        office.estate.caller, office.rig.account, SHORT_CODE, "US"
    )
    office.estate.services.add(service, "SC", code.sid)
    return office.estate.now(service)


def test_after_a_short_code_a_long_code_of_the_area_tries(tmp_path: Path) -> None:
    """It is sealed and found with its new sender, also after a restart; its SID stays."""
    found: list[tuple[int, str]] = []

    async def scene(office: Office) -> None:
        service = with_short_code(office, SAN_FRANCISCO, OAKLAND)
        message = await failed_short_code(office, service, "+15105559999")
        await asyncio.sleep(1)
        now = office.now(message)
        assert (now.status, now.from_) == (Status.QUEUED, Private(OAKLAND))
        assert [line.split()[0] for line in now.history.splitlines()] == [
            "queued", "attempted", "handed", "rerouted", "chosen",
        ]  # fmt: skip
        found.append((message.key, message.sid))

    async def later(office: Office) -> None:
        (message,) = office.rig.store.load([found[0][0]]).values()
        assert (message.sid, message.from_) == (found[0][1], Private(OAKLAND))
        assert message.attempt == 1

    play(tmp_path, scene)
    play(tmp_path, later)


def test_a_restart_before_the_second_choice_chooses_a_long_code(tmp_path: Path) -> None:
    keys: list[int] = []

    async def scene(office: Office) -> None:
        service = with_short_code(office, SAN_FRANCISCO)
        office.chooser.stop()
        keys.append((await failed_short_code(office, service)).key)

    async def later(office: Office) -> None:
        await asyncio.sleep(1)
        (message,) = office.rig.store.load(keys).values()
        assert (message.status, message.from_) == (Status.QUEUED, Private(SAN_FRANCISCO))

    async def at_last(office: Office) -> None:
        (message,) = office.rig.store.load(keys).values()
        assert message.from_ == Private(SAN_FRANCISCO), "it is written down"

    play(tmp_path, scene)
    play(tmp_path, later)
    play(tmp_path, at_last)


def test_without_a_long_code_the_failure_stands(tmp_path: Path) -> None:
    """No toll-free number, and nobody who opted out of the new sender, is tried."""

    async def scene(office: Office) -> None:
        service = with_short_code(office, "+18005550111")
        message = await failed_short_code(office, service)
        await asyncio.sleep(1)
        now = office.now(message)
        assert (now.status, now.error_code) == (Status.UNDELIVERED, 30005)
        number = office.estate.number(SAN_FRANCISCO)
        office.estate.services.add(office.estate.now(service), "PN", number.sid)
        office.lists.add(office.rig.account, Private(BOB), number.sid)
        message = await failed_short_code(office, office.estate.now(service), BOB)
        await asyncio.sleep(1)
        now = office.now(message)
        assert (now.status, now.error_code) == (Status.UNDELIVERED, 21610)

    play(tmp_path, scene)


def test_the_second_choice_comes_too_late(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        service = with_short_code(office, SAN_FRANCISCO)
        message = await failed_short_code(office, service)
        office.rig.clock.advance(FALLBACK_CAP_MS)
        await asyncio.sleep(1)
        now = office.now(message)
        assert (now.status, now.error_code) == (Status.UNDELIVERED, 30005)

    play(tmp_path, scene)


# Scheduled ----------------------------------------------------------------------------------


def test_a_scheduled_message_goes_at_its_time_and_not_before(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        service = office.service(SAN_FRANCISCO)
        at_ms = START_MS + 600_000
        message = await office.accept(
            service, status=Status.SCHEDULED, send_at_ms=at_ms, expires_ms=at_ms + 10_000
        )
        await asyncio.sleep((at_ms - office.rig.clock.now_ms() - 1) / 1000)
        assert office.now(message).status is Status.SCHEDULED
        await asyncio.sleep(1)
        assert office.now(message).status is Status.QUEUED
        chosen_ms = int(office.now(message).history.splitlines()[-1].split()[1])
        assert at_ms <= chosen_ms <= at_ms + 1_000

    play(tmp_path, scene)


def test_one_that_is_late_has_expired(tmp_path: Path) -> None:
    """The server was down from before its time until after its validity."""

    async def scene(office: Office) -> None:
        service = office.service(SAN_FRANCISCO)
        at_ms = START_MS + 600_000
        message = await office.accept(
            service, status=Status.SCHEDULED, send_at_ms=at_ms, expires_ms=at_ms + 10_000
        )
        office.rig.clock.advance(700_000)
        await asyncio.sleep(1)
        now = office.now(message)
        assert (now.status, now.error_code) == (Status.FAILED, 30036)

    play(tmp_path, scene)


def test_what_is_scheduled_is_counted_through_restarts(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        service = office.service(SAN_FRANCISCO)
        at_ms = START_MS + 600_000
        for n in range(3):
            await office.accept(
                service, f"+1415555{n:04d}", status=Status.SCHEDULED,
                send_at_ms=at_ms + n * 60_000, expires_ms=at_ms + 3_600_000,
            )  # fmt: skip
        await office.accept(service)

    async def later(office: Office) -> None:
        scheduled = office.estate.records.scheduled
        assert scheduled.of(office.rig.account.id) == 3
        office.rig.clock.advance(660_000)
        await asyncio.sleep(1)
        assert scheduled.of(office.rig.account.id) == 1

    play(tmp_path, scene)
    play(tmp_path, later)


def test_many_are_chosen_for_batch_by_batch(tmp_path: Path) -> None:
    """More than wait in memory, each exactly once, in few commits."""

    async def scene(office: Office) -> None:
        service = office.service(SAN_FRANCISCO, sticky_sender=False)
        count = MEMORY + 2 * BATCH
        for start in range(0, count, 500):
            await office.record(*(office.message(service) for _ in range(min(500, count - start))))
        before = office.rig.store.commits
        await asyncio.sleep(30)
        statuses = [row[5] for row in office.rig.rows("message")]
        assert statuses == [Status.QUEUED] * count
        assert office.rig.store.commits - before < 4 * count // BATCH
        assert office.chooser.busy() == 0

    play(tmp_path, scene)


def test_a_crash_before_the_commit_leaves_it_to_the_next_life(tmp_path: Path) -> None:
    async def first() -> None:
        rig = Rig(tmp_path)
        office = Office(rig)
        service = office.service(SAN_FRANCISCO)
        office.chooser.stop()  # it dies with the task in its hands
        await office.accept(service)
        assert office.chooser.busy() == 1
        await office.close()
        rig.die()

    simloop.run(first())

    async def later(office: Office) -> None:
        await asyncio.sleep(1)
        assert [row[5] for row in office.rig.rows("message")] == [Status.QUEUED]

    play(tmp_path, later)


def test_short_codes_go_before_numbers(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        service = office.service(SAN_FRANCISCO)
        code = ShortCode(
            sid="SC" + "1" * 32, account_id=office.rig.account.id, created_ms=START_MS,
            updated_ms=START_MS, digits="72345", country="US",
        )  # fmt: skip
        office.estate.records.owned.put(code)
        office.estate.services.add(office.estate.now(service), "SC", code.sid)
        assert await office.chosen(office.estate.now(service)) == "72345"
        assert await office.chosen(office.estate.now(service), LONDONER) == SAN_FRANCISCO

    play(tmp_path, scene)


def test_what_found_no_room_is_taken_from_the_table_once_there_is_some(tmp_path: Path) -> None:
    async def scene(office: Office) -> None:
        service, room = office.service(SAN_FRANCISCO), office.chooser.room
        office.chooser.room = lambda lane: 0  # type: ignore[method-assign]
        message = await office.accept(service)
        await asyncio.sleep(1)
        assert office.now(message).status is Status.ACCEPTED
        office.chooser.room = room  # type: ignore[method-assign]
        office.chooser._pump()  # it comes to the end of what it had
        await asyncio.sleep(1)
        assert office.now(message).status is Status.QUEUED

    play(tmp_path, scene)
