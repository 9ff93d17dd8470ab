"""The audit log on disk: one record for a commit and kind, in the transaction of what it tells."""

from contextlib import closing
from pathlib import Path

import apsw
import pytest

from hushwire import faults
from hushwire.domain.account import ApiKey
from hushwire.domain.audit import BEGINNING, EXPIRY, AuditRecord, Break, Cause, Draft, Span, verify
from hushwire.domain.message import Message, Status, deleted, redacted
from hushwire.store.audit import AuditLog, acts, add_to, read_chain, read_head
from hushwire.store.sweep import sweep
from media_rig import Shelf, arm, crash
from media_rig import play as play_media
from rig import ALICE, Rig, play

EVER = Span(0, 1 << 62)
SUBACCOUNT = "AC" + "5" * 32
FORGOTTEN = ("message.", "media.")


def forgotten(rig: Rig) -> list[tuple[str, str, str | None, list[str]]]:
    """What the log tells of messages: (what, detail, actor, subjects), oldest first."""
    return [
        (record.what, record.detail, record.actor, record.subjects.split())
        for record in read_chain(rig.path)
        if record.what.startswith(FORGOTTEN)
    ]


def assert_holds(rig: Rig) -> None:
    chain = list(read_chain(rig.path))
    verdict = verify(chain)
    assert verdict.broken is None
    assert verdict.head == rig.store.audit.head() == read_head(rig.path)
    assert verdict.head.seq == len(chain) > 0


async def finished(rig: Rig, **changes: object) -> Message:
    return await rig.accept(status=Status.DELIVERED, settled=True, **changes)


def test_one_record_for_all_that_a_commit_forgets(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        now = rig.clock.now_ms()
        bodies = [await finished(rig) for _ in range(3)]
        whole = await finished(rig, obfuscate=True, from_shown="x", to_shown="y")
        gone = await finished(rig)
        commits = rig.store.commits
        rig.store.record([redacted(message, now, body=True) for message in bodies])
        rig.store.record([redacted(whole, now, body=True, address=True)], cause=EXPIRY)
        await rig.store.record([deleted(gone)], cause=Cause("request", rig.account.sid))
        assert rig.store.commits == commits + 1
        assert forgotten(rig) == [
            ("message.redacted", "body rule", None, [message.sid for message in bodies]),
            ("message.redacted", "body numbers expiry", None, [whole.sid]),
            ("message.deleted", "request", rig.account.sid, [gone.sid]),
        ]
        assert_holds(rig)

    play(tmp_path, scene)


def test_what_forgets_nothing_writes_nothing(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        message = await finished(rig)
        await rig.store.record([redacted(message, 0, body=True)])
        head = rig.store.audit.head()
        again = rig.store.latest(message.key)
        assert again is not None
        rig.store.record([redacted(again, 0, body=True)])
        await finished(rig)
        assert rig.store.audit.head() == head

    play(tmp_path, scene)


def test_accounts_keys_and_peppers_are_on_record(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        own, accounts = rig.account.sid, rig.store.accounts
        acts(own)
        key = ApiKey("SK" + "1" * 32, 1, None, "standard", (), b"h" * 32, 0, 0)
        accounts.put_key(key)
        accounts.delete_key(key.sid)
        accounts.keys[1].lasting_pepper("optout")
        chain = list(read_chain(rig.path))
        assert [(r.what, r.detail, r.actor, r.subjects) for r in chain] == [
            ("account.opened", "", None, own),
            ("pepper.made", "msg-search 202603", None, own),
            ("pepper.made", "own-number lasting", None, own),
            ("api_key.made", "standard", own, key.sid),
            ("api_key.revoked", "standard", own, key.sid),
            ("pepper.made", "optout lasting", None, own),
        ]
        assert_holds(rig)

    play(tmp_path, scene)


def test_media_are_on_record_with_who_asked_or_with_their_message(tmp_path: Path) -> None:
    async def scene(shelf: Shelf) -> None:
        asked, ruled, message = [await shelf.with_media() for _ in range(3)]
        media = {m.key: [medium.sid for medium in shelf.table.of(m.key)]
                 for m in (asked, ruled, message)}  # fmt: skip
        by = shelf.account.sid
        await shelf.table.forget(shelf.table.of(asked.key)[:1], Cause("request", by))
        await shelf.table.forget(shelf.table.of(ruled.key))
        await shelf.store.record([deleted(message)])
        assert forgotten(shelf) == [
            ("media.deleted", "request", by, media[asked.key][:1]),
            ("media.deleted", "rule", None, media[ruled.key]),
            ("message.deleted", "rule", None, [message.sid]),
            ("media.deleted", "message", None, media[message.key]),
        ]
        assert_holds(shelf)

    play_media(tmp_path, scene)


# --- crashes --------------------------------------------------------------------------------


@pytest.mark.parametrize("point", ["vault.synced", "store.vault_written", "store.committed"])
@pytest.mark.parametrize("whole", [False, True])
def test_no_crash_parts_a_forgetting_from_its_record(
    tmp_path: Path, point: str, whole: bool
) -> None:
    """Each message of which something is gone has exactly one record, once the sweep ran."""
    kept: list[Message] = []

    async def scene(shelf: Shelf) -> None:
        kept.append(await finished(shelf))
        message = await shelf.with_media()
        kept.append(message)
        change = deleted(message) if whole else redacted(message, 0, body=True)
        arm()
        await shelf.store.record([change])

    async def after(shelf: Shelf) -> None:
        await sweep(shelf.store, shelf.path, shelf.slots)
        await shelf.table.sweep()
        await shelf.quiet()
        found = forgotten(shelf)
        stays, message = kept
        told = [(what, subjects) for what, _, _, subjects in found if what[:3] == "mes"]
        assert told == [(f"message.{'deleted' if whole else 'redacted'}", [message.sid])]
        assert next(detail for _, detail, _, _ in found).endswith(
            "rule" if point == "store.committed" else "recovered"
        )
        assert [what for what, _, _, _ in found].count("media.deleted") == whole
        left = shelf.store.latest(message.key)
        assert (left is None) if whole else (left is not None and left.body is None)
        assert shelf.store.latest(stays.key) == stays
        assert_holds(shelf)
        await sweep(shelf.store, shelf.path, shelf.slots)
        assert forgotten(shelf) == found, "a second sweep records nothing"

    crash(tmp_path, point, scene)
    play_media(tmp_path, after, start=2)


def test_a_record_is_undone_with_what_it_tells(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        head = rig.store.audit.head()

        def work(db: object) -> None:
            rig.store.audit.write(db, Draft(rig.account.sid, "hold.set"))  # type: ignore[arg-type]
            raise apsw.ConstraintError

        with pytest.raises(apsw.ConstraintError):
            rig.store.write_now(work)
        assert rig.store.audit.head() == head
        rig.store.write_now(
            lambda db: rig.store.audit.write(db, Draft(rig.account.sid, "hold.set"))
        )
        assert rig.store.audit.head().seq == head.seq + 1
        assert_holds(rig)

    play(tmp_path, scene)


def test_another_process_may_write_beside_the_server(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        before = rig.store.audit.head().seq
        for n in range(5):
            add_to(rig.path, n, Draft(rig.account.sid, "backup.made"))
            await rig.store.record([deleted(await finished(rig))])
        assert rig.store.audit.head().seq == before + 10
        assert_holds(rig)

    play(tmp_path, scene)


def test_the_sweep_and_a_deletion_at_once_leave_one_record(tmp_path: Path) -> None:
    """The sweep may look while a deletion has destroyed the keys and not yet committed."""

    async def scene(rig: Rig) -> None:
        message = await finished(rig)
        assert message.content_key is not None
        assert message.address_key is not None
        contents = [(message.key, message.content_key)]
        rows = [(message.key, message.address_key)]
        rig.store.record([deleted(message)])
        await rig.settle()
        await rig.store.finish(contents, [], rows)
        assert forgotten(rig) == [("message.deleted", "rule", None, [message.sid])]

    play(tmp_path, scene)


# --- reading --------------------------------------------------------------------------------


def test_pages_go_down_and_up(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        log, own = rig.store.audit, rig.account.sid
        other = Draft(SUBACCOUNT, "account.opened")
        rig.store.write_now(lambda db: log.write(db, *[Draft(own, "hold.set", (own,)), other] * 5))
        first = log.head().seq - 9
        odd = [n for n in range(first, first + 10) if (n - first) % 2 == 0]

        def page(limit: int, after: int | None = None, **way: bool) -> list[int]:
            span = Span(0, 1 << 62, "hold.set", own)
            return [record.seq for record in log.page([own], span, limit, after, **way)]

        assert page(9) == odd[::-1]
        assert page(2) == odd[::-1][:2]
        assert page(2, odd[3]) == [odd[2], odd[1]]
        assert page(2, odd[0], upwards=True) == [odd[2], odd[1]]
        assert len(log.page([own, SUBACCOUNT], EVER, 99)) == log.head().seq
        assert log.page([SUBACCOUNT], EVER, 99)[0].account == SUBACCOUNT
        assert log.page([own], Span(0, 1), 9) == []
        assert [record.seq for record in log.chain(first, 3)] == [first + 1, first + 2, first + 3]

    play(tmp_path, scene)


def test_a_tampered_file_is_found(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        for _ in range(5):
            await rig.store.record([deleted(await finished(rig))])

    play(tmp_path, scene)
    path = tmp_path / "hushwire.db"
    head = read_head(path)

    def broken(statement: str) -> Break | None:
        with closing(apsw.Connection(str(path))) as db:
            db.execute("BEGIN")
            db.execute(statement)
            db.execute("COMMIT")
        return verify(read_chain(path), head.hash).broken

    assert broken("UPDATE meta SET value = value") is None
    assert broken("UPDATE audit SET seq = 1000 WHERE seq = 4") == Break(4, "missing")
    assert broken("UPDATE audit SET seq = 4 WHERE seq = 1000") is None
    assert broken(f"DELETE FROM audit WHERE seq = {head.seq}") == Break(head.seq, "cut")
    assert broken("UPDATE audit SET at_ms = 'never' WHERE seq = 3") == Break(3, "changed")
    assert broken("UPDATE audit SET seq = -5 WHERE seq = 2") == Break(1, "reordered")


def test_nothing_private_is_in_the_table(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        message = await finished(rig, body=rig.account.auth_token)
        await rig.store.record([redacted(message, 0, body=True)])
        await rig.store.record([deleted(message)])
        table = repr(rig.rows("audit"))
        assert message.sid in table
        for canary in ("f" * 32, ALICE[1:], "customer.example.com"):
            assert canary not in table

    play(tmp_path, scene)


def test_an_empty_log_has_a_head(tmp_path: Path) -> None:
    async def scene(rig: Rig) -> None:
        with closing(apsw.Connection(str(rig.path))) as db:
            db.execute("DELETE FROM audit")
        assert rig.store.audit.head() == BEGINNING
        assert AuditLog(rig.path, rig.store._reader, rig.store.append, lambda: 0).chain(0, 9) == []
        assert list(read_chain(rig.path)) == list[AuditRecord]()

    play(tmp_path, scene)
    assert faults._hook is None
