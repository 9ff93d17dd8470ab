"""The doctor: facts in, findings out. Every finding that is not ok says its cure."""

from ipaddress import ip_network
from pathlib import Path

import pytest
from msgspec.structs import replace

from hushwire.keeping.facts import Disk, Facts, Secret, gather
from hushwire.keeping.findings import Finding, findings, is_well
from hushwire.settings import Networks, Settings

NOW = 1_772_366_400_000
HOUR = 3_600_000


def disk(device: str, filesystem: str = "ext4", *options: str, free_mb: int = 50_000) -> Disk:
    return Disk(f"/mnt/{device}", filesystem, frozenset({"rw", *options}), device, free_mb)


WELL = Facts(
    now_ms=NOW,
    disks={
        "data": disk("sda"), "database": disk("sda"), "vault": disk("sdb", "xfs"),
        "root key": disk("sdc"), "copy": disk("sdd"), "media": disk("sda"),
        "backup keys": disk("sdc"), "erasure log": disk("sdc"), "backups": disk("sde"),
    },
    secrets=(Secret("/srv/data", 0o700, owned=True), Secret("/srv/root.key", 0o400, owned=True)),
    swaps=(), core_pattern="core", core_limit=0, clock_synced=True, newest_message_ms=NOW - HOUR,
    newest_backup_ms=NOW - 3 * HOUR, backup_trouble=None,
)  # fmt: skip
SETTINGS = Settings(
    data=Path("/srv/data"), sandbox=False, backups=Path("/mnt/sde"), vault_backup="7d",
    vault_copy=Path("/mnt/sdd"),
)  # fmt: skip


def of(check: str, facts: Facts = WELL, settings: Settings = SETTINGS) -> Finding:
    (found,) = (f for f in findings(settings, facts) if f.check == check)
    return found


def with_disk(name: str, found: Disk) -> Facts:
    return replace(WELL, disks={**WELL.disks, name: found})


def test_a_machine_that_is_well() -> None:
    found = findings(SETTINGS, WELL)
    assert {finding.grade for finding in found} == {"ok"}
    assert not any(finding.cure for finding in found)
    assert is_well(found)


@pytest.mark.parametrize("name", ["vault", "copy", "backup keys"])
@pytest.mark.parametrize(
    ("filesystem", "option", "grade"),
    [
        ("ext4", "data=ordered", "ok"), ("ext4", "data=journal", "warn"), ("xfs", "", "ok"),
        ("btrfs", "", "warn"), ("zfs", "", "warn"), ("overlay", "", "warn"), ("nfs4", "", "warn"),
        ("tmpfs", "", "warn"), ("unknown", "", "warn"),
    ],
)  # fmt: skip
def test_classes_of_file_systems(name: str, filesystem: str, option: str, grade: str) -> None:
    device = WELL.disks[name].device
    found = of(f"file system of {name}", with_disk(name, disk(device, filesystem, option)))
    assert found.grade == grade
    assert ("class A" in found.found) == (grade == "ok")
    assert ("until the root key is rotated" in found.cure) == (grade == "warn")


def test_a_database_in_memory_is_bad() -> None:
    assert of("file system of database", with_disk("database", disk("x", "tmpfs"))).grade == "bad"


@pytest.mark.parametrize(
    ("what", "other"),
    [
        ("vault", "database"), ("root key", "vault"), ("copy", "vault"), ("backup keys", "data"),
        ("backup keys", "backups"), ("backups", "data"),
    ],
)  # fmt: skip
def test_what_belongs_on_two_disks(what: str, other: str) -> None:
    same = with_disk(what, WELL.disks[other])
    assert of(f"{what} and {other}", same).grade == "warn"
    assert of(f"{what} and {other}").grade == "ok"


def test_permissions() -> None:
    loose = replace(WELL, secrets=(Secret("/srv/root.key", 0o440, owned=True), *WELL.secrets))
    found = of("permissions", loose)
    assert (found.grade, "0440" in found.found) == ("bad", True)
    assert "chmod go= /srv/root.key" in found.cure
    foreign = replace(WELL, secrets=(Secret("/srv/root.key", 0o400, owned=False),))
    assert of("owner", foreign).grade == "warn"


def test_swap_and_cores() -> None:
    assert of("swap", replace(WELL, swaps=("/dev/sda2",))).grade == "warn"
    assert "unknown" in of("swap", replace(WELL, swaps=("/dev/sda2",))).found
    assert of("swap", replace(WELL, swaps=None)).grade == "warn"
    piped = replace(WELL, core_limit=-1, core_pattern="|/usr/lib/systemd/systemd-coredump %P")
    assert "systemd-coredump" in of("core dumps", piped).found


def test_the_clock() -> None:
    assert of("clock", replace(WELL, newest_message_ms=NOW + HOUR)).grade == "bad"
    assert of("clock", replace(WELL, newest_message_ms=NOW + 100)).grade == "ok"
    assert of("clock", replace(WELL, newest_message_ms=None)).grade == "ok"
    assert of("clock", replace(WELL, clock_synced=False)).grade == "warn"
    assert of("clock", replace(WELL, clock_synced=None)).grade == "warn"


@pytest.mark.parametrize(("free_mb", "grade"), [(255, "bad"), (256, "warn"), (1_024, "ok")])
def test_room(free_mb: int, grade: str) -> None:
    facts = with_disk("database", disk("sda", free_mb=free_mb))
    assert of("room for database", facts).grade == grade


def test_backups() -> None:
    assert of("newest backup", replace(WELL, newest_backup_ms=NOW - 49 * HOUR)).grade == "warn"
    assert of("newest backup", replace(WELL, newest_backup_ms=None)).grade == "warn"
    damaged = replace(WELL, newest_backup_ms=None, backup_trouble="it is damaged")
    assert of("newest backup", damaged).grade == "bad"
    assert of("newest backup", WELL, replace(SETTINGS, backups=None)).grade == "warn"
    assert "7 days later" in of("vault in backups").found
    none = replace(SETTINGS, vault_backup="none")
    assert "at once" in of("vault in backups", WELL, none).found


def test_settings_that_weaken() -> None:
    public = replace(SETTINGS, sandbox=True, public_url="https://sms.example.com")
    assert of("sandbox", WELL, public).grade == "bad"
    assert of("sandbox", WELL, replace(SETTINGS, sandbox=True)).grade == "ok"
    assert of("sandbox", WELL, replace(SETTINGS, sandbox=True, host="::")).grade == "bad"
    assert of("transport", WELL, replace(SETTINGS, host="192.0.2.1")).grade == "bad"
    allowed = replace(SETTINGS, outbound_allow=Networks([ip_network("10.0.0.0/8")]))
    assert of("outbound_allow", WELL, allowed).grade == "warn"
    assert "10.0.0.0/8" in of("outbound_allow", WELL, allowed).found
    assert of("media_access", WELL, replace(SETTINGS, media_access="public")).grade == "warn"
    assert of("recovery_s", WELL, replace(SETTINGS, recovery_s=30_000)).grade == "warn"
    assert of("log_level", WELL, replace(SETTINGS, log_level="debug")).grade == "warn"


def test_every_finding_that_is_not_ok_has_a_cure() -> None:
    worst = Facts(
        now_ms=NOW, disks=dict.fromkeys(WELL.disks, disk("sda", "btrfs", free_mb=1)),
        secrets=(Secret("/srv/x", 0o777, owned=False),), swaps=None, core_pattern=None,
        core_limit=-1, clock_synced=None, newest_message_ms=None, newest_backup_ms=None,
        backup_trouble=None,
    )  # fmt: skip
    found = findings(replace(SETTINGS, sandbox=True, host="192.0.2.1", backups=None), worst)
    assert not is_well(found)
    for finding in found:
        assert (finding.grade == "ok") == (finding.cure == "")
        assert finding.cure == "" or finding.cure.endswith(".")


def test_the_facts_of_this_machine_can_be_gathered(tmp_path: Path) -> None:
    """Also where nothing was started yet; it makes nothing."""
    settings = Settings(data=tmp_path / "data", backups=tmp_path / "backups", vault_backup="7d")
    facts = gather(settings)
    assert facts.disks["vault"].path == str(tmp_path)
    assert facts.disks["vault"].filesystem != "unknown"
    assert facts.disks["database"].free_mb > 0
    assert facts.secrets == ()
    assert facts.newest_message_ms is None
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_a_closed_directory_is_closed(tmp_path: Path) -> None:
    (tmp_path / "vault").mkdir()
    slots = tmp_path / "vault" / "0000.slots"
    slots.touch()
    slots.chmod(0o644)
    settings = Settings(data=tmp_path)

    def mode() -> int:
        (found,) = (s.mode for s in gather(settings).secrets if s.path == str(slots))
        return found

    (tmp_path / "vault").chmod(0o700)
    assert mode() == 0o600
    (tmp_path / "vault").chmod(0o755)
    assert mode() == 0o644
