"""Taking a backup: consistent beside a writer, whole or not at all, alone."""

import asyncio
import errno
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from hushwire.cli.main import cli
from hushwire.clock import Clock, SeededEntropy
from hushwire.errors import Misconfigured
from hushwire.keeping import backup as module
from hushwire.keeping.backup import Busy, alone, newest, take
from hushwire.keeping.images import seal_image
from hushwire.keeping.keeper import Keeper
from hushwire.keeping.manifest import Unusable, read_manifest, verify
from hushwire.keeping.snapshot import Snapshot, copy_database
from hushwire.settings import Settings
from hushwire.testing import simloop
from hushwire.vault.slots import Slots
from rig import ROOT, Rig


def quiet(what: str, done: int, total: int) -> None:
    assert what
    assert 0 <= done <= total


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A data directory with one message, and no server."""

    async def main() -> None:
        rig = Rig(tmp_path / "data")
        await rig.accept()
        await rig.close()

    simloop.run(main())
    return Settings(data=tmp_path / "data")


def test_a_copy_is_of_one_moment_though_somebody_writes(tmp_path: Path) -> None:
    """Two tables that always agree agree in the copy; and it ends, however much is written."""
    source = sqlite3.connect(tmp_path / "source.db", isolation_level=None)
    source.execute("PRAGMA journal_mode=wal")
    source.execute("CREATE TABLE one (n, filler)")
    source.execute("CREATE TABLE two (n, filler)")

    def write() -> None:
        source.execute("BEGIN")
        for table in ("one", "two"):
            source.executemany(
                f"INSERT INTO {table} VALUES (?, zeroblob(4000))", [(n,) for n in range(700)]
            )
        source.execute("COMMIT")

    steps = 0

    def progress(what: str, done: int, total: int) -> None:
        nonlocal steps
        steps += 1
        assert steps < 50
        write()

    write()
    copy_database(tmp_path / "source.db", tmp_path / "copy.db", progress)
    assert steps > 1
    copy = sqlite3.connect(tmp_path / "copy.db")
    counts = [copy.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in ("one", "two")]
    assert counts == [700, 700]
    assert copy.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    copy.close()
    source.close()


def test_a_backup_is_private_whole_and_the_newest(settings: Settings, tmp_path: Path) -> None:
    to = tmp_path / "backups"
    assert newest(to) is None
    taken = take(settings, to, quiet)
    path = Path(taken.path)
    assert newest(to) == path
    for found in (path, *path.rglob("*")):
        assert found.stat().st_mode & 0o077 == 0
    manifest = read_manifest(path)
    assert manifest == taken.manifest
    assert manifest.vault is None
    verify(path, manifest, quiet)
    database = Snapshot(path / "hushwire.db")
    database.check()
    assert database.meta("vault_id") == manifest.vault_id
    database.close()


def test_a_bucket_is_said_to_be_elsewhere(settings: Settings, tmp_path: Path) -> None:
    bucket = Settings(data=settings.data, media_url="s3://bucket/media")
    assert take(bucket, tmp_path / "backups", quiet).manifest.media == "elsewhere"


def test_only_one_at_a_time(settings: Settings, tmp_path: Path) -> None:
    with alone(settings.data), pytest.raises(Busy):
        take(settings, tmp_path / "backups", quiet)
    found = CliRunner().invoke(cli, ["backup", str(tmp_path / "b"), "--data", str(settings.data)])
    assert found.exit_code == 0


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), 75, "full"),
        (apsw.FullError("database or disk is full"), 75, "full"),
        (OSError(errno.EIO, "Input/output error"), 1, "Input/output error"),
        (apsw.IOError("disk I/O error"), 1, "disk I/O error"),
    ],
)
def test_a_disk_that_fails_is_one_sentence(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception,
    code: int, says: str,
) -> None:  # fmt: skip
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(module, "copy_database", fail)
    to = tmp_path / "backups"
    found = CliRunner().invoke(cli, ["backup", str(to), "--data", str(settings.data)])
    assert found.exit_code == code
    assert says in found.stderr
    assert len(found.stderr.strip().splitlines()) == 1
    assert list(to.iterdir()) == []


def test_no_data_and_no_folder_name_the_cure(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="name the data directory"):
        take(Settings(data=tmp_path), tmp_path / "backups", quiet)
    found = CliRunner().invoke(cli, ["backup", "--data", str(tmp_path)])
    assert (found.exit_code, "name DEST" in found.stderr) == (78, True)
    found = CliRunner().invoke(cli, ["backup", str(tmp_path), "--verify", str(tmp_path)])
    assert found.exit_code == 2


@pytest.mark.parametrize("name", ["../hushwire.db", "/etc/passwd", "vault/../../x", ".hidden"])
def test_a_manifest_cannot_lead_out_of_its_backup(
    settings: Settings, tmp_path: Path, name: str
) -> None:
    path = Path(take(settings, tmp_path / "backups", quiet).path)
    manifest = path / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"hushwire.db": {', f'"{name}": {{', 1))
    with pytest.raises(Unusable, match="damaged"):
        read_manifest(path)


def test_a_newer_format_names_its_version(settings: Settings, tmp_path: Path) -> None:
    path = Path(take(settings, tmp_path / "backups", quiet).path)
    manifest = path / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(Unusable, match="the version that wrote it"):
        read_manifest(path)


def test_an_image_is_sealed_without_its_empty_end(tmp_path: Path) -> None:
    slots = tmp_path / "0000.slots"
    slots.write_bytes(b"h" * 4096 + b"key" * 100 + bytes(1 << 20))
    sealed = b"".join(seal_image(b"k" * 32, slots))
    assert len(sealed) < 5_000
    assert b"keykey" not in sealed


def test_nothing_private_is_in_a_backup_in_clear(settings: Settings, tmp_path: Path) -> None:
    async def main() -> None:
        rig = Rig(settings.data)
        await rig.accept()
        await asyncio.sleep(0)
        await rig.close()

    simloop.run(main())
    path = Path(take(settings, tmp_path / "backups", quiet).path)
    content = b"".join(found.read_bytes() for found in path.rglob("*") if found.is_file())
    assert b"+14155550101" not in content
    assert b"Hello" not in content


@pytest.mark.parametrize("part", ["header", "account key"])
def test_a_vault_whose_keys_are_rotated_meanwhile_is_not_kept(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """Its slot files would be of two times: some keys would open under neither."""
    keeping = replace(settings, vault_backup="7d")
    slots = Slots.open(settings.data / "vault", ROOT)
    Keeper(keeping, settings.data / "vault", slots, Clock(), SeededEntropy(5)).close()
    slots.close()
    assert take(keeping, tmp_path / "backups", quiet).manifest.vault is not None

    def seal_and_rotate(key: bytes, path: Path) -> Iterator[bytes]:
        yield from seal_image(key, path)
        with path.open("r+b") as file:
            file.seek(100 if part == "header" else 4096)  # the account key is the first there is
            file.write(b"another key")

    monkeypatch.setattr(module, "seal_image", seal_and_rotate)
    with pytest.raises(Busy, match="rotated"):
        take(keeping, tmp_path / "more", quiet)
    assert list((tmp_path / "more").iterdir()) == []
