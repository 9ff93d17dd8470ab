"""How long a refusal takes says nothing of why: whether the user exists, how much of the token
was right, whether the account is suspended.

Measured in process, at `Accounts.authenticate`, where a difference is largest against its noise.
Each round asks every kind of wrong credentials in a new order, a batch of each; so whatever slows
the machine down slows all of them. Two kinds are told apart when the medians of their batches
differ by more than `BOUND_NS` and exchanging the two within rounds at random (a paired
permutation test) almost never makes such a difference.

Why 250 ns: a round trip through a network varies by ten microseconds or more. To see 250 ns
through that takes some ten thousand answers; an address gets twenty, and then one every five
seconds (`FAILURES_BURST`, `FAILURES_PER_S`).
"""

import asyncio
import gc
import random
from collections.abc import Callable
from hashlib import sha256
from itertools import combinations
from pathlib import Path
from statistics import median
from time import perf_counter_ns

import pytest
from msgspec.structs import replace

from hushwire.actions.accounts import Accounts
from hushwire.domain.account import Account, ApiKey
from hushwire.private import Private
from hushwire.store.store import Store
from rig import START_MS, Rig

BOUND_NS = 250
ROUNDS, BATCH = 2_000, 20
PERMUTATIONS, RARELY = 1_000, 0.001

Authenticate = Callable[[str, str], object]
TOKEN, SECRET, WRONG = "1a" * 16, "s" * 32, "9" * 32
KEY_SID, SUB_SID, ROTATING_SID = "SK" + "d" * 32, "AC" + "c" * 32, "AC" + "e" * 32
SID = "AC" + "b" * 32
REFUSED = {
    "unknown account": ("AC" + "9" * 32, WRONG),
    "unknown key": ("SK" + "9" * 32, WRONG),
    "no user": ("", WRONG),
    "wrong token": (SID, WRONG),
    "all but its last digit": (SID, TOKEN[:-1] + "b"),
    "too short": (SID, TOKEN[:-1]),
    "no token": (SID, ""),
    "too long": (SID, TOKEN + "0"),
    "two tokens, neither": (ROTATING_SID, WRONG),
    "two tokens, nearly the second": (ROTATING_SID, SECRET[:-1] + "b"),
    "wrong secret": (KEY_SID, WRONG),
    "nearly the secret": (KEY_SID, SECRET[:-1] + "b"),
    "suspended, right token": (SUB_SID, TOKEN),
    "suspended, wrong token": (SUB_SID, WRONG),
}

pytestmark = pytest.mark.torture


def furnished(store: Store) -> Accounts:
    """An account with a key, one with two tokens, and a suspended one."""

    def open_(sid: str) -> Account:
        return store.accounts.open(sid, "", Private(TOKEN), None, "An account", START_MS)

    account = open_(SID)
    store.accounts.change(replace(open_(SUB_SID), status="suspended"))
    store.accounts.change(replace(open_(ROTATING_SID), secondary_token=Private(SECRET)))
    digest = sha256(SECRET.encode()).digest()
    store.accounts.put_key(
        ApiKey(KEY_SID, account.id, None, "standard", (), digest, START_MS, START_MS)
    )
    return Accounts(store)


def measured(
    authenticate: Authenticate, kinds: dict[str, tuple[str, str]]
) -> dict[str, list[float]]:
    """Nanoseconds of a call, a value a round, for each kind of credentials."""
    taken: dict[str, list[float]] = {kind: [] for kind in kinds}
    order, chance = list(kinds), random.Random(1)
    gc.collect()
    gc.disable()
    try:
        for _ in range(ROUNDS):
            chance.shuffle(order)
            for kind in order:
                user, password = kinds[kind]
                start = perf_counter_ns()
                for _ in range(BATCH):
                    authenticate(user, password)
                taken[kind].append((perf_counter_ns() - start) / BATCH)
    finally:
        gc.enable()
    return taken


def told_apart(one: list[float], other: list[float]) -> bool:
    """Do these rounds tell the two apart, by more than the bound and by more than chance?"""
    difference = abs(median(one) - median(other))
    if difference <= BOUND_NS:
        return False
    pairs, chance, as_large = list(zip(one, other, strict=True)), random.Random(2), 0
    for _ in range(PERMUTATIONS):
        swapped = [pair if chance.random() < 0.5 else pair[::-1] for pair in pairs]
        found = abs(median(a for a, _ in swapped) - median(b for _, b in swapped))
        as_large += found >= difference
    return as_large <= RARELY * PERMUTATIONS


def found(taken: dict[str, list[float]]) -> list[tuple[str, str]]:
    return [pair for pair in combinations(taken, 2) if told_apart(*(taken[kind] for kind in pair))]


def with_store(folder: Path, scene: Callable[[Store], None]) -> None:
    async def main() -> None:
        rig = Rig(folder)
        scene(rig.store)
        await rig.store.close()
        rig.slots.close()

    asyncio.run(main())


def test_a_refusal_takes_as_long_whatever_its_reason(tmp_path: Path) -> None:
    """K-4, 2.6: credentials are checked in constant time, up to the bound."""

    def scene(store: Store) -> None:
        accounts = furnished(store)
        assert accounts.authenticate(SID, TOKEN) is not None
        assert accounts.authenticate(ROTATING_SID, SECRET) is not None
        assert accounts.authenticate(KEY_SID, SECRET) is not None
        assert all(accounts.authenticate(*kind) is None for kind in REFUSED.values())
        taken = measured(accounts.authenticate, REFUSED)
        medians = {kind: round(median(rounds)) for kind, rounds in taken.items()}
        assert found(taken) == [], medians

    with_store(tmp_path, scene)


def test_an_early_return_would_be_found(tmp_path: Path) -> None:
    """The control: who is unknown is refused before anything is hashed."""

    def scene(store: Store) -> None:
        accounts = furnished(store)

        def early(user: str, password: str) -> object:
            if user not in store.accounts.by_sid:
                return None
            return accounts.authenticate(user, password)

        kinds = {kind: REFUSED[kind] for kind in ("unknown account", "wrong token")}
        assert found(measured(early, kinds)) == [("unknown account", "wrong token")]

    with_store(tmp_path, scene)


def test_a_comparison_that_stops_early_would_be_found(tmp_path: Path) -> None:
    """The control: one digit after the other, up to the first that is wrong.

    That is how `==` compares, too; of 32 bytes in C it takes a nanosecond, less than anybody
    can measure, so the control takes it slowly.
    """

    def scene(store: Store) -> None:
        furnished(store)

        def stopping(user: str, password: str) -> object:
            token = store.accounts.by_sid[user].auth_token.reveal()
            return all(a == b for a, b in zip(token, password, strict=False))

        kinds = {kind: REFUSED[kind] for kind in ("wrong token", "all but its last digit")}
        assert found(measured(stopping, kinds)) == [("wrong token", "all but its last digit")]

    with_store(tmp_path, scene)


def test_the_same_twice_is_not_told_apart(tmp_path: Path) -> None:
    """The other control: noise alone finds nothing."""

    def scene(store: Store) -> None:
        kinds = {"once": REFUSED["wrong token"], "again": REFUSED["wrong token"]}
        assert found(measured(furnished(store).authenticate, kinds)) == []

    with_store(tmp_path, scene)
