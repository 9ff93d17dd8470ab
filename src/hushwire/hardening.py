"""Hardening: what the process gives up for good at its start."""

import ctypes
import resource
import sys
from typing import Final

_PR_SET_DUMPABLE: Final = 4  # linux/prctl.h


def harden_process() -> None:
    """Keep keys and texts out of core dumps, and away from debuggers of the same user (D21).

    Core files are limited to nothing everywhere, now and for every child. On Linux the process
    is undumpable too: that holds against a core pattern that pipes, and closes `/proc/PID/mem`
    and `environ` (which matters for a root key from a variable), so a profiler such as py-spy
    needs root (CAP_SYS_PTRACE). Single pages cannot be kept out of dumps or swap (MADV_DONTDUMP,
    mlock): Python does not say where its bytes lie, and copies them. Raises OSError when Linux
    refuses.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_DUMPABLE) failed")
