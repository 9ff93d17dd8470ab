"""`hushwire demo` as a process: it shows what it promises and leaves nothing behind."""

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import time
from base64 import b64encode
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from rich.cells import cell_len

from hushwire.cli.demo_disk import search
from hushwire.cli.demo_steps import SCENES

NUMBER = "+14155550199"
TEXT = "Your code is 123456. Tell nobody."


def environment(tmp: Path, **more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HUSHWIRE_")}
    return {**kept, "TMPDIR": str(tmp), **more}


def demo(tmp: Path, *flags: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "hushwire", "demo", *flags],
        env=environment(tmp, **more), stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=90, check=False,
    )  # fmt: skip


def test_every_scene_is_played_in_80_columns_and_nothing_is_left(tmp_path: Path) -> None:
    """K-19: a message that waits for its receipt is refused deletion with 20009."""
    found = demo(tmp_path, HUSHWIRE_PORT="1", HUSHWIRE_SANDBOX="false")  # a reader's own settings
    assert (found.returncode, found.stderr) == (0, "")
    lines = found.stdout.splitlines()
    assert max(map(cell_len, lines)) <= 80
    for number, scene in enumerate(SCENES, 1):
        assert any(line.startswith(f"{number}/{len(SCENES)}  {scene.title} ") for line in lines)
        assert any(line.strip().startswith(f"✓ {scene.title} ") for line in lines)
    for seen in ("← 201 Created", "← 204 No Content", '"code": 20404', '"code": 20009', "21211"):
        assert seen in found.stdout
    zeros = "00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 "
    assert f"0030  {zeros}02" in found.stdout  # the slot of the key, overwritten
    assert list(tmp_path.iterdir()) == []


def test_json_is_the_final_table(tmp_path: Path) -> None:
    found = demo(tmp_path, "--json")
    assert found.returncode == 0
    assert [row["scene"] for row in json.loads(found.stdout)] == [
        *(scene.title for scene in SCENES),
        "Clean up",
    ]


def test_a_terminal_that_knows_only_ascii_is_no_obstacle(tmp_path: Path) -> None:
    found = demo(tmp_path, PYTHONIOENCODING="ascii")
    assert found.returncode == 0
    assert found.stdout.isascii()


def test_a_server_that_does_not_start_is_one_error_and_exit_1(tmp_path: Path) -> None:
    full = tmp_path / "bin"
    full.mkdir()
    (full / "sitecustomize.py").write_text(
        "import sys\nif 'up' in sys.orig_argv: raise SystemExit('no server today')\n"
    )
    found = demo(tmp_path, PYTHONPATH=str(full))
    assert found.returncode == 1
    assert found.stderr.startswith("Error: the server did not start")
    assert list(tmp_path.glob("hushwire-demo-*")) == []


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_stops_the_server_and_removes_its_directory(tmp_path: Path, sign: int) -> None:
    outer, inner = pty.openpty()  # only a terminal is asked to press Enter
    process = subprocess.Popen(
        [sys.executable, "-m", "hushwire", "demo"],
        env=environment(tmp_path), stdin=inner, stdout=inner, stderr=inner,
    )  # fmt: skip
    os.close(inner)
    try:
        read_until(outer, b"press Enter")
        (home,) = tmp_path.glob("hushwire-demo-*")
        url = urlsplit(json.loads((home / "data" / "credentials.json").read_text())["url"])
        socket.create_connection((url.hostname, url.port or 0), 5).close()  # it is up
        process.send_signal(sign)
        read_until(outer, b"Stopped early")
        assert process.wait(30) == 1
    finally:
        process.kill()
        os.close(outer)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((url.hostname, url.port or 0), 5)


@pytest.mark.parametrize(
    "planted",
    [
        TEXT.encode(), TEXT.upper().encode(), TEXT.encode("utf-16-le"), TEXT.encode("utf-16-be"),
        TEXT.encode().hex().encode(), TEXT.encode().hex().upper().encode(), TEXT[::-1].encode(),
        *(b64encode(bytes(lead) + TEXT.encode() + b"tail") for lead in range(4)),
    ],
)  # fmt: skip
def test_the_search_finds_a_text_in_every_spelling(tmp_path: Path, planted: bytes) -> None:
    """The positive control: without it "in no file" would mean nothing."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file").write_bytes(b"\x00\xffbefore" + planted + b"after")
    (tmp_path / "other").write_bytes(b"Your code is 654321. Tell nobody.")
    assert search(tmp_path, TEXT).hits == ("sub/file",)
    assert search(tmp_path, TEXT, [planted]).hits == ("sub/file", "/metrics")


@pytest.mark.parametrize(
    "planted",
    [
        NUMBER.encode(), b"4155550199"[::-1] + b"1", b"tel:%2B14155550199",
        NUMBER.encode("utf-16-le"), b64encode(b"to " + NUMBER.encode()),
        bytes.fromhex("4151550591f9"), b"41515505 4151550591F9",
    ],
)  # fmt: skip
def test_the_search_finds_a_number_in_every_spelling(tmp_path: Path, planted: bytes) -> None:
    (tmp_path / "file").write_bytes(b"\x07" + planted + b"\x07")
    assert search(tmp_path, NUMBER).hits == ("file",)


def read_until(fd: int, wanted: bytes, within_s: float = 30) -> None:
    seen = b""
    deadline = time.monotonic() + within_s
    while wanted not in seen:
        assert time.monotonic() < deadline, seen[-500:]
        seen += os.read(fd, 65536)
