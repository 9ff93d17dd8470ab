"""A hardened process leaves no core, whatever the limits and the core pattern are."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="prctl and /proc are Linux's")

HARDEN = "from hushwire.hardening import harden_process; harden_process(); "
LOOK = "import ctypes; print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)); "  # PR_GET_DUMPABLE
LIMITS = "print(open('/proc/self/limits').read())"


def run(script: str, where: Path) -> subprocess.CompletedProcess[str]:
    """A Python of its own, in `where`, that may dump as much core as this one may allow."""

    def unlimited() -> None:
        hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
        resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))

    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, "-c", script], env=env, cwd=where, preexec_fn=unlimited,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_it_may_dump_nothing_and_never_again(tmp_path: Path) -> None:
    """D21."""
    done = run(HARDEN + LOOK + LIMITS, tmp_path)
    dumpable, _, limits = done.stdout.partition("\n")
    assert dumpable == "0"
    (core,) = [line.split() for line in limits.splitlines() if line.startswith("Max core file")]
    assert core[4:6] == ["0", "0"], "soft and hard: it cannot be raised again"
    children = "import subprocess; subprocess.run(['sh', '-c', 'ulimit -Hc'])"
    assert run(HARDEN + children, tmp_path).stdout == "0\n"


def test_an_abort_leaves_no_core(tmp_path: Path) -> None:
    """D21, with a process that was not hardened for comparison."""
    cores: list[bool] = []
    for name, script in (("plain", ""), ("hardened", HARDEN)):
        where = tmp_path / name
        where.mkdir()
        done = run(script + "import os; os.abort()", where)
        assert done.returncode == -6, done.stderr
        cores.append(any(where.iterdir()))
    assert cores[1] is False
    if not cores[0]:
        print("NOT COMPARED: on this machine no process leaves a core where it ran")
