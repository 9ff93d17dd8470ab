"""Sync out: a copy that follows the lines is the same as the backend, whatever happens meanwhile.

A backend is played message by message on a clock of its own: as a Hushwire server, with a list
of tombstones, and as Twilio's cloud, which has none and knows no page that begins at a message
that is gone.
"""

import asyncio
import json
from collections.abc import Callable
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from random import Random
from typing import Any

import httpx
import pytest

from hushwire.connect.credentials import Basic
from hushwire.connect.refused import Refused
from hushwire.connect.run import Connected
from hushwire.connect.sync import Chunk, Note, sync
from hushwire.connect.sync_config import read_plan
from hushwire.connect.sync_state import SEEN_MAX, Seen, kept, read_state
from hushwire.connect.wire import CLOUD, Wire
from hushwire.private import Private

SID, SUB = "AC" + "0" * 32, "AC" + "1" * 32
ALICE, OWN = "+14155550123", "+15005550006"
BEGAN = datetime(2026, 11, 1, tzinfo=UTC)
GONE = "_sdc_deleted_at"

Record = dict[str, Any]


class World:
    """A backend with one account, on a clock of its own."""

    def __init__(self, seed: int = 0, *, cloud: bool = False) -> None:
        self.random = Random(seed)
        self.cloud = cloud
        self.now = BEGAN
        self.messages: dict[str, Record] = {}
        self.tombstones: list[Record] = []
        self.asked: list[str] = []
        self.meanwhile: Callable[[], object] = lambda: None  # between two requests
        self.refuses: dict[str, int] = {}  # path begins so → with which status
        self.account: Record = {"sid": SID, "status": "active", "date_updated": self.date()}
        self._count = 0

    def date(self) -> str:
        return format_datetime(self.now)

    # -- what happens ---------------------------------------------------------------------

    def make(self, status: str = "delivered", **changes: Any) -> str:
        self._count += 1
        sid = f"SM{self._count * 7919 % 999_983:032x}"  # in no order
        self.messages[sid] = {
            "sid": sid, "account_sid": SID, "status": status, "direction": "outbound-api",
            "to": ALICE, "from": OWN, "body": f"text {self._count}", "num_segments": "1",
            "price": None, "date_created": self.date(), "date_updated": self.date(),
            "date_sent": None if status == "queued" else self.date(), **changes,
        }  # fmt: skip
        return sid

    def change(self, sid: str, **changes: Any) -> None:
        self.messages[sid].update(changes, date_updated=self.date())

    def redact(self, sid: str) -> None:
        self.messages[sid]["body"] = ""  # its date stays: nothing of its life has changed
        self._bury(sid, "content")

    def delete(self, sid: str) -> None:
        del self.messages[sid]
        self._bury(sid, "message")

    def _bury(self, sid: str, part: str) -> None:
        self.tombstones.append({
            "sid": sid, "account_sid": SID, "deleted_at": self.now.isoformat(),
            "forgotten": [part], "reason": "request",
        })  # fmt: skip

    def happen(self) -> None:
        """Anything, some seconds later."""
        self.now += timedelta(seconds=self.random.choice((0, 0, 1, 7, 90, 3000)))
        known = list(self.messages)
        what = self.random.random()
        if what < 0.4 or not known:
            self.make(self.random.choice(("queued", "sent", "delivered")))
            return
        sid = self.random.choice(known)
        if what < 0.65:
            self.change(sid, status="delivered", date_sent=self.messages[sid]["date_sent"])
        elif what < 0.75:
            self.change(sid, price="-0.00750")
        elif what < 0.87:
            self.redact(sid)
        else:
            self.delete(sid)

    # -- the API --------------------------------------------------------------------------

    def connected(self, **more: Any) -> Connected:
        url = CLOUD if self.cloud else "http://backend"
        transport = httpx.MockTransport(self._answer)
        return Connected(Wire(url, Basic(SID, Private("x")), transport=transport), SID, **more)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        self.asked.append(f"{path}?{request.url.query.decode()}")
        self.meanwhile()
        for start, status in self.refuses.items():
            if path.startswith(start):
                return _problem(status)
        if path == "/2010-04-01/Accounts.json":
            return _page(path, "accounts", [self.account], None)
        if path == f"/2010-04-01/Accounts/{SID}/Messages.json":
            return self._list(path, request.url.params)
        if path == f"/hushwire/v1/accounts/{SID}/tombstones" and not self.cloud:
            return self._tombstones(request.url.params)
        message = self.messages.get(path.removesuffix(".json").rpartition("/")[2])
        return _problem(404) if message is None else httpx.Response(200, json=message)

    def _list(self, path: str, params: httpx.QueryParams) -> httpx.Response:
        """Newest first. The cloud orders by when it was sent, and finds its place by SID."""
        key = (lambda m: _at(m["date_sent"] or m["date_created"])) if self.cloud else (
            lambda m: _at(m["date_created"]))  # fmt: skip
        order = sorted(self.messages.values(), key=lambda m: (key(m), m["sid"]), reverse=True)
        token, size = params.get("PageToken"), int(params["PageSize"])
        if token is not None:
            at, _, sid = token.partition(".")
            if self.cloud and sid not in self.messages:
                return _problem(400)
            order = [m for m in order if (key(m), m["sid"]) < (int(at), sid)]
        page, more = order[:size], len(order) > size
        last = f"{key(page[-1])}.{page[-1]['sid']}" if page else ""
        uri = f"{path}?PageSize={size}&Page=1&PageToken={last}"
        return _page(path, "messages", page, uri if more else None)

    def _tombstones(self, params: httpx.QueryParams) -> httpx.Response:
        end = len(self.tombstones)
        if params["After"] == "newest":
            return httpx.Response(200, json={"tombstones": [], "after": end, "more": False})
        start = int(params["After"])
        stop = min(end, start + 2)  # small pages: more of them
        content = {"tombstones": self.tombstones[start:stop], "after": stop, "more": stop < end}
        return httpx.Response(200, json=content)


def _at(date: str) -> int:
    return int(datetime.strptime(date, "%a, %d %b %Y %H:%M:%S %z").timestamp())


def _page(path: str, key: str, records: list[Record], following: str | None) -> httpx.Response:
    return httpx.Response(
        200, json={key: records, "first_page_uri": path, "next_page_uri": following}
    )


def _problem(status: int) -> httpx.Response:
    error = {"code": 20000 + status, "message": "No", "status": status, "more_info": ""}
    return httpx.Response(status, json=error)


class Copy:
    """What a target makes of the lines: rows are replaced, and what is deleted goes for good."""

    def __init__(self) -> None:
        self.rows: dict[str, Record] = {}
        self.state: Any = None
        self.records: list[Record] = []  # of messages, of the last run
        self.notes: list[str] = []
        self.states = 0

    def take(self, lines: bytes) -> None:
        for line in lines.splitlines():
            said = json.loads(line)
            if said["type"] == "STATE":
                self.state = said["value"]
                self.states += 1
            elif said["type"] == "RECORD" and said["stream"] == "messages":
                self._record(said["record"])

    def _record(self, record: Record) -> None:
        self.records.append(record)
        if record.get(GONE):
            self.rows.pop(record["sid"], None)
        else:
            self.rows[record["sid"]] = record

    @property
    def graves(self) -> dict[str, list[str]]:
        return {record["sid"]: record["forgotten"] for record in self.records if record.get(GONE)}

    def told(self) -> list[str]:
        return [record["sid"] for record in self.records if not record.get(GONE)]


def run(
    world: World, copy: Copy, *, until: int | None = None, connection: dict[str, Any] | None = None,
    **config: Any,
) -> Copy:  # fmt: skip
    """One run; killed after `until` chunks, if that is given."""

    async def go() -> None:
        connected = world.connected(**(connection or {}))
        asked = {"view": "full", "page_size": 3, "lookback_days": 30, **config}
        plan = read_plan(asked, None, connected.view, b"", world.now)
        state = read_state(json.loads(json.dumps(copy.state)))
        chunks = 0
        async with aclosing(sync(connected, plan, state, world.now)) as all_told:
            async for told in all_told:
                if isinstance(told, Note):
                    copy.notes.append(told.text)
                    continue
                assert isinstance(told, Chunk)
                copy.take(told.lines)
                chunks += 1
                if chunks == until:
                    return

    copy.records, copy.notes, copy.states = [], [], 0
    asyncio.run(go())
    return copy


def same(world: World, copy: Copy) -> bool:
    """Has the copy each message as it is?"""

    def seen(record: Record) -> tuple[Any, ...]:
        return record["status"], record["body"], record["price"]

    return {sid: seen(m) for sid, m in world.messages.items()} == {
        sid: seen(row) for sid, row in copy.rows.items()
    }


@pytest.mark.parametrize("cloud", [False, True])
@pytest.mark.parametrize("seed", range(40))
def test_a_copy_becomes_the_same(seed: int, cloud: bool) -> None:
    """Messages arrive, change and go between requests; runs are killed anywhere. In the end
    nothing is missing and nothing too much (erasure-safe cursors, tombstones)."""
    world, copy = World(seed, cloud=cloud), Copy()
    for _ in range(12):
        world.make()
    world.meanwhile = world.happen
    for _ in range(12):
        run(world, copy, until=world.random.choice((None, 1, 2, 3, 4, 6, 9)))
        for _ in range(world.random.randrange(6)):
            world.happen()
    world.meanwhile = lambda: None
    run(world, copy)
    assert same(world, copy), (seed, cloud)
    run(world, copy)
    assert (copy.records, copy.states) == ([], 1)


def test_each_that_went_has_a_tombstone() -> None:
    """What is deleted while a run is at it, the next run tells; with when and why."""
    world, copy = World(), Copy()
    sids = [world.make() for _ in range(9)]
    victims = iter(sids[::2])

    def erase() -> None:
        world.now += timedelta(seconds=30)
        sid = next(victims, None)
        if sid is not None and sid in world.messages:
            world.delete(sid)

    run(world, copy)
    world.meanwhile = erase
    run(world, copy)
    world.meanwhile = lambda: None
    first = copy.graves
    run(world, copy)
    gone = {sid: ["message"] for sid in sids if sid not in world.messages}
    assert len(gone) > 3
    assert {**first, **copy.graves} == gone
    assert all(record["reason"] == "request" for record in copy.records)
    assert same(world, copy)


def test_a_redacted_row_is_told_again_without_its_text() -> None:
    """Also where the row is older than the lookback, and its date tells nothing."""
    world, copy = World(), Copy()
    old = world.make()
    world.now += timedelta(days=60)
    new = world.make()
    run(world, copy)
    for sid in (old, new):
        world.redact(sid)
    run(world, copy, lookback_days=1)
    assert copy.graves == {old: ["content"], new: ["content"]}
    assert sorted(copy.told()) == sorted((old, new))
    assert (copy.rows[old]["body"], copy.rows[new]["body"]) == ("", "")
    assert copy.rows[old][GONE] is None


def test_who_is_cut_off_after_a_tombstone_tells_the_row_again() -> None:
    """The place in the list of tombstones is kept only with the rest of the rows."""
    world, copy = World(), Copy()
    sid = world.make()
    run(world, copy)
    world.redact(sid)
    run(world, copy, until=3)
    assert (copy.graves, sid in copy.rows) == ({sid: ["content"]}, False)
    run(world, copy)
    assert copy.rows[sid]["body"] == ""


def test_what_is_open_is_read_until_it_is_final() -> None:
    """A message that waits for weeks is read by its SID, though no list goes back so far."""
    world, copy = World(), Copy()
    scheduled = world.make("queued")
    world.now += timedelta(days=20)
    for _ in range(5):
        world.make()
    run(world, copy)
    assert run(world, copy, lookback_days=1).told() == []
    world.change(scheduled, status="delivered")
    assert run(world, copy, lookback_days=1).told() == [scheduled]
    world.asked.clear()
    run(world, copy, lookback_days=1)
    assert not any(scheduled in path for path in world.asked)


def test_sent_settles() -> None:
    """Where no receipt comes, `sent` is the end: it is not read for ever."""
    world, copy = World(), Copy()
    sid = world.make("sent")
    world.now += timedelta(days=20)
    world.make()
    run(world, copy)
    run(world, copy, lookback_days=1)
    world.asked.clear()
    run(world, copy, lookback_days=1)
    assert not any(sid in path for path in world.asked)


def test_only_pages_within_the_lookback_are_read() -> None:
    world, copy = World(), Copy()
    for _ in range(60):
        world.make()
        world.now += timedelta(hours=12)
    run(world, copy)
    assert len(copy.told()) == 60
    world.asked.clear()
    run(world, copy, lookback_days=3)
    lists = [path for path in world.asked if "/Messages.json" in path]
    assert len(lists) == 3  # seven messages are within it


def test_a_run_goes_on_where_it_was_cut_off() -> None:
    world, copy = World(), Copy()
    for _ in range(30):
        world.make()
        world.now += timedelta(minutes=1)
    run(world, copy, until=5)
    before = set(copy.told())
    assert 0 < len(before) < 30
    world.delete(next(sid for sid in reversed(world.messages) if sid in before))
    run(world, copy)
    assert before.isdisjoint(copy.told())
    assert same(world, copy)


def test_a_page_that_is_not_taken_any_more_begins_at_the_top() -> None:
    """Nothing depends on a SID that is still there."""
    world, copy = World(cloud=True), Copy()
    for _ in range(12):
        world.make()
        world.now += timedelta(minutes=1)
    run(world, copy, until=4)
    anchor = copy.state["messages"][SID]["scan"]["next"].rpartition(".")[2]
    world.delete(anchor)
    run(world, copy)
    assert same(world, copy)


def test_a_page_that_fails_is_where_to_go_on() -> None:
    world, copy = World(), Copy()
    for _ in range(9):
        world.make()
        world.now += timedelta(minutes=1)
    requests = iter(range(100))

    def fail() -> None:
        if next(requests) == 4:
            world.refuses["/"] = 500

    world.meanwhile = fail
    with pytest.raises(Refused):
        run(world, copy)
    assert copy.state["messages"][SID]["scan"]["next"]
    world.refuses.clear()
    run(world, copy)
    assert same(world, copy)


def test_the_clamp_is_told() -> None:
    """400 days: said, not silent; and so is a gap that cannot be filled any more."""
    world, copy = World(), Copy()
    world.make()
    run(world, copy, start_date="2020-01-01")
    assert copy.notes == [
        "start_date 2020-01-01 is beyond what the API shows: it begins with 2025-09-27, 400 days "
        "ago"
    ]
    world.now += timedelta(days=500)
    run(world, copy)
    assert copy.notes == [
        f"messages of {SID} were synced until 2026-11-01T00:00:00Z: those from then to "
        "2027-02-09T00:00:00Z cannot be read any more"
    ]


def test_start_date() -> None:
    world, copy = World(), Copy()
    world.make()
    world.now += timedelta(days=3)
    second = world.make()
    run(world, copy, start_date="2026-11-02")
    assert copy.told() == [second]


def test_two_runs_at_once_write_nothing_of_each_other() -> None:
    """Each has a state of its own; a copy that takes both is the same."""
    world = World(3)
    for _ in range(20):
        world.make()
    first, second = Copy(), Copy()
    run(world, first)
    second.state = first.state
    second.rows = dict(first.rows)
    world.meanwhile = world.happen
    run(world, first)
    run(world, second)
    world.meanwhile = lambda: None
    both = Copy()
    both.rows = {**first.rows, **second.rows}
    both.state = first.state
    run(world, both)
    assert same(world, both)


def test_what_a_connection_may_not() -> None:
    """Scopes are looked at before any call; without the accounts the rest is told, not silent."""
    world, copy = World(), Copy()
    sid = world.make()
    may = {"scopes": frozenset({"messages.list", "messages.read"}), "name": "reader"}
    run(world, copy, connection=may)
    assert copy.told() == [sid]
    assert copy.notes == [
        "accounts are left out, and subaccounts: connection 'reader' lacks the scope "
        "accounts.list: list accounts needs it"
    ]
    world.asked.clear()
    with pytest.raises(Refused) as refused:
        run(world, copy, connection={**may, "scopes": frozenset({"messages.read"})})
    assert refused.value.code == 70051
    assert world.asked == []


def test_an_account_that_may_not_be_read_is_left_out() -> None:
    world, copy = World(), Copy()
    sid = world.make()
    world.refuses[f"/2010-04-01/Accounts/{SUB}"] = 404
    run(world, copy, account_sids=[SUB, SID])
    assert copy.told() == [sid]
    assert copy.notes == [f"messages of {SUB} are left out: No"]


def test_a_state_that_is_none_is_refused() -> None:
    for wrong in ({"version": 7}, {"messages": 7}, {"bookmarks": {}, "version": 2}):
        with pytest.raises(Refused) as refused:
            read_state(wrong)
        assert refused.value.field == "state"
    assert read_state(None) == read_state({})


def test_the_state_holds_nothing_private() -> None:
    world, copy = World(), Copy()
    world.make("queued", body="a secret")
    run(world, copy)
    shown = json.dumps(copy.state)
    assert "secret" not in shown
    assert "555" not in shown


def test_of_what_is_finished_only_so_much_is_remembered() -> None:
    opened = {"SMopen": Seen(0, 0, True, True, "")}
    finished = {f"SM{at}": Seen(at, at, False, True, "") for at in range(SEEN_MAX + 10)}
    found = kept({**finished, **opened}, since=0, floor=0)
    assert len(found) == SEEN_MAX + 1
    assert "SMopen" in found
    assert "SM9" not in found
    assert kept(finished, since=SEEN_MAX + 9, floor=1 << 62).keys() == {f"SM{SEEN_MAX + 9}"}


def test_what_shows_itself_late_is_told() -> None:
    """A commit may end after a younger one: the next run looks some seconds further back."""
    world, copy = World(), Copy()
    world.make()
    early = world.now
    world.now += timedelta(seconds=40)
    world.make()
    run(world, copy)
    late = world.make()
    date = format_datetime(early)
    world.messages[late].update(date_created=date, date_updated=date, date_sent=date)
    assert run(world, copy).told() == [late]
