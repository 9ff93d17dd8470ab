"""What few messages ask for: looked up, checked and written down when they are accepted."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from estate import Estate
from hushwire.actions.alerts import Alerts
from hushwire.actions.debugger import Debuggers
from hushwire.actions.messages import Limits, Messages, Particulars, SendMessage
from hushwire.actions.optouts import BlockLists
from hushwire.actions.outgoing import Outgoing, Own, _with_path
from hushwire.clock import SeededEntropy
from hushwire.domain.alert import Alert
from hushwire.domain.extras import Extras, extras_of
from hushwire.domain.holds import custody_of, holds
from hushwire.domain.message import Message, Status
from hushwire.domain.schedule import SCHEDULED_MAX
from hushwire.domain.task import TaskKind
from hushwire.errors import PROBLEMS, Refusal, Unavailable
from hushwire.outbound import Guard
from hushwire.private import Private
from hushwire.settings import CallbackProfile
from hushwire.store.listing import Listing
from hushwire.testing import simloop
from rig import ALICE, SENDER, Rig

HOUR_MS = 3_600_000


class Counter:
    """The action of sending, over the store of a rig."""

    def __init__(
        self, rig: Rig, *, honour_max_price: bool = False, profile: CallbackProfile = "current"
    ) -> None:
        self.rig = rig
        self.estate = estate = Estate(rig)
        records, entropy = estate.records, SeededEntropy(9)
        lists = BlockLists(
            records.optouts, rig.store, estate.services, estate.short_codes, rig.clock
        )
        guard = Guard(allow_loopback=True)
        debuggers = Debuggers(records.owned, records.outbox, guard, rig.clock, entropy)
        self.alerts = Alerts(records.entries, debuggers, rig.clock, entropy)
        self.listing = Listing(rig.path, rig.store.accounts, rig.slots)
        self.low = False
        messages = Messages(
            rig.store, self.listing, rig.clock, guard, rig.metrics,
            Limits(2_000, lambda: self.low, routable=True), lists.blocks, sandbox=True,
        )  # fmt: skip
        own = Own(
            estate.services, estate.short_codes, estate.applications, estate.contents,
            lists.blocks, self.alerts,
        )  # fmt: skip
        self.scheduled = records.scheduled
        self.outgoing = Outgoing(
            messages,
            rig.store,
            own,
            records.scheduled,
            rig.clock,
            honour_max_price=honour_max_price,
            profile=profile,
        )

    async def send(
        self, *, body: str = "Hello", from_: str | None = SENDER, callback: str | None = None,
        **asked: object,
    ) -> Message:  # fmt: skip
        wanted = SendMessage(
            to=Private(ALICE), from_=Private(from_) if from_ else None, body=Private(body),
            status_callback=Private(callback) if callback else None,
            particulars=Particulars(**asked),  # type: ignore[arg-type]
        )  # fmt: skip
        message, durable = self.outgoing.send(self.rig.account, wanted)
        await durable
        return message

    async def refused(self, **asked: object) -> str:
        with pytest.raises(Refusal) as caught:
            await self.send(**asked)  # type: ignore[arg-type]
        return caught.value.problem.name

    def later(self, service: str) -> dict[str, object]:
        at = datetime.fromtimestamp((self.rig.clock.now_ms() + HOUR_MS) / 1000, UTC)
        return {
            "from_": None, "service": service, "schedule_type": "fixed", "send_at": at.isoformat(),
        }  # fmt: skip

    def close(self) -> None:
        self.alerts.close()
        self.listing.close()
        self.estate.records.close()


Scene = Callable[[Counter], Awaitable[None]]


def play(
    directory: Path, scene: Scene, *, honour_max_price: bool = False,
    profile: CallbackProfile = "current",
) -> None:  # fmt: skip
    async def main() -> None:
        rig = Rig(directory)
        counter = Counter(rig, honour_max_price=honour_max_price, profile=profile)
        await scene(counter)
        counter.close()
        await rig.close()

    simloop.run(main())


def test_no_more_than_the_limit_are_scheduled(tmp_path: Path) -> None:
    """35125. What is sent, canceled, or never on the disk counts no longer."""

    async def scene(counter: Counter) -> None:
        service, account_id = counter.estate.service().sid, counter.rig.account.id
        first: Message = await counter.send(**counter.later(service))
        assert (first.status, counter.scheduled.of(account_id)) == (Status.SCHEDULED, 1)
        for _ in range(SCHEDULED_MAX - 1):
            counter.scheduled.add(account_id)
        assert await counter.refused(**counter.later(service)) == "schedule_limit"
        accepted = await counter.send(from_=None, service=service)
        assert accepted.status is Status.ACCEPTED, "others are as before"
        canceled = await counter.outgoing.cancel(first)
        assert canceled.status is Status.CANCELED
        assert counter.scheduled.of(account_id) == SCHEDULED_MAX - 1
        await counter.send(**counter.later(service))
        with pytest.raises(Refusal):
            await counter.outgoing.cancel(canceled)
        assert counter.scheduled.of(account_id) == SCHEDULED_MAX

    play(tmp_path, scene)


def test_what_the_disk_has_no_room_for_is_not_counted(tmp_path: Path) -> None:
    async def scene(counter: Counter) -> None:
        service = counter.estate.service().sid
        counter.low = True
        with pytest.raises(Unavailable):
            await counter.send(**counter.later(service))
        assert counter.scheduled.of(counter.rig.account.id) == 0
        refused = asyncio.get_running_loop().create_future()
        refused.set_exception(Unavailable("unavailable"))
        counter.scheduled.add(counter.rig.account.id)
        counter.outgoing._recorded(counter.rig.account.id, refused)
        assert counter.scheduled.of(counter.rig.account.id) == 0

    play(tmp_path, scene)


def test_a_scheduled_body_is_held_and_a_canceled_one_is_let_go(tmp_path: Path) -> None:
    async def scene(counter: Counter) -> None:
        service, now_ms = counter.estate.service().sid, counter.rig.clock.now_ms()
        wanted = SendMessage(
            to=Private(ALICE), from_=None, body=Private("Hello"), content_retention="discard",
            particulars=Particulars(
                **{k: v for k, v in counter.later(service).items() if k != "from_"}  # type: ignore[arg-type]
            ),
        )  # fmt: skip
        message, durable = counter.outgoing.send(counter.rig.account, wanted)
        await durable
        held = {hold.name for hold in holds(custody_of(message, callbacks_pending=False), now_ms)}
        assert held == {"schedule", "queue", "retain_address"}
        canceled = await counter.outgoing.cancel(message)
        held = {hold.name for hold in holds(custody_of(canceled, callbacks_pending=False), now_ms)}
        assert held == {"retain_address"}
        (task,) = [row for row in counter.rig.rows("task") if row[2] == TaskKind.REDACT]
        assert task[4] == canceled.updated_ms, "at once: no carrier can lose it"

    play(tmp_path, scene)


def test_a_max_price_is_kept_only_where_it_counts(tmp_path: Path) -> None:
    async def ignored(counter: Counter) -> None:
        message = await counter.send(max_price="0.01", idle=("MaxPrice",))
        assert message.extras is None
        alerts = counter.estate.records.entries.page(
            Alert, counter.rig.account.id, 0, 1 << 62, lambda alert: True, 10
        )
        assert [alert.detail for alert in alerts] == ["MaxPrice"]

    async def honoured(counter: Counter) -> None:
        message = await counter.send(max_price="0.01", idle=("MaxPrice",))
        assert extras_of(message.extras) == Extras(max_price="0.01")
        alerts = counter.estate.records.entries.page(
            Alert, counter.rig.account.id, 0, 1 << 62, lambda alert: True, 10
        )
        assert list(alerts) == []
        assert await counter.refused(max_price="-1") == "max_price_invalid"

    play(tmp_path / "a", ignored)
    play(tmp_path / "b", honoured, honour_max_price=True)


@pytest.mark.parametrize(
    ("pool", "settings", "tries"),
    [
        (("12345", SENDER), {}, True),
        (("12345", SENDER), {"fallback_to_long_code": False}, False),
        (("12345",), {}, False),
        ((SENDER,), {}, False),
    ],
)
def test_a_long_code_may_try_where_there_is_one_and_a_short_code(
    tmp_path: Path, pool: tuple[str, ...], settings: dict[str, bool], tries: bool
) -> None:
    """The message knows it itself: it is decided when it is accepted."""

    async def scene(counter: Counter) -> None:
        estate = counter.estate
        service = estate.service(**settings)
        for address in pool:
            if address == SENDER:
                sid = counter.rig.store.accounts.numbers[SENDER].sid
                estate.services.add(estate.now(service), "PN", sid)
            else:
                code = estate.short_codes.register(estate.caller, estate.account, address, "US")
                estate.services.add(estate.now(service), "SC", code.sid)
        message = await counter.send(from_=None, service=service.sid)
        assert extras_of(message.extras).fallback is tries
        assert (message.extras is None) is not tries, "others hold nothing for it"

    play(tmp_path, scene)


@pytest.mark.parametrize("profile", ["current", "2021"])
def test_who_is_told_of_a_message_that_names_a_callback_and_an_application(
    tmp_path: Path, profile: CallbackProfile
) -> None:
    """T-19, T-20, C-2: by either text of Twilio's; an application without a URL has no say."""
    own, applications = "https://example.com/own", "https://example.com/application"

    async def scene(counter: Counter) -> None:
        made = counter.estate.applications.create(
            counter.rig.account, {"message_status_callback": applications}
        )
        silent = counter.estate.applications.create(counter.rig.account, {})
        for callback, application, told in (
            (own, made.sid, own if profile == "current" else applications),
            (own, silent.sid, own),
            (own, None, own),
            (None, made.sid, applications),
            (None, silent.sid, None),
        ):
            message = await counter.send(callback=callback, application=application)
            found = message.callback.reveal() if message.callback is not None else None
            assert found == told

    play(tmp_path, scene, profile=profile)


def test_checks_come_in_the_order_of_the_plain_case(tmp_path: Path) -> None:
    """What is wrong with the rest is told before what is not there."""

    async def scene(counter: Counter) -> None:
        nobodys = "MG" + "0" * 32
        assert await counter.refused(service=nobodys, body="x" * 1_601) == "body_too_long"
        assert await counter.refused(service=nobodys) == "service_not_found"
        assert await counter.refused(from_="+14155559999", content="HX" + "0" * 32) == (
            "from_not_owned"
        )
        assert await counter.refused(
            lacking=("parameter_not_supported", "X"), body="x" * 1_601
        ) == ("body_too_long")
        assert await counter.refused(lacking=("parameter_not_supported", "X")) == (
            "parameter_not_supported"
        )
        assert PROBLEMS["parameter_not_supported"].code == 20422

    play(tmp_path, scene)


@pytest.mark.parametrize(
    ("url", "seen"),
    [
        ("https://example.com/a?b", "https://example.com/a?b"),
        ("https://example.com", "https://example.com/"),
        ("HTTPS://u:p@example.com:8443?a=/b", "HTTPS://u:p@example.com:8443/?a=/b"),
        ("https://example.com#rc=2", "https://example.com/#rc=2"),
    ],
)
def test_a_path_that_is_left_out_is_written_down(url: str, seen: str) -> None:
    """6.6: it is signed as its server sees it."""
    assert _with_path(url) == seen
