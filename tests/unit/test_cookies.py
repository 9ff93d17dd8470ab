"""Cookies of inbound webhooks: who gets which back, how long, and how much is kept."""

import asyncio
from email.utils import formatdate
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from hushwire.clock import SeededEntropy
from hushwire.dispatch.waits import Waits
from hushwire.domain.privacy import ChosenWindows
from hushwire.domain.task import TaskKind
from hushwire.outbound import Answer
from hushwire.private import Private
from hushwire.testing import simloop
from hushwire.webhooks.cookies import (
    BYTES_MAX,
    COOKIES_MAX,
    IDLE_MS,
    JAR_MAX,
    Conversation,
    Cookies,
)
from inbound_rig import Asked, Reception, play, twiml
from rig import ALICE, BOB, SENDER, START_MS

URL = "https://shop.example.com/twilio/sms"


def answer(*lines: str) -> Answer:
    return Answer(200, {b"set-cookie": "\n".join(lines).encode("latin-1")}, b"")


class Talks:
    """Cookies on a clock that is moved."""

    def __init__(self, loop: simloop.SimLoop) -> None:
        self.clock = simloop.clock_of(loop, START_MS)
        self.cookies = Cookies(self.clock, SeededEntropy(1))

    def of(self, from_: str = ALICE, account_id: int = 1, idle_ms: int = IDLE_MS) -> Conversation:
        return self.cookies.of(account_id, Private(from_), Private(SENDER), idle_ms)

    async def wait_s(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def in_time(scene: object) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, simloop.SimLoop)
        await scene(Talks(loop))  # type: ignore[operator]

    simloop.run(main())


def test_a_cookie_is_of_one_conversation_and_account() -> None:
    async def scene(talks: Talks) -> None:
        talks.of(ALICE).take(URL, answer("session=a; HttpOnly", "lang=de; Path=/"))
        assert talks.of(ALICE).header(URL) == "session=a; lang=de"
        assert talks.of(BOB).header(URL) == ""
        assert talks.of(ALICE, account_id=2).header(URL) == ""
        other = talks.cookies.of(1, Private(ALICE), Private("+15005550009"))
        assert other.header(URL) == ""

    in_time(scene)


@pytest.mark.parametrize(
    ("url", "sent"),
    [("https://shop.example.com/twilio/sms?x=1", "a=1; b=2; c=3"),
     ("https://shop.example.com/twilio", "b=2; c=3"),
     ("https://shop.example.com/twiliox", "c=3"), ("https://shop.example.com/", "c=3"),
     ("https://shop.example.com", "c=3"),
     ("https://shop.example.com:8443/twilio/sms", ""), ("http://shop.example.com/twilio/sms", ""),
     ("https://www.shop.example.com/twilio/sms", ""), ("https://example.com/twilio/sms", ""),
     ("https://", "")],
)  # fmt: skip
def test_it_goes_back_to_whom_it_came_from_below_its_path(url: str, sent: str) -> None:
    async def scene(talks: Talks) -> None:
        lines = ("c=3; Path=/; Domain=example.com", "b=2; path=/twilio", "a=1; Path=/twilio/sms")
        talks.of().take(URL, answer(*lines))
        assert talks.of().header(url) == sent

    in_time(scene)


def test_without_a_path_it_is_for_the_folder_of_the_url() -> None:
    async def scene(talks: Talks) -> None:
        talks.of().take(URL, answer("a=1"))
        assert talks.of().header("https://shop.example.com/twilio/other") == "a=1"
        assert talks.of().header("https://shop.example.com/other") == ""

    in_time(scene)


def test_it_lasts_four_hours_from_its_last_use() -> None:
    """6.4: they expire after 4 hours without activity."""

    async def scene(talks: Talks) -> None:
        talks.of().take(URL, answer("a=1"))
        for _ in range(3):
            await talks.wait_s(IDLE_MS / 1000 - 1)
            assert talks.of().header(URL) == "a=1"
        await talks.wait_s(IDLE_MS / 1000)
        assert talks.of().header(URL) == ""
        assert talks.cookies.size() == 0

    in_time(scene)


def test_the_app_may_say_when_it_ends() -> None:
    async def scene(talks: Talks) -> None:
        now_s = talks.clock.now_ms() // 1000
        soon, past = formatdate(now_s + 60, usegmt=True), formatdate(now_s - 60, usegmt=True)
        talks.of().take(URL, answer(
            "a=1; Max-Age=30", f"b=2; Expires={soon}", f"c=3; Expires={past}; Max-Age=90",
            "d=4; Expires=never", "e=5; Max-Age=x",
        ))  # fmt: skip
        assert talks.of().header(URL) == "a=1; b=2; c=3; d=4; e=5"
        await talks.wait_s(31)
        assert talks.of().header(URL) == "b=2; c=3; d=4; e=5"
        await talks.wait_s(31)
        assert talks.of().header(URL) == "c=3; d=4; e=5"
        talks.of().take(URL, answer("c=; Max-Age=0", f"d=; Expires={past}", "e=6"))
        assert talks.of().header(URL) == "e=6"

    in_time(scene)


@pytest.mark.parametrize(
    "line",
    ["", "a", "=1", "a=\x01", "a=1\r", "a\tb=1", "a=\xe4", "a=" + "x" * JAR_MAX, "a=1; Max-Age=-1",
     "a=1; Expires=Thu, 01 Jan 99999 00:00:00 GMT; Max-Age=0"],
)  # fmt: skip
def test_what_cannot_be_kept_is_ignored(line: str) -> None:
    async def scene(talks: Talks) -> None:
        talks.of().take(URL, answer(line, "good=1"))
        assert talks.of().header(URL) in ("good=1", "a=1; good=1")
        talks.of(BOB).take(URL, answer("a=; Max-Age=0"))
        assert talks.of(BOB).header(URL) == ""

    in_time(scene)


@given(st.lists(st.text(st.characters(max_codepoint=255), max_size=60), max_size=5))
def test_whatever_is_set_a_header_can_hold_what_comes_back(lines: list[str]) -> None:
    async def scene(talks: Talks) -> None:
        talks.of().take(URL, answer(*lines))
        sent = talks.of().header(URL)
        assert sent.isascii()
        assert sent.isprintable()

    in_time(scene)


def test_a_jar_and_all_jars_are_bounded() -> None:
    async def scene(talks: Talks) -> None:
        talks.of().take(URL, answer(*(f"c{n}=1" for n in range(100))))
        kept = [f"c{n}=1" for n in range(100 - COOKIES_MAX, 100)]
        assert talks.of().header(URL) == "; ".join(kept)
        talks.of(account_id=2).take(URL, answer("quiet=1"))
        large = answer("a=" + "x" * (JAR_MAX - 20))
        for n in range(3 * BYTES_MAX // JAR_MAX):
            talks.of(f"+1415555{n:04}").take(URL, large)
            assert talks.cookies.size() <= BYTES_MAX
        assert talks.of().header(URL) == "", "the oldest of who has most"
        assert talks.of(account_id=2).header(URL) == "quiet=1", "nobody else pays for it"

    in_time(scene)


# In a conversation ------------------------------------------------------------------------


def counting(asked: Asked) -> Answer:
    """An app that counts the texts of a session, as its framework does."""
    count = int(asked.headers.get("Cookie", "n=0").partition("=")[2]) + 1
    said = twiml(f"<Message>{count}</Message>")
    return replace(said, headers={**said.headers, b"set-cookie": f"n={count}; Path=/".encode()})


def test_an_app_knows_its_conversations_apart(tmp_path: Path) -> None:
    async def scene(r: Reception) -> None:
        r.customer.reply = counting
        for phone in (ALICE, BOB, ALICE, ALICE):
            await r.told("Hi", phone)
        assert r.said() == ["1", "1", "2", "3"]
        await r.wait_s(IDLE_MS / 1000)
        await r.told("Hi", ALICE)
        assert r.said()[-1] == "1"

    play(tmp_path, scene)


def test_where_texts_are_forgotten_cookies_last_no_longer_than_they(tmp_path: Path) -> None:
    async def scene(r: Reception) -> None:
        r.customer.reply = counting
        store, clock = r.rig.store, r.rig.clock
        r.lanes.workers[TaskKind.REDACT] = Waits(store, clock, r.rig.custodian)
        accounts = store.accounts
        privacy = replace(r.account.privacy, redact_body=True, windows_s=ChosenWindows(inbound=600))
        accounts.change(replace(accounts.by_id[1], privacy=privacy))
        await r.told("Hi")
        await r.wait_s(599)
        await r.told("Hi")
        await r.wait_s(601)
        await r.told("Hi")
        cookies = [asked.headers.get("Cookie") for asked in r.customer.asked]
        assert cookies == [None, "n=1", None]

    play(tmp_path, scene)
