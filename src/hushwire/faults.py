"""Named points where a test may end the process: `reach("vault.written")`.

Armed by `HUSHWIRE_FAULT=name:n` (the n-th time the point is reached, the process kills
itself with SIGKILL) or by `arm()` in a simulation. `name:n:FILE` counts once FILE is there, so
that a test says from when on. Unarmed, a point costs one comparison.
"""

import os
import signal
from collections.abc import Callable
from pathlib import Path

_hook: Callable[[str], None] | None = None


def reach(name: str) -> None:
    """Say that the point `name` is reached."""
    if _hook is not None:
        _hook(name)


def arm(hook: Callable[[str], None] | None) -> None:
    """Call `hook(name)` at every point from now on; None disarms."""
    global _hook
    _hook = hook


def arm_from_environment() -> None:
    """Arm one self-kill from `HUSHWIRE_FAULT`, for tests of the real process."""
    wanted = os.environ.get("HUSHWIRE_FAULT")
    if not wanted:
        return
    name, _, rest = wanted.partition(":")
    count, _, gate = rest.partition(":")
    left = int(count or "1")

    def kill_at(point: str) -> None:
        nonlocal left
        if point == name and (not gate or Path(gate).exists()):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    arm(kill_at)
