"""A create without a task: run as far as it goes, then on when its future is done."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from hushwire.listening import drive


def told(script: Callable[[list[str], "asyncio.Future[str]"], Awaitable[None]]) -> list[str]:
    """What the script says while its future ends after it began."""

    async def main() -> list[str]:
        said: list[str] = []
        future = asyncio.get_running_loop().create_future()

        async def work() -> None:
            await script(said, future)

        drive(work())
        said.append("began")
        await asyncio.sleep(0)
        future.set_result("done")
        for _ in range(5):
            await asyncio.sleep(0)
        return said

    return asyncio.run(main())


def test_it_goes_as_far_as_it_can_at_once() -> None:
    async def script(said: list[str], future: "asyncio.Future[str]") -> None:
        said.append("first")
        said.append(await future)
        said.append(await future)

    assert told(script) == ["first", "began", "done", "done"]


def test_it_may_let_others_go_first() -> None:
    async def script(said: list[str], future: "asyncio.Future[str]") -> None:
        await asyncio.sleep(0)
        said.append("later")

    assert told(script) == ["began", "later"]


def test_what_fails_is_raised_inside() -> None:
    async def script(said: list[str], future: "asyncio.Future[str]") -> None:
        failing = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_soon(failing.set_exception, ValueError("no"))
        with pytest.raises(ValueError, match="no"):
            await failing
        said.append("caught")

    assert told(script) == ["began", "caught"]
