"""A full disk: nothing new is accepted, what was accepted is kept, and forgetting still works.

Two ways to have one. A reserve larger than the free space is tested everywhere; a disk that
is really full needs the right to mount one, and says so when that is missing.
"""

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from deaths import Story
from promise_checker import check_keys, live_keys, read_database
from real_process import FORM, HELLO, Process

from harness import wait_for

DISK_MB = 96  # more than the 64 MB below which no ballast is kept


def test_a_reserve_refuses_creates_and_lets_the_rest_through(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Process(data) as server:
        kept, redacted, deleted = (server.sent() for _ in range(3))
        wait_for(lambda: all(word == "delivered" for word in statuses(server).values()))
    free_mb = shutil.disk_usage(tmp_path).free >> 20
    with Process(data, HUSHWIRE_DISK_RESERVE_MB=str(2 * free_mb + 1_000)) as server:
        refuses_new(server)
        forgets(server, redacted, deleted)
        assert set(statuses(server)) == {kept, redacted}
    with Process(data) as server:
        new = server.sent()
        assert set(statuses(server)) == {kept, redacted, new}
        wait_for(lambda: statuses(server)[new] == "delivered")
    check_keys(data)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own, or a loud skip."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "hushwire-test", str(place)]
    try:
        made = subprocess.run(mount, capture_output=True, text=True, timeout=10, check=False)
    except OSError as error:
        pytest.skip(f"NOT TESTED on a full disk: no mount command ({error.strerror})")
    if made.returncode != 0:
        pytest.skip(f"NOT TESTED on a full disk: no right to mount one ({made.stderr.strip()})")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], timeout=10, check=True)


def test_a_full_disk_refuses_creates_and_lets_forgetting_through(disk: Path) -> None:
    with Process(disk / "data") as server:
        sids = [server.sent() for _ in range(40)]
        wait_for(lambda: all(word == "delivered" for word in statuses(server).values()))
        fill(disk, leave=300_000)
        time.sleep(1.1)  # the server looks once a second
        refuses_new(server)
        fill(disk, leave=0)
        before = live_keys(server.data)
        for redacted, deleted in zip(sids[:15], sids[15:30], strict=True):
            forgets(server, redacted, deleted)
        assert len(before - live_keys(server.data)) == 15 * 3
        assert not (server.data / "ballast").exists(), "the disk was not full enough to tell"
        time.sleep(1.1)  # the room the ballast gave is for forgetting alone
        refuses_new(server)
        assert set(statuses(server)) == {*sids[:15], *sids[30:]}
        (disk / "filler").unlink()
        time.sleep(1.1)
        new = server.sent()
        assert (server.data / "ballast").exists(), "what the full disk took is put back"
        wait_for(lambda: statuses(server)[new] == "delivered")
        assert server.stop() == 0
    with Process(disk / "data") as server:
        assert set(statuses(server)) == {*sids[:15], *sids[30:], new}
    check_keys(server.data)


@pytest.mark.parametrize("how", ["once", "for good"])
def test_a_disk_that_fills_up_under_load_loses_nothing(
    disk: Path, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a reserve, the commits themselves meet the full disk.

    Filled once, the server gives up its ballast and goes on. When that is eaten as well,
    it ends with the code that asks to be started again.
    """
    with Story(disk / "data", seed=5) as story:
        fill_under_load(disk, story, how)
        found = story.end()
    with capsys.disabled():
        print(f"\n  a disk full {how}: {found.line(0)} ", end="")


def fill_under_load(disk: Path, story: Story, how: str) -> None:
    story.server.settings["HUSHWIRE_DISK_RESERVE_MB"] = "0"
    server = story.server.start()
    process = server.process
    assert process is not None
    story.load.aim(server)
    wait_for(lambda: len(story.load.promised) > 100)
    fill(disk, leave=0)
    deadline = time.monotonic() + (1 if how == "once" else 15)
    while time.monotonic() < deadline and process.poll() is None:
        if how == "for good":
            fill(disk, leave=0)
        time.sleep(0.01)
    assert process.poll() == (None if how == "once" else 75), server.log.read_text()
    story.load.aim(None)
    (disk / "filler").unlink()
    if how == "once":
        assert not (server.data / "ballast").exists(), "the disk was not full enough to tell"
        assert server.stop() == 0
    story.wire.read()


def fill(disk: Path, leave: int) -> None:
    """Write until only `leave` bytes are free."""
    chunk = 65_536
    with (disk / "filler").open("ab", buffering=0) as file, suppress(OSError):
        while (free := shutil.disk_usage(disk).free - leave) > 0:
            file.write(bytes(min(chunk, free)))


def statuses(server: Process) -> dict[str, str]:
    _, page = server.json("GET", server.messages_path + "?PageSize=1000")
    return {message["sid"]: message["status"] for message in page["messages"]}


def refuses_new(server: Process) -> None:
    """A create, and a text from a phone, are put off; nothing of them remains."""
    before = read_database(server.data)[0]
    text = {"to": server.number, "body": "Hello"}
    path = "/sandbox/phones/%2B14155550101/messages"
    for ask, body, headers in (
        (server.messages_path, HELLO, FORM),
        (path, json.dumps(text).encode(), {"Content-Type": "application/json"}),
    ):
        status, answer_headers, answer = server.request("POST", ask, body, headers)
        assert status == 503, answer
        assert int(answer_headers["retry-after"]) > 0
        assert set(json.loads(answer)) == {"code", "message", "more_info", "status"}
    assert read_database(server.data)[0] == before
    assert server.request("GET", "/readyz")[0] == 200, "it still reads and forgets"


def forgets(server: Process, redacted: str, deleted: str) -> None:
    assert server.json("GET", server.message_path(redacted))[1]["body"] == "Hello"
    status, _, _ = server.request("POST", server.message_path(redacted), b"Body=", FORM)
    assert status == 200
    assert server.json("GET", server.message_path(redacted))[1]["body"] == ""
    assert server.request("DELETE", server.message_path(deleted))[0] == 204
    assert server.request("GET", server.message_path(deleted))[0] == 404
