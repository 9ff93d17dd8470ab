"""What is done with API keys, against a real store."""

import re
import string
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hushwire.actions.accounts import Accounts, Administration
from hushwire.actions.keys import (
    NAME_MAX,
    PERMISSIONS_MAX,
    Keys,
    NewKey,
    _check_permissions,
    _new_secret,
)
from hushwire.clock import SeededEntropy, SystemEntropy
from hushwire.domain.account import ApiKey, Caller
from hushwire.domain.sid import is_sid
from hushwire.errors import PROBLEMS, Refusal
from hushwire.private import Private
from rig import Rig, play

ROOT = Path(__file__).parents[2]
READ, LIST = "/twilio/messaging/messages/read", "/twilio/messaging/messages/list"


def act(folder: Path, scene: Callable[[Rig, Keys, Caller], None]) -> None:
    async def main(rig: Rig) -> None:
        keys = Keys(rig.store, rig.clock, SystemEntropy())
        scene(rig, keys, Caller(rig.account))

    play(folder, main)


def refused(problem: str, call: Callable[[], object]) -> Refusal:
    with pytest.raises(Refusal) as caught:
        call()
    assert caught.value.problem is PROBLEMS[problem]
    return caught.value


def restricted(*permissions: str, name: str | None = None) -> NewKey:
    return NewKey(name, "restricted", permissions)


def test_a_key_is_made_and_kept_without_its_secret(tmp_path: Path) -> None:
    made: list[tuple[ApiKey, Private]] = []

    def scene(rig: Rig, keys: Keys, caller: Caller) -> None:
        key, secret = keys.create(caller, rig.account, NewKey("Deploy"))
        assert is_sid(key.sid, "SK")
        assert (key.friendly_name, key.kind, key.permissions) == ("Deploy", "standard", ())
        assert key.created_ms == key.updated_ms == rig.clock.now_ms()
        assert len(secret) == 32
        assert set(secret.reveal()) <= set(string.ascii_letters + string.digits)
        found = Accounts(rig.store).authenticate(key.sid, secret.reveal())
        assert found == Caller(rig.account, key)
        assert keys.create(caller, rig.account, NewKey())[0].friendly_name is None
        made.append((key, secret))

    def after_a_restart(rig: Rig, keys: Keys, caller: Caller) -> None:
        key, secret = made[0]
        assert keys.fetch(rig.account, key.sid) == key
        assert Accounts(rig.store).authenticate(key.sid, secret.reveal()) is not None

    act(tmp_path, scene)
    secret = made[0][1].reveal().encode()
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert any(b"Deploy" in content for content in files), "the name is there to be found"
    assert not any(secret in content for content in files)
    act(tmp_path, after_a_restart)


@given(st.integers(0, 2**32))
def test_a_secret_is_32_characters_of_62(seed: int) -> None:
    secret = _new_secret(SeededEntropy(seed).bytes)
    assert len(secret) == 32
    assert secret.isalnum()
    assert secret.isascii()


def test_each_character_of_a_secret_has_the_same_chance() -> None:
    entropy = SeededEntropy(7)
    counts = Counter("".join(_new_secret(entropy.bytes) for _ in range(6_200)))
    assert len(counts) == 62
    expected = 6_200 * 32 / 62
    chi_squared = sum((n - expected) ** 2 / expected for n in counts.values())
    assert chi_squared < 110, "61 degrees of freedom: above 110 once in ten thousand"


def test_names_have_at_most_64_characters(tmp_path: Path) -> None:
    """70001, as at Twilio."""

    def scene(rig: Rig, keys: Keys, caller: Caller) -> None:
        key, _ = keys.create(caller, rig.account, NewKey("é" * NAME_MAX))
        long = "é" * (NAME_MAX + 1)
        refused("constraint_violation", lambda: keys.create(caller, rig.account, NewKey(long)))
        refused("constraint_violation", lambda: keys.update(caller, key, long))
        assert keys.list(rig.account) == [key]

    act(tmp_path, scene)


@pytest.mark.parametrize(
    "permission",
    [READ, "/twilio/iam/api-keys/list", "/twilio/*", "/twilio/messaging/*",
     "/twilio/messaging/messages/*", "/twilio/whatever/no_one.knows/yet"],
)  # fmt: skip
def test_well_formed_permissions(permission: str) -> None:
    _check_permissions((permission,))


@pytest.mark.parametrize(
    "permission",
    ["", "*", "/*", "/twilio", "/twilio/", READ[1:], READ + "/", READ + "/*", READ + "\n",
     READ + "/more", "/twilio/messaging/messages", "/twilio//messages/read", "/twilio/*/read",
     "/twilio/messaging*", "/other/messaging/messages/read", "/twilio/méssaging/messages/read",
     "/twilio/messaging/messages/read all", "/twilio/messaging/messages/" + "x" * 65],
)  # fmt: skip
def test_malformed_permissions(permission: str) -> None:
    """70002 names what is wrong, and no more than it has room for."""
    error = refused("invalid_permission", lambda: _check_permissions((READ, permission)))
    assert error.text == f"assertion '{permission[:100]}' is invalid"


def test_a_restricted_key_has_1_to_100_permissions(tmp_path: Path) -> None:
    def scene(rig: Rig, keys: Keys, caller: Caller) -> None:
        most = tuple(f"/twilio/messaging/messages/x{n}" for n in range(PERMISSIONS_MAX))
        key, _ = keys.create(caller, rig.account, restricted(*most))
        assert key.permissions == most
        for wrong in ((), (*most, READ)):
            refused(
                "constraint_violation",
                lambda wrong=wrong: keys.create(caller, rig.account, restricted(*wrong)),
            )
            refused(
                "constraint_violation", lambda wrong=wrong: keys.update(caller, key, None, wrong)
            )

    act(tmp_path, scene)


def test_a_key_is_changed_and_kept(tmp_path: Path) -> None:
    sids: list[str] = []

    def scene(rig: Rig, keys: Keys, caller: Caller) -> None:
        key, secret = keys.create(caller, rig.account, restricted(READ, name="Old"))
        version = rig.store.accounts.version
        rig.clock.advance(5_000)
        renamed = keys.update(caller, key, "New")
        assert (renamed.friendly_name, renamed.permissions) == ("New", (READ,))
        assert renamed.updated_ms == key.created_ms + 5_000
        widened = keys.update(caller, renamed, None, (READ, LIST))
        assert (widened.friendly_name, widened.permissions) == ("New", (READ, LIST))
        assert rig.store.accounts.version > version
        assert Accounts(rig.store).authenticate(key.sid, secret.reveal()) is not None
        standard, _ = keys.create(caller, rig.account, NewKey())
        refused("invalid_parameter", lambda: keys.update(caller, standard, None, (READ,)))
        sids.append(key.sid)

    def after_a_restart(rig: Rig, keys: Keys, caller: Caller) -> None:
        key = keys.fetch(rig.account, sids[0])
        assert key is not None
        assert (key.friendly_name, key.permissions) == ("New", (READ, LIST))

    act(tmp_path, scene)
    act(tmp_path, after_a_restart)


def test_a_deleted_key_is_out_at_once(tmp_path: Path) -> None:
    sids: list[str] = []

    def scene(rig: Rig, keys: Keys, caller: Caller) -> None:
        key, secret = keys.create(caller, rig.account, NewKey())
        version = rig.store.accounts.version
        keys.delete(key)
        assert rig.store.accounts.version > version, "remembered credentials are stale"
        assert Accounts(rig.store).authenticate(key.sid, secret.reveal()) is None
        sids.append(key.sid)

    def after_a_restart(rig: Rig, keys: Keys, caller: Caller) -> None:
        assert keys.fetch(rig.account, sids[0]) is None

    act(tmp_path, scene)
    act(tmp_path, after_a_restart)


def test_whose_keys_these_are(tmp_path: Path) -> None:
    """D13: a subaccount's are its own and its parent's to see, and nobody else's."""

    def scene(rig: Rig, keys: Keys, caller: Caller) -> None:
        admin = Administration(rig.store, rig.clock, SystemEntropy())
        sub, sibling = admin.create(rig.account, "A"), admin.create(rig.account, "B")
        key, _ = keys.create(caller, sub, NewKey())
        rig.clock.advance(1)
        newer, _ = keys.create(Caller(sub), sub, NewKey())
        assert keys.list(sub) == [newer, key]
        assert keys.list(rig.account) == keys.list(sibling) == []
        assert keys.fetch(sub, key.sid) == key
        assert keys.fetch(rig.account, key.sid) is keys.fetch(sibling, key.sid) is None
        assert keys.reached(Caller(sub), key.sid) == keys.reached(caller, key.sid) == key
        assert keys.reached(Caller(sibling), key.sid) is None
        own, _ = keys.create(caller, rig.account, NewKey())
        assert keys.reached(Caller(sub), own.sid) is None
        closed = admin.update(rig.account, sub, None, "closed")
        refused("account_not_active", lambda: keys.create(caller, closed, NewKey()))

    act(tmp_path, scene)


def test_a_restricted_key_gives_no_more_than_it_has(tmp_path: Path) -> None:
    """Else the permission to make keys would be every permission."""

    def scene(rig: Rig, keys: Keys, caller: Caller) -> None:
        account = rig.account
        own, _ = keys.create(caller, account, restricted("/twilio/iam/api-keys/*", READ))
        less = Caller(account, own)
        for wanted in (
            NewKey(), NewKey(kind="main"), restricted(LIST), restricted(READ, LIST),
            restricted("/twilio/*"), restricted("/twilio/messaging/messages/*"),
        ):  # fmt: skip
            refused("access_denied", lambda wanted=wanted: keys.create(less, account, wanted))
        made, _ = keys.create(less, account, restricted(READ, "/twilio/iam/api-keys/read"))
        refused("access_denied", lambda: keys.update(less, own, None, (READ, LIST)))
        refused("access_denied", lambda: keys.update(less, made, None, ("/twilio/*",)))
        assert keys.update(less, made, "Less", (READ,)).permissions == (READ,)
        assert keys.list(account) == [
            key for key in keys.list(account) if key.sid in (own.sid, made.sid)
        ]
        main, _ = keys.create(caller, account, NewKey(kind="main"))
        assert keys.create(Caller(account, main), account, NewKey(kind="main"))

    act(tmp_path, scene)


def test_the_table_of_permissions_names_all_that_are_checked() -> None:
    """2.4: any string is stored, so the page is the one place that says which mean something."""
    sources = [*(ROOT / "src/hushwire/api").glob("*.py"), ROOT / "src/hushwire/assemble.py"]
    checked = {
        name
        for source in sources
        for name in re.findall(r"\btwilio/[a-z-]+/[a-z-]+", source.read_text(encoding="utf-8"))
    }
    page = (ROOT / "docs/reference/api-keys.md").read_text(encoding="utf-8")
    assert checked == set(re.findall(r"^\| `/(twilio/[a-z-]+/[a-z-]+)/…`", page, re.M))
