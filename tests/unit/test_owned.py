"""Records that belong to an account: sealed, typed, durable when the call returns."""

import asyncio
from pathlib import Path

import pytest

from hushwire.domain.owned import Owned
from hushwire.errors import Defect
from hushwire.store.engine import Database
from hushwire.store.owned import OwnedRecords
from rig import Rig

CANARY = "https://user:secret@customer.example.com/in"


class Service(Owned, frozen=True, kw_only=True):
    url: str


class Template(Owned, frozen=True, kw_only=True):
    text: str


KINDS: dict[str, type[Owned]] = {"service": Service, "template": Template}


def records_of(rig: Rig, kinds: dict[str, type[Owned]] = KINDS) -> OwnedRecords:
    reader = Database(rig.path, readonly=True)
    return OwnedRecords(reader, rig.store._commit.now, rig.store.accounts.keys, kinds)


def service(n: int, account_id: int = 1, url: str = CANARY) -> Service:
    return Service(sid=f"MG{n:032x}", account_id=account_id, created_ms=n, updated_ms=n, url=url)


def test_they_are_kept_sealed_and_told_apart(tmp_path: Path) -> None:
    async def main() -> None:
        rig = Rig(tmp_path)
        records = records_of(rig)
        for n in (1, 2):
            records.put(service(n))
        records.put(service(2, url="https://other.example.com"))
        template = Template(sid="HX" + "0" * 32, account_id=1, created_ms=0, updated_ms=0, text="x")
        records.put(template)
        for again in (records, records_of(rig)):  # as after a restart
            assert [r.sid[-1] for r in again.of(Service, 1)] == ["2", "1"]
            assert again.get(Service, 1, service(2).sid) == service(
                2, url="https://other.example.com"
            )
            assert again.get(Service, 2, service(1).sid) is None, "another account's"
            assert again.get(Service, 1, template.sid) is None, "another kind"
            assert again.of(Service, 2) == []
        assert all(CANARY.encode() not in bytes(row[3]) for row in rig.rows("owned"))
        records.delete(service(1))
        assert [r.sid[-1] for r in records_of(rig).of(Service, 1)] == ["2"]
        with pytest.raises(Defect, match="template"):
            records_of(rig, {"service": Service})
        await rig.close()

    asyncio.run(main())
