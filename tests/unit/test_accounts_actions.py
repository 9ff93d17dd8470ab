"""What is done with accounts, against a real store: subaccounts, their status, and tokens."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from msgspec.structs import replace

from hushwire.actions.accounts import (
    CLOSED_COUNTS_MS,
    NAME_MAX,
    SUBACCOUNTS_MAX,
    Accounts,
    Administration,
)
from hushwire.clock import SystemEntropy
from hushwire.domain.account import Account
from hushwire.domain.sid import is_sid
from hushwire.errors import PROBLEMS, Refusal
from rig import Rig, play

Scene = Callable[[Rig, Administration], None]


def act(folder: Path, scene: Scene) -> None:
    async def main(rig: Rig) -> None:
        scene(rig, Administration(rig.store, rig.clock, SystemEntropy()))

    play(folder, main)


def refused(problem: str, call: Callable[[], object]) -> None:
    with pytest.raises(Refusal) as caught:
        call()
    assert caught.value.problem is PROBLEMS[problem]


def signs_in(rig: Rig, account: Account) -> bool:
    """Is the account's own token good for it?"""
    token = account.auth_token.reveal()
    return Accounts(rig.store).authenticate(account.sid, token) is not None


def test_a_subaccount_is_opened_and_kept(tmp_path: Path) -> None:
    made: list[Account] = []

    def scene(rig: Rig, admin: Administration) -> None:
        sub = admin.create(rig.account, "Acme")
        assert is_sid(sub.sid, "AC")
        assert (sub.friendly_name, sub.status, sub.owner_id) == ("Acme", "active", 1)
        assert sub.created_ms == sub.updated_ms == rig.clock.now_ms()
        assert len(sub.auth_token) == len(bytes.fromhex(sub.auth_token.reveal())) * 2 == 32
        assert sub.auth_token != rig.account.auth_token
        assert signs_in(rig, sub)
        assert admin.owner(sub) is rig.account
        assert admin.owner(rig.account) is rig.account
        made.append(sub)

    def after_a_restart(rig: Rig, admin: Administration) -> None:
        assert rig.store.accounts.by_sid[made[0].sid] == made[0]
        assert signs_in(rig, made[0])

    act(tmp_path, scene)
    act(tmp_path, after_a_restart)


def test_without_a_name_it_is_called_after_its_birth(tmp_path: Path) -> None:
    """7.1: `SubAccount Created at 2014-10-03 09:48 am`, twelve hours, in GMT."""
    hour_ms = 3_600_000

    def scene(rig: Rig, admin: Administration) -> None:
        assert rig.clock.now_ms() == 1_772_366_399_900, "11:59:59.900"
        names = []
        for step_ms in (0, hour_ms, hour_ms, 11 * hour_ms, hour_ms):
            rig.clock.advance(step_ms)
            names.append(admin.create(rig.account, None).friendly_name)
        assert names == [
            "SubAccount Created at 2026-03-01 11:59 am",
            "SubAccount Created at 2026-03-01 12:59 pm",
            "SubAccount Created at 2026-03-01 01:59 pm",
            "SubAccount Created at 2026-03-02 12:59 am",
            "SubAccount Created at 2026-03-02 01:59 am",
        ]

    act(tmp_path, scene)


def test_names_have_1_to_64_characters(tmp_path: Path) -> None:
    def scene(rig: Rig, admin: Administration) -> None:
        longest = "é" * NAME_MAX
        sub = admin.create(rig.account, longest)
        assert sub.friendly_name == longest
        for name in ("", longest + "é"):
            refused("invalid_friendly_name", lambda name=name: admin.create(rig.account, name))
            refused(
                "invalid_friendly_name",
                lambda name=name: admin.update(rig.account, sub, name, "suspended"),
            )
        assert list(rig.store.accounts.by_id) == [1, 2], "what was refused opened nothing"
        assert rig.store.accounts.by_id[2] == sub

    act(tmp_path, scene)


def test_a_subaccount_has_no_subaccounts(tmp_path: Path) -> None:
    def scene(rig: Rig, admin: Administration) -> None:
        sub = admin.create(rig.account, None)
        refused("subaccount_of_subaccount", lambda: admin.create(sub, None))

    act(tmp_path, scene)


def test_a_thousand_subaccounts_and_no_more(tmp_path: Path) -> None:
    """21480. A closed one makes room after 30 days, when Twilio would delete it."""

    def scene(rig: Rig, admin: Administration) -> None:
        store = rig.store.accounts
        first = admin.create(rig.account, None)
        for n in range(3, SUBACCOUNTS_MAX + 2):  # as rows do: opening each would take seconds
            other = replace(first, id=n, sid=f"AC{n:032x}")
            store.by_id[n] = store.by_sid[other.sid] = other
        refused("subaccount_limit", lambda: admin.create(rig.account, None))
        admin.update(rig.account, first, None, "closed")
        refused("subaccount_limit", lambda: admin.create(rig.account, None))
        rig.clock.advance(CLOSED_COUNTS_MS)
        assert admin.create(rig.account, None).id == SUBACCOUNTS_MAX + 2
        refused("subaccount_limit", lambda: admin.create(rig.account, None))

    act(tmp_path, scene)


def test_the_list_is_ones_own(tmp_path: Path) -> None:
    """P-21, P-22: itself and its subaccounts, newest first; names match exactly, in their case."""

    def scene(rig: Rig, admin: Administration) -> None:
        one, two = admin.create(rig.account, "Acme"), admin.create(rig.account, "Acme Ltd")
        two = admin.update(rig.account, two, None, "suspended")
        stranger = rig.store.accounts.open(
            "AC" + "9" * 32, "", one.auth_token, None, "Acme", rig.clock.now_ms()
        )
        assert admin.list(rig.account, None, None) == [two, one, rig.account]
        assert admin.list(rig.account, "Acme", None) == [one]
        assert admin.list(rig.account, "acme", None) == admin.list(rig.account, "Acm", None) == []
        assert admin.list(rig.account, None, "suspended") == [two]
        assert admin.list(rig.account, None, "active") == [one, rig.account]
        assert admin.list(rig.account, "Acme", "suspended") == []
        assert admin.list(one, None, None) == [one]
        assert admin.list(stranger, None, None) == [stranger]

    act(tmp_path, scene)


def test_a_status_takes_effect_at_once_and_outlives_a_restart(tmp_path: Path) -> None:
    left: list[Account] = []

    def scene(rig: Rig, admin: Administration) -> None:
        sub = admin.create(rig.account, "Acme")
        versions = [rig.store.accounts.version]
        for status, good in (("suspended", False), ("active", True), ("suspended", False)):
            rig.clock.advance(1_000)
            sub = admin.update(rig.account, sub, None, status)
            assert (sub.status, sub.updated_ms) == (status, rig.clock.now_ms())
            assert signs_in(rig, sub) is good
            versions.append(rig.store.accounts.version)
        assert all(a < b for a, b in pairwise(versions)), "remembered credentials are stale"
        left.append(sub)

    def after_a_restart(rig: Rig, admin: Administration) -> None:
        sub = rig.store.accounts.by_sid[left[0].sid]
        assert sub == left[0]
        assert not signs_in(rig, sub)
        assert signs_in(rig, admin.update(rig.account, sub, None, "active"))

    act(tmp_path, scene)
    act(tmp_path, after_a_restart)


def test_closed_is_final(tmp_path: Path) -> None:
    """21479: neither another status nor another name."""

    def scene(rig: Rig, admin: Administration) -> None:
        sub = admin.update(rig.account, admin.create(rig.account, "Acme"), "Gone", "closed")
        assert (sub.friendly_name, sub.status) == ("Gone", "closed")
        for name, status in ((None, "active"), (None, "closed"), ("Back", None), (None, None)):
            refused(
                "subaccount_closed",
                lambda name=name, status=status: admin.update(rig.account, sub, name, status),
            )
        assert rig.store.accounts.by_sid[sub.sid] == sub

    act(tmp_path, scene)


def test_who_may_give_a_status(tmp_path: Path) -> None:
    """21477, 21476; and a subaccount's own token, which may leak, does not close it."""

    def scene(rig: Rig, admin: Administration) -> None:
        parent = rig.account
        sub = admin.create(parent, "Acme")
        for status in ("suspended", "closed"):
            refused("parent_status_fixed", lambda s=status: admin.update(parent, parent, None, s))
            refused("access_denied", lambda s=status: admin.update(sub, sub, None, s))
        parent = admin.update(parent, parent, "Head office", "active")
        assert parent.friendly_name == "Head office", "the status it has is no change"
        sub = admin.update(sub, sub, "Renamed", None)
        assert sub.friendly_name == "Renamed"
        sub = admin.update(parent, sub, None, "suspended")
        rig.store.accounts.change(replace(parent, status="suspended"))
        refused("parent_suspended", lambda: admin.update(parent, sub, None, "active"))
        assert rig.store.accounts.by_sid[sub.sid].status == "suspended"

    act(tmp_path, scene)


def test_tokens_rotate(tmp_path: Path) -> None:
    """2.3: both are good until one is promoted or deleted, and one second token at a time."""

    def scene(rig: Rig, admin: Administration) -> None:
        first = rig.account
        assert admin.promote(first) is None
        assert admin.delete_secondary(first) is False
        both = admin.create_secondary(first)
        assert both.secondary_token is not None
        second = both.secondary_token.reveal()
        assert len(second) == 32
        assert second != first.auth_token.reveal()
        refused("conflict", lambda: admin.create_secondary(both))

        accounts = Accounts(rig.store)
        good = [
            t
            for t in (first.auth_token.reveal(), second)
            if accounts.authenticate(first.sid, t) is not None
        ]
        assert len(good) == 2
        promoted = admin.promote(both)
        assert promoted is not None
        assert promoted.auth_token.reveal() == second
        assert promoted.secondary_token is None
        assert accounts.authenticate(first.sid, first.auth_token.reveal()) is None
        assert accounts.authenticate(first.sid, second) is not None

    def after_a_restart(rig: Rig, admin: Administration) -> None:
        assert rig.account.auth_token.reveal() != "f" * 32
        third = admin.create_secondary(rig.account)
        assert third.secondary_token is not None
        assert admin.delete_secondary(third) is True
        token = third.secondary_token.reveal()
        assert Accounts(rig.store).authenticate(third.sid, token) is None
        assert signs_in(rig, rig.account), "the first is still good"

    act(tmp_path, scene)
    act(tmp_path, after_a_restart)


def test_tokens_at_rest_are_sealed(tmp_path: Path) -> None:
    """Nothing on the disk shows a token: neither one, nor what it was before."""
    tokens: list[str] = []

    def scene(rig: Rig, admin: Administration) -> None:
        sub = admin.create_secondary(admin.create(rig.account, "Acme"))
        assert sub.secondary_token is not None
        tokens.extend([sub.auth_token.reveal(), sub.secondary_token.reveal()])
        admin.promote(sub)

    act(tmp_path, scene)
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert any(b"Acme" in content for content in files), "the name is there to be found"
    for token in tokens:
        assert not any(token.encode() in content for content in files)
        assert not any(bytes.fromhex(token) in content for content in files)
