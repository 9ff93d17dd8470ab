"""Death at every named point of the source: between each pair of steps that must hold together.

The points are read from the source, so a new one is covered by being there; one that the load
does not reach fails its test.
"""

import re
from http.client import HTTPException
from pathlib import Path

import pytest
from deaths import Story
from promise_checker import check_keys, live_keys, named_keys, read_database
from real_process import FORM, Process

import hushwire
from harness import quiet, wait_for

SOURCE = Path(hushwire.__file__).parent
TEXTS = [p.read_text() for p in SOURCE.rglob("*.py") if p.name != "faults.py"]
NAMED = [name for text in TEXTS for name in re.findall(r"\breach\(\"([\w.]+)\"\)", text)]
# Slot files say whose they are: those of the copy pass the same points.
NAMED += [f"vault.{what}" for text in TEXTS for what in re.findall(r"f\"\{name\}\.(\w+)\"", text)]
# The load neither texts in nor has media, a backup, a rotation, a hold or anything old: the tests
# of those die there.
ELSEWHERE = {
    "inbound.": "tests/e2e/test_inbound_kill.py",
    "media.": "tests/unit/test_media_table.py",
    "backup.": "tests/e2e/test_backup_kill.py",
    "backup_keys.": "tests/unit/test_backup_keys.py",
    "keeper.": "tests/unit/test_keeper.py",
    "erasures.": "tests/unit/test_erasures.py",
    "restore.": "tests/e2e/test_backup_kill.py",
    "rotation.": "tests/contract/test_key_rotation_http.py",
    "expiry.": "tests/unit/test_expire.py",
    "pepper.": "tests/unit/test_peppers.py",
    "store.withheld_noted": "tests/unit/test_withheld.py",
}
POINTS = sorted({name for name in NAMED if not name.startswith(tuple(ELSEWHERE))})
ROUNDS = (1, 3, 25)  # in each life, the n-th time the point is reached
RARE = {
    "vault.preallocated": (1, 1, 2),  # the vault's first file, then files it grows by
    "media.forgotten": (1, 2, 3),  # of a message with media that is deleted
}
# What a deletion or redaction passes on its way, after its keys are overwritten.
FORGETTING = [p for p in POINTS if p.startswith(("vault.", "store.")) and p not in RARE]


def test_the_points_are_found() -> None:
    assert {"vault.synced", "dispatch.logged", "network.accepted"} < set(POINTS)
    calls = sum(len(re.findall(r"\breach\(", text)) for text in TEXTS)
    assert calls == len(NAMED), "a point without a literal name would be left out"
    root = Path(__file__).parents[2]
    for prefix, file in ELSEWHERE.items():
        assert prefix in (root / file).read_text(), (prefix, file)


@pytest.mark.parametrize("point", POINTS)
def test_death_at(point: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Three lives on one data directory each end at the point; the fourth settles everything."""
    _die(tmp_path / "data", point, RARE.get(point, ROUNDS), capsys)


@pytest.mark.torture
@pytest.mark.timeout(600)
@pytest.mark.parametrize("second", POINTS)
@pytest.mark.parametrize("first", POINTS)
def test_pairs_of_deaths(
    first: str, second: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    seed = POINTS.index(first) * len(POINTS) + POINTS.index(second)
    with Story(tmp_path / "data", seed) as story:
        story.die_at(first, 1)
        story.die_at(second, 1 if second in RARE else 2)
        story.die_at(first, 1 if first in RARE else 7)
        found = story.end()
    with capsys.disabled():
        print(f"\n  {first} and {second}: {found.line(story.deaths)} ", end="")


@pytest.mark.parametrize("point", FORGETTING)
def test_death_while_deleting(point: str, tmp_path: Path) -> None:
    """A deletion cut short is finished: no reader ever sees half of it."""
    server = Process(tmp_path / "data")
    sid, before = _forget(server, point, "DELETE", None)
    with server:
        assert server.request("GET", server.message_path(sid))[0] == 404
        assert server.json("GET", server.messages_path)[1]["messages"] == []
        wait_for(lambda: live_keys(server.data) == named_keys(server.data))  # the sweep is over
    assert len(before - live_keys(server.data)) == 2
    assert read_database(server.data) == ({}, [])
    check_keys(server.data)


@pytest.mark.parametrize("point", FORGETTING)
def test_death_while_redacting(point: str, tmp_path: Path) -> None:
    """A redaction cut short is finished: the body is gone, the rest of the message stays."""
    server = Process(tmp_path / "data")
    sid, before = _forget(server, point, "POST", b"Body=")
    with server:
        status, message = server.json("GET", server.message_path(sid))
        assert (status, message["body"], message["status"]) == (200, "", "delivered")
        assert message["to"] == "+14155550101"
        wait_for(lambda: live_keys(server.data) == named_keys(server.data))  # the sweep is over
    assert len(before - live_keys(server.data)) == 1
    assert read_database(server.data)[0][sid].content_key is None
    check_keys(server.data)


def _die(
    data: Path, point: str, rounds: tuple[int, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with Story(data, seed=len(point)) as story:
        for n in rounds:
            story.die_at(point, n)
        found = story.end()
    with capsys.disabled():
        print(f"\n  {point}: {found.line(story.deaths)} ", end="")


def _forget(server: Process, point: str, method: str, form: bytes | None) -> tuple[str, set[int]]:
    """Ask to forget a delivered message; the process dies at the point. The keys before it."""
    with server:
        sid = server.sent()
        wait_for(lambda: server.status_of(sid) == "delivered")
        before = live_keys(server.data)
    now = server.data.with_name("now")  # what a start has to sweep is not what is asked here
    server.launch(HUSHWIRE_FAULT=f"{point}:1:{now}")
    assert server.ready()
    quiet(server)
    now.touch()
    with pytest.raises((OSError, HTTPException)):
        server.request(method, server.message_path(sid), form, FORM)
    assert server.ended(10) == -9
    return sid, before
