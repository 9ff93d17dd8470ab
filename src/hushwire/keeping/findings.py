"""What the doctor finds: facts → ok, warn or bad, and the cure. Pure.

Class A: a slot that is overwritten is overwritten on the disk. Class B: the file system or
what is below it may keep the old block; a shred is logical there until the root key is rotated
(privacy-reliability, M7: with `data=journal` all of 200 keys were still on the device).
"""

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final, Literal

from msgspec import Struct

from hushwire.keeping.facts import Disk, Facts
from hushwire.settings import Settings

Grade = Literal["ok", "warn", "bad"]

_IN_PLACE: Final = frozenset({"ext2", "ext3", "ext4", "xfs"})
_VOLATILE: Final = frozenset({"tmpfs", "ramfs"})
_DAY_MS: Final = 86_400_000
_STALE_MS: Final = 2 * _DAY_MS  # a backup that is older was forgotten, rather than late
_JUMP_MS: Final = 60_000  # what clocks of machines may differ by
_UNTIL_ROTATED: Final = "a shred is logical there until the root key is rotated"


class Finding(Struct, frozen=True):
    """One check."""

    check: str
    grade: Grade
    found: str
    cure: str = ""  # one sentence; none when it is ok


def findings(settings: Settings, facts: Facts) -> list[Finding]:
    """Every check, in the order of what they protect: erasing, keys, time, room, the way in."""
    return [
        *_filesystems(facts),
        *_apart(settings, facts),
        *_permissions(facts),
        _swap(facts),
        _cores(facts),
        *_clock(facts),
        *_room(settings, facts),
        *_backups(settings, facts),
        *_doors(settings),
    ]


def is_well(found: list[Finding]) -> bool:
    """Is nothing bad?"""
    return all(finding.grade != "bad" for finding in found)


# Disks --------------------------------------------------------------------------------------


def overwrites_in_place(disk: Disk) -> bool:
    """Class A: ext4 that does not journal data, and xfs."""
    return disk.filesystem in _IN_PLACE and "data=journal" not in disk.options


def _filesystems(facts: Facts) -> Iterator[Finding]:
    for name in ("vault", "copy", "backup keys"):
        disk = facts.disks.get(name)
        if disk is None:
            continue
        what = disk.filesystem + (", data=journal" if "data=journal" in disk.options else "")
        if overwrites_in_place(disk):
            yield Finding(f"file system of {name}", "ok", f"{what}: class A")
            continue
        cure = f"Put it on ext4 (data=ordered) or xfs: {_UNTIL_ROTATED}."
        yield Finding(f"file system of {name}", "warn", f"{what}: class B", cure)
    data = facts.disks.get("database")
    if data is not None and data.filesystem in _VOLATILE:
        cure = "Put the data directory on a disk: this one is lost with the next start."
        yield Finding("file system of database", "bad", data.filesystem, cure)


def _apart(settings: Settings, facts: Facts) -> Iterator[Finding]:
    disks = facts.disks
    for what, other, cure in _NEIGHBOURS:
        one, two = disks.get(what), disks.get(other)
        if one is None or two is None:
            continue
        check = f"{what} and {other}"
        if one.device != two.device:
            yield Finding(check, "ok", "on two disks")
        else:
            yield Finding(check, "warn", f"on one disk ({one.device})", cure)


_NEIGHBOURS: Final = (
    ("vault", "database",
     "Put the vault on a disk of its own: who takes this one has locks and keys."),
    ("root key", "vault",
     "Put the root key elsewhere (root_key): who takes this disk has all keys."),
    ("copy", "vault", "Put vault_copy on another disk: this one takes both when it dies."),
    ("backup keys", "data",
     "Put backup_keys on another disk: they are lost with the vault they are to bring back."),
    ("backup keys", "backups",
     "Put backup_keys on another disk than backups: who takes this one has both."),
    ("backups", "data", "Put backups on another disk: this one takes both when it dies."),
)  # fmt: skip


def _room(settings: Settings, facts: Facts) -> Iterator[Finding]:
    for name in ("database", "vault", "erasure log", "backups"):
        disk = facts.disks.get(name)
        if disk is None:
            continue
        check, found = f"room for {name}", f"{disk.free_mb} MB free"
        reserve = settings.disk_reserve_mb
        if disk.free_mb < reserve:
            cure = f"Make room: below {reserve} MB (disk_reserve_mb) nothing new is accepted."
            yield Finding(check, "bad", found, cure)
        elif disk.free_mb < 4 * reserve:
            yield Finding(check, "warn", found, "Make room before it becomes urgent.")
        else:
            yield Finding(check, "ok", found)


# The machine --------------------------------------------------------------------------------


def _permissions(facts: Facts) -> Iterator[Finding]:
    open_to_others = [secret for secret in facts.secrets if secret.mode & 0o077]
    for secret in open_to_others:
        yield Finding(
            "permissions", "bad", f"{secret.path} has mode {secret.mode:04o}",
            f"chmod go= {secret.path}: others can read or change it.",
        )  # fmt: skip
    foreign = [secret.path for secret in facts.secrets if not secret.owned]
    if foreign:
        cure = "Run the doctor as the user of the server, or give the files to that user."
        yield Finding("owner", "warn", f"{foreign[0]} belongs to another user", cure)
    if not open_to_others:
        yield Finding("permissions", "ok", f"{len(facts.secrets)} private files and directories")


def _swap(facts: Facts) -> Finding:
    if facts.swaps is None:
        return Finding("swap", "warn", "unknown", "Look whether swap is off or encrypted.")
    if not facts.swaps:
        return Finding("swap", "ok", "off")
    cure = "Turn it off, or encrypt it: keys in memory may be written there and stay."
    return Finding("swap", "warn", f"in use ({', '.join(facts.swaps)}); encrypted: unknown", cure)


def _cores(facts: Facts) -> Finding:
    if facts.core_limit == 0:
        return Finding("core dumps", "ok", "off for this user, and always for the server")
    where = facts.core_pattern or "unknown"
    return Finding(
        "core dumps", "ok", f"the server turns its own off; others go to {where.split()[0]}"
    )


def _clock(facts: Facts) -> Iterator[Finding]:
    ahead_ms = (facts.newest_message_ms or 0) - facts.now_ms
    if ahead_ms > _JUMP_MS:
        cure = "Set the clock right: what is due waits until it reaches that time."
        yield Finding("clock", "bad", f"{ahead_ms // 1000} s behind the newest message", cure)
    elif facts.clock_synced is None:
        yield Finding("clock", "warn", "unknown", "Look whether something keeps it right (NTP).")
    elif not facts.clock_synced:
        cure = "Start an NTP service: schedules, retention and backup keys follow this clock."
        yield Finding("clock", "warn", "nothing keeps it synchronized", cure)
    else:
        yield Finding("clock", "ok", "synchronized")


# Backups and settings -----------------------------------------------------------------------


def _backups(settings: Settings, facts: Facts) -> Iterator[Finding]:
    days = settings.vault_backup_days
    if days:
        found = f"vault_backup is {days}d: what is erased opens nowhere {days} days later"
    else:
        found = "vault_backup is none: what is erased opens nowhere, at once"
    yield Finding("vault in backups", "ok", found)
    if settings.backups is None:
        cure = "Set backups to a folder on another disk, and run `hushwire backup` every day."
        yield Finding("newest backup", "warn", "backups names no folder", cure)
    elif facts.backup_trouble is not None:
        yield Finding("newest backup", "bad", facts.backup_trouble, "Take another backup now.")
    elif facts.newest_backup_ms is None:
        yield Finding("newest backup", "warn", "there is none", "Run `hushwire backup`.")
    else:
        age_ms = facts.now_ms - facts.newest_backup_ms
        grade: Grade = "warn" if age_ms > _STALE_MS else "ok"
        cure = "Run `hushwire backup` every day." if age_ms > _STALE_MS else ""
        yield Finding("newest backup", grade, f"{age_ms // 3_600_000} hours old", cure)


def _doors(settings: Settings) -> Iterator[Finding]:
    public = not _is_loopback(settings.host) or bool(settings.public_url)
    if settings.sandbox and public:
        cure = "Start with --no-sandbox: callbacks may reach this machine, and clocks be moved."
        yield Finding("sandbox", "bad", "on, with a public address", cure)
    else:
        yield Finding("sandbox", "ok", "on, on this machine only" if settings.sandbox else "off")
    if public and settings.tls_cert is None and not settings.public_url.startswith("https://"):
        cure = "Set tls_cert and tls_key, or stand behind a proxy that has them (public_url)."
        yield Finding("transport", "bad", "tokens and texts arrive unencrypted", cure)
    allowed = ", ".join(map(str, settings.outbound_allow))
    if allowed:
        cure = "Allow no more than the receivers of callbacks need (outbound_allow)."
        yield Finding("outbound_allow", "warn", f"callbacks may reach {allowed}", cure)
    else:
        yield Finding("outbound_allow", "ok", "callbacks reach no private network")
    if settings.media_access == "public":
        cure = "Set media_access to signed or basic: who guesses a SID gets the file."
        yield Finding("media_access", "warn", "public", cure)
    if settings.recovery_s > 21_600:
        cure = "Lower recovery_s: Twilio keeps for 21,600 s at most."
        yield Finding("recovery_s", "warn", f"{settings.recovery_s} s", cure)
    if settings.log_level == "debug":
        cure = "Set log_level to info: debug tells who is written to when, by SID."
        yield Finding("log_level", "warn", "debug", cure)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
