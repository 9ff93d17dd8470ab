"""The worker that fetches media: in time, again, in its lane, and neither lost nor doubled."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from io import StringIO
from pathlib import Path

import pytest
from msgspec.structs import replace

from hushwire.actions.downloads import Downloads
from hushwire.dispatch.fetch import AT_ONCE, OF_A_LANE, TRIES, Fetcher, MediaHolds
from hushwire.dispatch.lanes import Lanes
from hushwire.domain.callback import endpoint_lane
from hushwire.domain.message import Change, Direction, Message, Status
from hushwire.domain.mms import as_mms
from hushwire.domain.task import Task, TaskKind
from hushwire.errors import Unavailable
from hushwire.observe import Journal
from hushwire.outbound import Answer, Failure, Limits
from hushwire.private import Private
from hushwire.store.sweep import sweep
from media_rig import FILES, Shelf, arm, crash, play
from picture_host import GIF, PNG
from rig import kinds

URLS = ("http://one.example.com/cat.png", "http://one.example.com/wave.gif")
GOOD = {
    URLS[0]: Answer(200, {b"content-type": b"image/png"}, PNG),
    URLS[1]: Answer(200, {b"content-type": b"image/gif"}, GIF),
}
Serve = Callable[[str], Awaitable[Answer | Failure]]


class Web:
    """The servers that media come from."""

    def __init__(self, serve: Serve | None = None) -> None:
        self.serve = serve
        self.asked: list[str] = []
        self.limits: list[Limits] = []

    async def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes, limits: Limits
    ) -> Answer | Failure:
        assert (method, dict(headers), body) == ("GET", {}, b"")
        self.asked.append(url)
        self.limits.append(limits)
        return GOOD[url] if self.serve is None else await self.serve(url)


class Submitted:
    """The dispatcher's place: what was handed on."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def room(self, lane: int) -> int:
        return 1_000

    def feed(self, task: Task, message: Message) -> None:
        self.messages.append(message)

    def forget(self, record: int) -> None:
        return


class Post:
    """Store, lanes and the fetcher, before the web."""

    def __init__(self, shelf: Shelf, web: Web) -> None:
        self.shelf = shelf
        self.log = StringIO()
        self.submitted = Submitted()
        self.lanes = Lanes(shelf.store, shelf.clock)
        downloads = Downloads(shelf.table, web)
        self.fetcher = Fetcher(
            shelf.store, shelf.table, downloads, shelf.clock, Journal(self.log),
            drained=self.lanes.wake,
        )  # fmt: skip
        self.lanes.workers = {
            TaskKind.FETCH: self.fetcher, TaskKind.SUBMIT: self.submitted,
            TaskKind.MEDIA: MediaHolds(
                shelf.store, shelf.table, shelf.custodian, shelf.clock
            ),
        }  # fmt: skip
        shelf.store.release_held()
        shelf.store.outlet = self.lanes
        self.lanes.start()
        self.running = asyncio.create_task(self.lanes.run())

    async def accept(self, *urls: str, **changes: object) -> Message:
        message = as_mms(self.shelf.message(callback=None, **changes), list(map(Private, urls)))
        await self.shelf.accept_as(message)
        return message

    async def quiet(self) -> None:
        """Until nothing is under way now, and all is on the disk."""
        await asyncio.sleep(0)
        while self.fetcher.busy() or self.shelf.store.pending() or self.lanes.busy():
            await asyncio.sleep(0.001)

    def now(self, message: Message) -> Message:
        found = self.shelf.store.latest(message.key)
        assert found is not None
        return found

    async def stop(self) -> None:
        await self.fetcher.stop()
        self.running.cancel()


def at_the_post(directory: Path, web: Web, scene: Callable[[Post], Awaitable[None]]) -> None:
    async def main(shelf: Shelf) -> None:
        post = Post(shelf, web)
        await scene(post)
        await post.quiet()
        await post.stop()

    play(directory, main)


def test_media_are_fetched_in_order_and_the_message_goes_on(tmp_path: Path) -> None:
    web = Web()

    async def scene(post: Post) -> None:
        message = await post.accept(*URLS)
        await post.quiet()
        (submitted,) = post.submitted.messages
        assert submitted.key == message.key
        assert submitted.status is Status.QUEUED
        assert submitted.history.splitlines()[-1].startswith("fetched ")
        media = post.shelf.table.of(message.key)
        assert [await post.shelf.read(medium) for medium in media] == [PNG, GIF]
        assert web.asked == [*URLS]
        left = [limits.max_bytes for limits in web.limits]
        assert left == [5_242_880, 5_242_880 - len(PNG)], "what is left of 5 MB"

    at_the_post(tmp_path, web, scene)


def serving(answer: Answer | Failure) -> Serve:
    async def serve(url: str) -> Answer | Failure:
        return GOOD[url] if url == URLS[0] else answer

    return serve


@pytest.mark.parametrize(
    ("answer", "tries", "code"),
    [
        (Answer(404, {}, b"no"), 1, 11200),
        (Answer(204, {}, b""), 1, 11200),
        (Answer(206, {b"content-type": b"image/gif"}, GIF), 1, 11200),
        (Failure("refused_by_guard", "address"), 1, 11200),
        (Failure("redirects"), 1, 11200),
        (Failure("protocol"), 1, 11200),
        (Failure("too_large"), 1, 11200),
        (Failure("tls"), 1, 11200),
        (Failure("timeout_read"), TRIES, 11200),
        (Failure("resolve"), TRIES, 11200),
        (Failure("closed"), TRIES, 11200),
        (Answer(503, {}, b"later"), TRIES, 11200),
        (Answer(429, {}, b"later"), TRIES, 11200),
        (Answer(200, {b"content-type": b"text/html"}, b"<html>"), 1, 12300),
        (Answer(200, {b"content-type": b"image/gif"}, b"<html>"), 1, 12300),
        (Answer(200, {b"content-type": b"image/gif"}, GIF, cut=True), 1, 11751),
        (Answer(200, {b"content-type": b"image/gif"}, b"", cut=True), 1, 11751),
    ],
)
def test_what_cannot_be_had_fails_the_message(
    tmp_path: Path, answer: Answer | Failure, tries: int, code: int
) -> None:
    """5.7: 11200, 12300 or 11751; what may pass is tried three times. Nothing is kept of it."""
    web = Web(serving(answer))

    async def scene(post: Post) -> None:
        message = await post.accept(*URLS)
        await asyncio.sleep(10)
        await post.quiet()
        failed = post.now(message)
        assert (failed.status, failed.error_code) == (Status.FAILED, code)
        assert web.asked == [*URLS] * tries
        assert post.submitted.messages == []
        assert post.shelf.table.of(message.key) == []
        assert post.shelf.files() == set()
        assert all("example.com" not in line for line in post.log.getvalue().splitlines())

    at_the_post(tmp_path, web, scene)


def test_what_passes_is_tried_again(tmp_path: Path) -> None:
    async def serve(url: str) -> Answer | Failure:
        return Failure("timeout_read") if len(web.asked) < 2 else GOOD[url]

    web = Web(serve)

    async def scene(post: Post) -> None:
        message = await post.accept(URLS[0])
        await asyncio.sleep(10)
        assert post.now(message).status is Status.QUEUED
        assert [found.key for found in post.submitted.messages] == [message.key]

    at_the_post(tmp_path, web, scene)


def test_our_own_trouble_is_waited_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as the message is good: a bucket that does not answer is no fault of a URL."""

    async def scene(post: Post) -> None:
        down = asyncio.get_running_loop().time() + 600

        async def put(name: str, content: object) -> None:
            if asyncio.get_running_loop().time() < down:
                raise Unavailable("unavailable")
            await real(name, content)  # type: ignore[arg-type]

        real = post.shelf.objects.put
        monkeypatch.setattr(post.shelf.objects, "put", put)
        message, late = (
            await post.accept(URLS[0]),
            await post.accept(URLS[0], expires_ms=post.shelf.clock.now_ms() + 60_000),
        )
        await asyncio.sleep(2_000)
        assert [found.key for found in post.submitted.messages] == [message.key]
        assert post.now(late).error_code == 30036
        assert "obstore" in post.log.getvalue()

    at_the_post(tmp_path, Web(), scene)


def test_a_message_that_expired_is_not_fetched_for(tmp_path: Path) -> None:
    web = Web()

    async def scene(post: Post) -> None:
        message = await post.accept(URLS[0], expires_ms=post.shelf.clock.now_ms())
        await post.quiet()
        assert post.now(message).error_code == 30036
        assert web.asked == []

    at_the_post(tmp_path, web, scene)


def test_a_slow_server_has_its_share_and_no_more(tmp_path: Path) -> None:
    """Four at once from one server, whatever waits for it; the others go ahead."""
    released = asyncio.Event()

    async def serve(url: str) -> Answer | Failure:
        if "slow" in url:
            open_[0] += 1
            most[0] = max(most[0], open_[0])
            await released.wait()
            open_[0] -= 1
        return GOOD[URLS[0]]

    open_, most = [0], [0]

    async def scene(post: Post) -> None:
        slow = [await post.accept("http://slow.example.com/a.png") for _ in range(20)]
        fast = [await post.accept(f"http://fast{n}.example.com/a.png") for n in range(30)]
        await asyncio.sleep(1)
        assert {found.key for found in post.submitted.messages} == {m.key for m in fast}
        assert most == [OF_A_LANE]
        released.set()
        await asyncio.sleep(1)
        assert len(post.submitted.messages) == len(slow) + len(fast)
        assert most == [OF_A_LANE]

    at_the_post(tmp_path, Web(serve), scene)


def test_a_crowd_is_fetched_for_in_turn(tmp_path: Path) -> None:
    async def serve(url: str) -> Answer | Failure:
        open_[0] += 1
        most[0] = max(most[0], open_[0])
        await asyncio.sleep(0.5)
        open_[0] -= 1
        return GOOD[URLS[0]]

    open_, most = [0], [0]

    async def scene(post: Post) -> None:
        for n in range(50):
            await post.accept(f"http://{n}.example.com/a.png")
        await asyncio.sleep(60)
        assert len(post.submitted.messages) == 50
        assert most == [AT_ONCE]

    at_the_post(tmp_path, Web(serve), scene)


def test_all_files_of_a_message_have_a_minute(tmp_path: Path) -> None:
    async def serve(url: str) -> Answer | Failure:
        await asyncio.sleep(web.limits[-1].total_ms / 1000 - 1)
        return GOOD[URLS[0]]

    web = Web(serve)

    async def scene(post: Post) -> None:
        await post.accept(*(URLS[0],) * 5)
        await asyncio.sleep(65)
        assert len(web.asked) > 2, "it is tried once more"
        assert sum(limits.total_ms for limits in web.limits[:3]) <= 63_000

    at_the_post(tmp_path, web, scene)


@pytest.mark.parametrize("point", ["media.stored", "media.fetched", "store.vault_written"])
def test_a_crash_before_the_commit_fetches_anew(tmp_path: Path, point: str) -> None:
    """The first fetch leaves objects that nothing opens; the sweep takes them away."""

    async def first(shelf: Shelf) -> None:
        post = Post(shelf, Web())
        message = as_mms(shelf.message(callback=None), list(map(Private, URLS)))
        keys.append(message.key)
        done = shelf.accept_as(message)
        if point == "store.vault_written":
            await done
        arm()
        await done
        await post.quiet()

    async def second(shelf: Shelf) -> None:
        post = Post(shelf, Web())
        await asyncio.sleep(1)
        assert [found.key for found in post.submitted.messages] == keys
        media = shelf.table.of(keys[0])
        assert [await shelf.read(medium) for medium in media] == [PNG, GIF]
        await sweep(shelf.store, shelf.path, shelf.slots)
        await shelf.table.sweep()
        await shelf.quiet()
        assert shelf.files() == {medium.name for medium in media}
        await post.stop()

    keys: list[int] = []
    crash(tmp_path, point, first)
    play(tmp_path, second, start=2)


def test_after_the_commit_nothing_is_fetched_again(tmp_path: Path) -> None:
    async def first(shelf: Shelf) -> None:
        post = Post(shelf, Web())
        message = as_mms(shelf.message(callback=None), [Private(URLS[0])])
        await shelf.accept_as(message)
        arm()
        await post.quiet()

    async def second(shelf: Shelf) -> None:
        web = Web()
        post = Post(shelf, web)
        await asyncio.sleep(1)
        assert len(post.submitted.messages) == 1
        assert web.asked == []
        await post.stop()

    crash(tmp_path, "store.committed", first)
    play(tmp_path, second, start=2)


def test_a_stop_leaves_it_for_the_next_start(tmp_path: Path) -> None:
    async def hangs(url: str) -> Answer | Failure:
        await asyncio.sleep(3_600)
        raise AssertionError

    async def first(shelf: Shelf) -> None:
        post = Post(shelf, Web(hangs))
        await post.accept(URLS[0])
        await asyncio.sleep(0.1)
        assert post.fetcher.busy() == 1
        await post.stop()
        assert post.fetcher.busy() == 0

    async def second(shelf: Shelf) -> None:
        post = Post(shelf, Web())
        await asyncio.sleep(1)
        assert len(post.submitted.messages) == 1
        await post.stop()

    play(tmp_path, first)
    play(tmp_path, second, start=2)


def test_the_end_of_a_hold_forgets_the_media_and_nothing_else(tmp_path: Path) -> None:
    async def scene(post: Post) -> None:
        shelf = post.shelf
        message = await shelf.with_media(discard=True)
        due_ms = shelf.clock.now_ms() + 900_000
        task = Task(message.key, 9, TaskKind.MEDIA, 0, due_ms)
        await shelf.store.record([Change(message, message, (task,))])
        await asyncio.sleep(899)
        assert len(shelf.table.of(message.key)) == len(FILES)
        await asyncio.sleep(2)
        await shelf.quiet()
        assert shelf.table.of(message.key) == []
        assert shelf.files() == set()
        assert TaskKind.MEDIA not in kinds(shelf.tasks())
        assert shelf.store.find(1, message.sid) is not None

    at_the_post(tmp_path, Web(), scene)


def test_media_outlive_their_hold_while_no_webhook_has_taken_them(tmp_path: Path) -> None:
    """D20: the one table of holds decides, whichever window is the shorter."""

    async def scene(post: Post) -> None:
        shelf = post.shelf
        hold = Task(0, 9, TaskKind.MEDIA, 0, shelf.clock.now_ms() + 900_000)
        told = Task(0, 0, TaskKind.INBOUND, 5, shelf.clock.now_ms() + 3_600_000)
        message = await shelf.with_media(direction=Direction.INBOUND, callback_lane=0, discard=True)
        puts = (replace(hold, record=message.key), replace(told, record=message.key))
        await shelf.store.record([Change(message, message, puts)])
        await asyncio.sleep(1_800)
        assert len(shelf.table.of(message.key)) == len(FILES), "its webhook would find nothing"
        shelf.store.drop([puts[1]])  # it is told
        await asyncio.sleep(61)
        await shelf.quiet()
        assert shelf.table.of(message.key) == []
        assert TaskKind.MEDIA not in kinds(shelf.tasks())

    at_the_post(tmp_path, Web(), scene)


def test_lanes_are_of_servers(tmp_path: Path) -> None:
    async def scene(post: Post) -> None:
        post.shelf.store.outlet = post.shelf.nobody
        await post.accept(*URLS)
        (row,) = post.shelf.rows("task")
        assert (row[2], row[3]) == (TaskKind.FETCH, endpoint_lane(URLS[0]))

    at_the_post(tmp_path, Web(), scene)
