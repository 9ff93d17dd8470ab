"""Backups and their restore: what was erased stays erased, the rest reads (issue 5)."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from promise_checker import check_keys
from twilio.base.exceptions import TwilioRestException

from harness import RunningServer, wait_for
from hushwire.vault.backup_keys import BackupKeys
from keeping_rig import Traffic, back_up, bodies, delivered, holds, refused, run
from picture_host import PNG


def week(other: Path) -> dict[str, str]:
    """Settings that keep the vault in backups for a week, keys and log on `other`."""
    other.mkdir(exist_ok=True)
    return {
        "HUSHWIRE_VAULT_BACKUP": "7d",
        "HUSHWIRE_BACKUP_KEYS": str(other / "backup.keys"),
    }


def test_a_database_of_before_the_erasing_brings_nothing_back(tmp_path: Path) -> None:
    """Policy none: the old database beside the current vault, backed up under live traffic."""
    data = tmp_path / "data"
    with RunningServer(data) as server:
        kept, deleted, redacted = (delivered(server, f"{word} text") for word in "abc")
        with Traffic(server) as traffic:
            traffic.wait(5)
            backup = back_up(data, tmp_path / "backups")
            traffic.wait(len(traffic.sids) + 5)
        client = server.client()
        assert client.messages(deleted).delete()
        client.messages(redacted).update(body="")
        after = delivered(server, "After the backup")
    assert run("backup", "--verify", backup)[0] == 0
    assert "holds a database" in refused(1, "restore", backup, "--data", data)
    code, out, err = run("restore", backup, "--data", data, "--yes", "--json")
    assert code == 0, err
    assert json.loads(out)["vault"] == "kept"
    with RunningServer(data) as server:
        found = bodies(server)
        assert found[kept] == "a text"
        assert found[redacted] == ""
        assert deleted not in found
        assert after not in found
        assert found.keys() & set(traffic.sids)
        assert delivered(server, "It goes on")
    check_keys(data)


def test_a_lost_directory_comes_back_without_what_was_erased_since(tmp_path: Path) -> None:
    """Policy 7d: database and vault from the backup, the erasure log replayed."""
    data, other = tmp_path / "data", tmp_path / "other"
    settings = week(other)
    with RunningServer(data, **settings) as server:
        kept, deleted, redacted = (delivered(server, f"{word} text") for word in "abc")
        with Traffic(server) as traffic:
            traffic.wait(5)
            backup = back_up(data, tmp_path / "backups", **settings)
        client = server.client()
        assert client.messages(deleted).delete()
        client.messages(redacted).update(body="")
        delivered(server, "After the backup")
    root = (data / "root.key").read_bytes()
    assert not holds(backup, root)
    shutil.rmtree(data)

    anew = tmp_path / "anew"
    assert "root key" in refused(78, "restore", backup, "--into", anew, **settings)
    anew.mkdir(exist_ok=True)
    (anew / "root.key").write_bytes(root)
    (anew / "root.key").chmod(0o400)
    code, out, err = run("restore", backup, "--into", anew, "--json", **settings)
    assert code == 0, err
    assert json.loads(out)["vault"] == "restored"
    assert json.loads(out)["erased"] >= 3  # both keys of one, the content key of the other
    with RunningServer(anew, **settings) as server:
        found = bodies(server)
        assert found[kept] == "a text"
        assert found[redacted] == ""
        assert deleted not in found
        assert delivered(server, "It goes on")
    check_keys(anew)


@pytest.mark.parametrize("policy", ["none", "7d"])
def test_what_was_withheld_since_the_backup_is_withheld_again(tmp_path: Path, policy: str) -> None:
    """The hold that kept it is of the lost time: its key waits for a week for another."""
    data, other = tmp_path / "data", tmp_path / "other"
    settings = week(other) if policy == "7d" else {}
    with RunningServer(data, **settings) as server:
        kept, deleted, redacted = (delivered(server, f"{word} text") for word in "abc")
        backup = back_up(data, tmp_path / "backups", **settings)
        path = f"/hushwire/v1/accounts/{server.sid}/legal-holds"
        status, answer = server.json("POST", path, {"author": "Ada", "reason": "Case 7"})
        assert status == 201, answer
        client = server.client()
        assert client.messages(deleted).delete()
        client.messages(redacted).update(body="")
    root = (data / "root.key").read_bytes()
    target = data
    if policy == "7d":
        shutil.rmtree(data)
        target = tmp_path / "anew"
        target.mkdir()
        (target / "root.key").write_bytes(root)
        (target / "root.key").chmod(0o400)
        code, out, err = run("restore", backup, "--into", target, "--json", **settings)
    else:
        code, out, err = run("restore", backup, "--data", data, "--yes", "--json")
    assert code == 0, err
    assert json.loads(out)["erased"] == 0, "nothing was destroyed"
    assert json.loads(out)["withheld"] == 3
    with RunningServer(target, **settings) as server:
        found = bodies(server)
        assert found[kept] == "a text"
        assert found[redacted] == ""
        assert deleted not in found
        assert _living(target) == 6
        server.json("POST", "/sandbox/clock", {"advance_s": 8 * 86_400})
        wait_for(lambda: _living(target) == 3)  # nobody set the hold again
        assert bodies(server).keys() == {kept, redacted}
    check_keys(target)


def _living(data: Path) -> int:
    """How many keys the messages in the database have."""
    with closing(sqlite3.connect(f"file:{data / 'hushwire.db'}?mode=ro", uri=True)) as db:
        found = db.execute("SELECT count(content_key) + count(address_key) FROM message")
        return int(found.fetchone()[0])


def test_media_come_back_too(tmp_path: Path) -> None:
    data = tmp_path / "data"
    backups = tmp_path / "backups"
    with RunningServer(data) as server:
        from picture_host import PictureHost

        with PictureHost() as host:
            message = server.client().messages.create(
                to="+14155550173",
                from_=server.number,
                body="A picture",
                media_url=[host.url("/cat.png")],
            )
            wait_for(lambda: message.fetch().status == "delivered")
            backup = back_up(data, backups)
    shutil.rmtree(data / "media")
    assert run("restore", backup, "--data", data, "--yes")[0] == 0
    with RunningServer(data) as server:
        (medium,) = server.client().messages(str(message.sid)).media.list()
        status, _, content = server.request("GET", medium.uri.removesuffix(".json"))
        assert (status, content) == (200, PNG)


def test_an_older_vault_beside_a_newer_database_is_refused(tmp_path: Path) -> None:
    data, old = tmp_path / "data", tmp_path / "old"
    with RunningServer(data) as server:
        delivered(server, "First")
    shutil.copytree(data / "vault", old)
    with RunningServer(data) as server:
        sid = delivered(server, "Second")
    shutil.move(data / "vault", tmp_path / "newest")
    shutil.copytree(old, data / "vault")
    sentence = refused(78, "up", "--port", "0", "--data", data)
    assert "older than the database" in sentence
    shutil.rmtree(data / "vault")
    shutil.move(tmp_path / "newest", data / "vault")
    with RunningServer(data) as server:
        assert bodies(server)[sid] == "Second"


def test_a_backup_of_the_time_that_was_lost_is_refused(tmp_path: Path) -> None:
    """Slots count their uses; a vault that went back uses the same counts again."""
    data, settings = tmp_path / "data", week(tmp_path / "other")
    with RunningServer(data, **settings) as server:
        delivered(server, "First")
        first = back_up(data, tmp_path / "backups", **settings)
        delivered(server, "Second")
        second = back_up(data, tmp_path / "backups", **settings)
    shutil.rmtree(data / "vault")
    assert run("restore", first, "--data", data, "--yes", **settings)[0] == 0
    sentence = refused(78, "restore", second, "--data", data, "--yes", **settings)
    assert "was lost" in sentence
    (data / "hushwire.db").unlink()
    shutil.copy(second / "hushwire.db", data / "hushwire.db")
    assert "same time" in refused(78, "up", "--port", "0", "--data", data, **settings)


def test_without_the_policy_any_more_no_backup_opens(tmp_path: Path) -> None:
    data, other = tmp_path / "data", tmp_path / "other"
    settings = week(other)
    with RunningServer(data, **settings) as server:
        sid = delivered(server, "Kept")
        backup = back_up(data, tmp_path / "backups", **settings)
        assert "something else" in refused(78, "backup", tmp_path / "b", "--data", data)
    with RunningServer(data, HUSHWIRE_BACKUP_KEYS=settings["HUSHWIRE_BACKUP_KEYS"]) as server:
        assert bodies(server)[sid] == "Kept"
    assert list(other.iterdir()) == []
    shutil.rmtree(data / "vault")
    assert "backup_keys" in refused(78, "restore", backup, "--data", data, "--yes", **settings)


def test_a_deleted_message_is_gone_after_the_days_even_with_everything_kept(
    tmp_path: Path,
) -> None:
    """The sandbox's clock moves eight days: the key of the backup is in no file any more."""

    data, other = tmp_path / "data", tmp_path / "other"
    settings = week(other)
    with RunningServer(data, **settings) as server:
        delivered(server, "Kept")
        backup = back_up(data, tmp_path / "backups", **settings)
        keys = BackupKeys.open(other / "backup.keys")
        (key,) = keys.live()
        assert holds(tmp_path, key.key) == [other / "backup.keys"]
        server.advance(8 * 86_400)
    with RunningServer(data, **settings):
        pass
    assert keys.live() == []
    assert holds(tmp_path, key.key) == []
    keys.close()
    shutil.rmtree(data / "vault")
    said = refused(1, "restore", backup, "--data", data, "--yes", **settings)
    assert "destroyed" in said


def test_bad_inputs_end_in_one_sentence(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with RunningServer(data) as server:
        delivered(server, "Text")
        backup = back_up(data, tmp_path / "backups")
        refused(78, "restore", backup, "--data", data, "--yes")  # a server runs there
    # Cut short, changed, without its manifest, not there.
    cut = shutil.copytree(backup, tmp_path / "cut")
    with (cut / "hushwire.db").open("r+b") as file:
        file.truncate(8192)
    assert "cut short" in refused(1, "backup", "--verify", cut)
    changed = shutil.copytree(backup, tmp_path / "changed")
    with (changed / "hushwire.db").open("r+b") as file:
        file.seek(5000)
        file.write(b"\xff\x00\xff")
    assert "not what was backed up" in refused(1, "restore", changed, "--data", data, "--yes")
    (changed / "manifest.json").write_text("{")
    assert "damaged" in refused(1, "backup", "--verify", changed)
    assert "not a whole backup" in refused(1, "restore", tmp_path, "--data", data, "--yes")
    # Another vault, another root key, no vault at all.
    with RunningServer(tmp_path / "stranger"):
        pass
    said = refused(78, "restore", backup, "--data", tmp_path / "stranger", "--yes")
    assert "another vault" in said
    root = data / "root.key"
    root.rename(tmp_path / "kept.key")
    root.write_bytes(bytes(32))
    root.chmod(0o400)
    assert "root key" in refused(78, "restore", backup, "--data", data, "--yes")
    root.unlink()
    (tmp_path / "kept.key").rename(root)
    said = refused(78, "restore", backup, "--into", tmp_path / "empty")
    assert "holds no keys" in said
    # None of it changed anything.
    with RunningServer(data) as server:
        assert list(bodies(server).values()) == ["Text"]


def test_the_first_start_sweeps_before_it_answers(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with RunningServer(data) as server:
        sid = delivered(server, "Text")
        backup = back_up(data, tmp_path / "backups")
        assert server.client().messages(sid).delete()
    assert run("restore", backup, "--data", data, "--yes")[0] == 0
    with RunningServer(data) as server:
        with pytest.raises(TwilioRestException):
            server.client().messages(sid).fetch()
        rows = sqlite3.connect(f"file:{data / 'hushwire.db'}?mode=ro", uri=True)
        assert rows.execute("SELECT count(*) FROM message").fetchone() == (0,)
        rows.close()


def test_backups_and_restores_are_audited(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with RunningServer(data) as server:
        delivered(server, "Text")
        first = back_up(data, tmp_path / "backups")
        back_up(data, tmp_path / "backups")
        assert delivered(server, "Text")
    assert run("audit", "verify", "--data", data)[0] == 0
    assert audited(data) == ["backup.made", "backup.made"]
    assert run("restore", first, "--data", data, "--yes")[0] == 0
    with RunningServer(data) as server:
        assert delivered(server, "Text")
    assert run("audit", "verify", "--data", data)[0] == 0
    assert audited(data) == ["backup.restored"]


def audited(data: Path) -> list[str]:
    db = sqlite3.connect(f"file:{data / 'hushwire.db'}?mode=ro", uri=True)
    rows = db.execute("SELECT what FROM audit WHERE what LIKE 'backup%' ORDER BY seq").fetchall()
    db.close()
    return [what for (what,) in rows]
