"""Gives up what `deploy/hushwire.service` takes away, and becomes the command that follows.

    confined.py FILTER… -- COMMAND…

FILTER is a value of SystemCallFilter; the sets are systemd's own. Needs Linux 6.3, libseccomp
and `systemd-analyze`. The caller has given up user, capabilities and the writable file system.
"""

import ctypes
import os
import subprocess
import sys

PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1
ALLOW, EPERM_ELSE = 0x7FFF0000, 0x00050001  # seccomp.h


def known_sets() -> dict[str, list[str]]:
    """systemd's sets of system calls: name → calls, and sets it includes."""
    listed = subprocess.run(
        ["systemd-analyze", "syscall-filter", "--no-pager"], capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    sets: dict[str, list[str]] = {}
    here: list[str] = []
    for line in listed.stdout.splitlines():
        word = line.strip()
        if line.startswith("@"):
            here = sets[word] = []
        elif word and not word.startswith("#"):
            here.append(word)
    return sets


def allowed(filters: list[str], sets: dict[str, list[str]]) -> set[str]:
    """The calls that remain, as systemd reads several lines of SystemCallFilter."""
    remaining: set[str] = set()
    for line in filters:
        calls: set[str] = set()
        ahead = line.removeprefix("~").split()
        while ahead:
            word = ahead.pop()
            if word.startswith("@"):
                ahead += sets[word]
            else:
                calls.add(word)
        remaining = remaining - calls if line.startswith("~") else remaining | calls
    return remaining


def deny_all_but(calls: set[str]) -> None:
    """From here on every other call fails with EPERM."""
    seccomp = ctypes.CDLL("libseccomp.so.2")
    seccomp.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(seccomp.seccomp_init(ctypes.c_uint32(EPERM_ELSE)))
    for name in calls:
        number = seccomp.seccomp_syscall_resolve_name(name.encode())
        if number >= 0:  # others are of another architecture
            done = seccomp.seccomp_rule_add(context, ctypes.c_uint32(ALLOW), number, 0)
            assert done == 0, name
    assert seccomp.seccomp_load(context) == 0


def main() -> None:
    split = sys.argv.index("--")
    filters, command = sys.argv[1:split], sys.argv[split + 1 :]
    calls = allowed(filters, known_sets())
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) != 0:
        sys.exit(f"prctl(PR_SET_MDWE): {os.strerror(ctypes.get_errno())}")
    deny_all_but(calls)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
