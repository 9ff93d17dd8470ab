"""The server works with no more than `deploy/` leaves it."""

import ctypes.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from real_process import SMALL, Process, command, environment

from harness import Receiver, wait_for

UNIT = Path(__file__).parents[2] / "deploy" / "hushwire.service"
CONFINED = Path(__file__).with_name("confined.py")
# The root file system and everything on it is read-only, but for the data directory.
MOUNT = 'mount --bind "$1" "$1" && mount -o remount,bind,ro / && cd / && shift && exec "$@"'
UNSHARE = ["unshare", "--user", "--map-root-user", "--mount", "--propagation", "private"]
SETPRIV = ["setpriv", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]


def _missing() -> str:
    for tool in ("unshare", "setpriv", "systemd-analyze"):
        if shutil.which(tool) is None:
            return f"no {tool} here"
    if ctypes.util.find_library("seccomp") is None:
        return "no libseccomp here"
    if subprocess.run([*UNSHARE, "true"], capture_output=True, check=False).returncode != 0:
        return "no namespaces here"
    probe = [sys.executable, str(CONFINED), "@system-service", "--", "/bin/true"]
    done = subprocess.run(probe, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else f"this kernel cannot confine: {done.stderr.strip()}"


class Confined(Process):
    """`hushwire up` without capabilities, writable places, calls and memory it may not have."""

    def launch(self, **settings: str) -> None:
        (self.data / "credentials.json").unlink(missing_ok=True)
        filters = re.findall(r"^SystemCallFilter=(.*)$", UNIT.read_text(), re.M)
        argv = [
            *UNSHARE, "sh", "-c", MOUNT, "sh", str(self.data.parent), *SETPRIV,
            sys.executable, str(CONFINED), *filters, "--", *command(self.data, *self.flags),
        ]  # fmt: skip
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                argv, env=environment(**self.settings), stdin=subprocess.DEVNULL,
                stdout=log, stderr=log,
            )  # fmt: skip


def test_a_confined_server_does_all_its_work(tmp_path: Path) -> None:
    """Capabilities, system calls and memory as in hushwire.service; read-only as in compose."""
    if missing := _missing():
        pytest.skip(f"NOT TESTED: {missing}")
    receiver = Receiver()
    (tmp_path / "writable").mkdir()
    server = Confined(tmp_path / "writable" / "data", **SMALL)
    with server:
        assert server.process is not None
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        found = dict(line.split(":\t", 1) for line in status.splitlines())
        assert (found["CapBnd"], found["CapEff"]) == ("0" * 16, "0" * 16)
        assert (found["NoNewPrivs"], found["Seccomp"]) == ("1", "2")
        sids = [server.sent(b"&StatusCallback=" + receiver.url().encode()) for _ in range(1_100)]
        receiver.wait(2 * len(sids))  # and the vault has grown by a file
        assert server.stop() == 0
    with server:  # and begins again on what it left
        wait_for(lambda: server.status_of(sids[-1]) == "delivered")
        assert server.request("DELETE", server.message_path(sids[0]))[0] == 204
        server.kill()
    with server:
        assert server.json("GET", server.message_path(sids[0]))[0] == 404
    receiver.close()


def test_what_is_given_up_is_gone(tmp_path: Path) -> None:
    """The positive control: the same confinement stops what it is there to stop."""
    if missing := _missing():
        pytest.skip(f"NOT TESTED: {missing}")
    (tmp_path / "writable").mkdir()
    tries = {
        "write": "open('/work.txt', 'w')",
        "privilege": "import os; os.chroot('/')",
        "namespace": "import ctypes, os; r = ctypes.CDLL(None, use_errno=True).mount(0, 0, 0, 0, 0)"
                     "\nif r: raise OSError(ctypes.get_errno(), 'mount')",
        "memory": "import mmap; mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)",
    }  # fmt: skip
    for name, script in tries.items():
        done = subprocess.run(
            [*UNSHARE, "sh", "-c", MOUNT, "sh", str(tmp_path / "writable"), *SETPRIV,
             sys.executable, str(CONFINED), "@system-service", "~@privileged @resources", "--",
             sys.executable, "-c", script],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert re.search(r"OSError|PermissionError", done.stderr), (name, done.stderr)
