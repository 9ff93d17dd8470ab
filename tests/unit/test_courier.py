"""The outbox and its courier: at least once, a lane each, again by the table, bounded."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from io import StringIO
from pathlib import Path

import pytest

from hushwire.domain.backoff import CALLBACK_MS
from hushwire.observe import Journal
from hushwire.outbound import Answer, Failure, Limits
from hushwire.store import outbox as outbox_module
from hushwire.store.outbox import Draft, Parcel
from hushwire.store.records import Records
from hushwire.webhooks.courier import Courier, Letter
from rig import START_MS, Rig, play

OK, ERROR, GONE = Answer(204, {}, b""), Answer(500, {}, b""), Answer(410, {}, b"")


class Writer:
    """A letter names the subjects it tells of. A lane that is not in `urls` is nobody's."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.urls = {"XX1": "http://one.example.com/", "XX2": "http://two.example.com/"}

    def at_once(self, lane: str) -> int:
        return self.most

    def letter(self, lane: str, parcels: Sequence[Parcel]) -> Letter | None:
        url = self.urls.get(lane)
        body = " ".join(parcel.subject for parcel in parcels).encode()
        return Letter(url, {}, body) if url is not None else None


class World:
    """Outbox and courier before servers that answer with what `reply` says, after `takes_s`."""

    def __init__(self, rig: Rig, most: int = 1) -> None:
        self.rig = rig
        self.posts: list[tuple[int, str, str]] = []
        self.reply: Callable[[str], Answer | Failure] = lambda url: OK
        self.takes_s: dict[str, float] = {}
        self.writer = Writer(most)
        self.log = StringIO()
        self.open()

    def open(self) -> None:
        self.records = Records(self.rig.store)
        self.outbox = self.records.outbox
        self.courier = Courier(
            self.outbox,
            self,
            self.rig.clock,
            Journal(self.log),
            {"XX": self.writer},  # type: ignore[arg-type]
        )
        self.courier.start()

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, limits: Limits
    ) -> Answer | Failure:
        at_ms = self.rig.clock.now_ms() - START_MS
        self.posts.append((at_ms, url[7:10], body.decode()))
        await asyncio.sleep(self.takes_s.get(url, 0.01))
        return self.reply(url)

    def put(self, subject: str, lane: str = "XX1") -> None:
        self.outbox.put(Draft(lane, 1, subject, "", self.rig.clock.now_ms()))

    def subjects(self) -> list[str]:
        return [subject for _, _, subject in self.posts]

    async def stop(self) -> None:
        await self.courier.stop(1)
        await self.rig.settle()
        self.records.close()


def run(directory: Path, scene: Callable[[World], Awaitable[None]], most: int = 1) -> None:
    async def main(rig: Rig) -> None:
        world = World(rig, most)
        await scene(world)
        await world.stop()

    play(directory, main)


def test_each_is_posted_once_in_order_and_gone(tmp_path: Path) -> None:
    async def scene(w: World) -> None:
        for subject in "abc":
            w.put(subject)
        await asyncio.sleep(1)
        assert w.subjects() == ["a", "b", "c"]
        assert (w.rig.rows("outbox"), w.outbox.size(), w.courier.busy()) == ([], 0, 0)

    run(tmp_path, scene)


def test_what_waits_goes_together(tmp_path: Path) -> None:
    async def scene(w: World) -> None:
        for n in range(7):
            w.put(str(n))
        await asyncio.sleep(1)
        assert w.subjects() == ["0 1 2", "3 4 5", "6"]

    run(tmp_path, scene, most=3)


def test_a_failure_is_tried_again_by_the_table_and_then_given_up(tmp_path: Path) -> None:
    async def scene(w: World) -> None:
        w.reply = lambda url: ERROR
        w.put("a")
        await asyncio.sleep(sum(CALLBACK_MS) / 1000 + 100)
        waits = [later[0] - at[0] for at, later in zip(w.posts, w.posts[1:], strict=False)]
        assert len(waits) == len(CALLBACK_MS)
        assert all(
            0 <= got - wanted < 1_000 for got, wanted in zip(waits, CALLBACK_MS, strict=True)
        )
        assert (w.rig.rows("outbox"), w.outbox.size()) == ([], 0)

    run(tmp_path, scene)


def test_a_failure_holds_up_nothing_that_follows(tmp_path: Path) -> None:
    async def scene(w: World) -> None:
        w.reply = lambda url: ERROR if w.subjects()[-1] == "a" else OK
        w.put("a")
        w.put("b")
        await asyncio.sleep(1)
        assert w.subjects() == ["a", "b"]
        await asyncio.sleep(5)
        assert w.subjects() == ["a", "b", "a"]

    run(tmp_path, scene)


def test_a_slow_addressee_delays_nobody_else(tmp_path: Path) -> None:
    async def scene(w: World) -> None:
        w.takes_s["http://one.example.com/"] = 10.0
        w.put("a")
        w.put("b")
        w.put("c", "XX2")
        await asyncio.sleep(1)
        assert [(host, subject) for _, host, subject in w.posts] == [("one", "a"), ("two", "c")]
        assert w.courier.busy() == 1
        await asyncio.sleep(20)
        assert w.subjects() == ["a", "c", "b"]

    run(tmp_path, scene)


def test_what_was_not_answered_is_posted_by_the_next_start(tmp_path: Path) -> None:
    async def scene(w: World) -> None:
        w.takes_s["http://one.example.com/"] = 60.0
        w.put("a")
        await asyncio.sleep(1)
        await w.stop()
        w.takes_s.clear()
        w.open()
        assert w.outbox.size() == 1
        await asyncio.sleep(1)
        assert w.subjects() == ["a", "a"]
        assert w.rig.rows("outbox") == []

    run(tmp_path, scene)


@pytest.mark.parametrize("case", ["nobody", "gone"])
def test_what_nobody_wants_is_dropped(tmp_path: Path, case: str) -> None:
    async def scene(w: World) -> None:
        w.reply = lambda url: GONE
        w.put("a", "XX9" if case == "nobody" else "XX1")
        await asyncio.sleep(1)
        assert len(w.posts) == (case == "gone")
        assert w.rig.rows("outbox") == []

    run(tmp_path, scene)


def test_a_lane_is_bounded_and_others_are_not_touched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "PARCELS_MAX", 5)

    async def scene(w: World) -> None:
        w.reply = lambda url: ERROR
        for n in range(8):
            w.put(str(n))
        w.put("other", "XX2")
        assert (w.outbox.size(), w.outbox.lost) == (6, 3)
        await asyncio.sleep(1)
        assert w.subjects() == ["0", "other", "1", "2", "3", "4"]
        w.outbox.clear("XX1")
        w.put("again")
        assert w.outbox.lost == 3

    run(tmp_path, scene)


def test_a_defect_stops_one_lane_only(tmp_path: Path) -> None:
    async def scene(w: World) -> None:
        def reply(url: str) -> Answer:
            if "one" in url:
                raise RuntimeError
            return OK

        w.reply = reply
        w.put("a")
        w.put("b", "XX2")
        await asyncio.sleep(1)
        assert sorted(w.subjects()) == ["a", "b"]
        assert "RuntimeError" in w.log.getvalue()
        assert len(w.rig.rows("outbox")) == 1

    run(tmp_path, scene)
