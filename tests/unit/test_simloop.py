"""The loop of virtual time: it moves from timer to timer, however late it is."""

import asyncio

import pytest

from hushwire.errors import Defect
from hushwire.testing.simloop import SimLoop

YEAR_S = 31_556_952.0


@pytest.mark.parametrize("start_s", [0.0, 5e6, 9_999_999.9, 1.7e7, YEAR_S, 100 * YEAR_S])
def test_fractional_timers_come_in_their_order_at_any_time(start_s: float) -> None:
    waits = [0.1, 0.3, 1 / 3, 2 / 3, 0.7, 1e-3, 1e-5]

    async def main() -> list[float]:
        loop, came = asyncio.get_running_loop(), list[float]()

        def come(wait: float) -> None:
            # A loop that spins would never come to its end: stop it here instead.
            assert abs(loop.time() - start_s - wait) < 1e-5
            came.append(wait)

        for wait in waits:
            loop.call_at(start_s + wait, come, wait)
        await asyncio.sleep(1)
        return came

    loop = SimLoop(start_s)
    turns, run_once = 0, loop._run_once

    def counted() -> None:
        nonlocal turns
        turns += 1
        assert turns < 100, "the loop spins"
        run_once()

    loop._run_once = counted  # type: ignore[method-assign]
    try:
        assert loop.run_until_complete(main()) == sorted(waits)
    finally:
        loop.close()


def test_a_wait_that_nothing_ends_is_a_defect() -> None:
    loop = SimLoop()
    waiting = loop.create_future()
    with pytest.raises(Defect, match="no timer is set"):
        loop.run_until_complete(waiting)
    loop.close()
