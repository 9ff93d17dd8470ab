"""HTTP Basic against a real store of accounts."""

import asyncio
from base64 import b64encode
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path

import pytest
from msgspec.structs import replace

from hushwire.actions.accounts import Accounts
from hushwire.api.auth import (
    FAILURES_BURST,
    REMEMBERED_MAX,
    Authenticator,
    authorization,
    peer,
)
from hushwire.api.limits import BUCKETS_MAX, Buckets
from hushwire.api.wire import Scope
from hushwire.clock import Clock, SystemEntropy
from hushwire.domain.account import Account, ApiKey, KeyKind
from hushwire.errors import PROBLEMS, Refusal, Unavailable
from hushwire.observe import Metrics
from hushwire.private import Private
from hushwire.store.store import Store
from hushwire.vault.slots import Slots

SID, TOKEN = "AC" + "a" * 32, "1" * 32
OTHER_SID, OTHER_TOKEN = "AC" + "b" * 32, "2" * 32


def header(user: str, password: str) -> bytes:
    return b"Basic " + b64encode(f"{user}:{password}".encode())


def scope(value: bytes, path: str = "/p", client: str = "192.0.2.1") -> Scope:
    """A request with that Authorization header."""
    headers = [(b"authorization", value)] if value else []
    return {"headers": headers, "path": path, "client": (client, 4000)}


def play(
    folder: Path,
    scene: Callable[[Authenticator], None],
    accounts: Sequence[tuple[str, str]] = ((SID, TOKEN), (OTHER_SID, OTHER_TOKEN)),
) -> None:
    """`scene` with these accounts in a store of their own."""

    def with_store(auth: Authenticator, store: Store, clock: Clock) -> None:
        scene(auth)

    play_with(folder, with_store, accounts)


def play_with(
    folder: Path,
    scene: Callable[[Authenticator, Store, Clock], None],
    accounts: Sequence[tuple[str, str]] = ((SID, TOKEN), (OTHER_SID, OTHER_TOKEN)),
    per_s: int = 0,
) -> None:
    async def main() -> None:
        root = bytes(32)
        slots = Slots.open(folder / "vault", root, slots_per_file=1024)

        def failed(error: BaseException) -> None:
            raise error

        store = Store(
            folder / "db", slots, root, SystemEntropy(), Metrics(), failed=failed, threaded=False
        )
        for sid, token in accounts:
            store.accounts.open(sid, "", Private(token), None, "An account", 1_000)
        clock = Clock(read=lambda: 1_000)
        scene(Authenticator(Accounts(store), clock, peer, per_s), store, clock)
        await store.close()
        slots.close()

    asyncio.run(main())


def refused(problem: str, call: Callable[[], object]) -> Refusal:
    with pytest.raises(Refusal) as caught:
        call()
    assert caught.value.problem is PROBLEMS[problem]
    return caught.value


def test_the_account_of_the_credentials(tmp_path: Path) -> None:
    def scene(auth: Authenticator) -> None:
        for _ in range(2):  # looked up, then remembered
            assert auth.caller(scope(header(SID, TOKEN))).account.sid == SID
            assert auth.caller(scope(header(OTHER_SID, OTHER_TOKEN))).account.sid == OTHER_SID
        assert auth.caller(scope(header(SID, TOKEN).replace(b"Basic", b"bAsIc"))).account.sid == SID

    play(tmp_path, scene)


def test_what_opens_no_account(tmp_path: Path) -> None:
    """K-4, 2.6: one answer for every reason, so that it tells nothing."""
    wrong = [
        header(SID, OTHER_TOKEN), header(SID, ""), header("", TOKEN), header(SID, TOKEN + "1"),
        header(SID.lower(), TOKEN), header("AC" + "0" * 32, "0" * 32), header(SID, "é"),
        b64encode(f"{SID}:{TOKEN}".encode()), b"Bearer abc", b"Basic", b"Basic ", b"Basic !!",
        b"Basic " + b64encode(SID.encode()), b"Basic " + b64encode(b"\xff:\xfe"), b"\xff",
        b" " + header(SID, TOKEN),
    ]  # fmt: skip

    def scene(auth: Authenticator) -> None:
        for value in wrong * 2:
            refused("authenticate", lambda value=value: auth.caller(scope(value)))
        refused("no_credentials", lambda: auth.caller(scope(b"")))
        assert auth.caller(scope(header(SID, TOKEN))).account.sid == SID

    play(tmp_path, scene)


def test_the_path_must_name_the_caller(tmp_path: Path) -> None:
    """D13, P-20: another account's SID and one that nobody has get the same answer."""

    def scene(auth: Authenticator) -> None:
        assert auth.path_account(scope(header(SID, TOKEN)), SID, "twilio/x/y/read").sid == SID
        for sid in (OTHER_SID, "AC" + "0" * 32, "", SID.lower()):
            error = refused(
                "not_found",
                lambda sid=sid: auth.path_account(
                    scope(header(SID, TOKEN)), sid, "twilio/x/y/read"
                ),
            )
            assert error.text == "The requested resource /p was not found"
        # Credentials come first: without them no path says anything.
        refused(
            "authenticate",
            lambda: auth.path_account(scope(header(SID, "x")), OTHER_SID, "twilio/x/y/read"),
        )
        refused(
            "no_credentials", lambda: auth.path_account(scope(b""), OTHER_SID, "twilio/x/y/read")
        )

    play(tmp_path, scene)


def test_memory_is_bounded_and_can_be_cleared(tmp_path: Path) -> None:
    """A right header has 32 spellings, by the case of its scheme: forgotten before it is many."""
    accounts = [(f"AC{n:032x}", f"{n:032x}") for n in range(REMEMBERED_MAX // 32 + 2)]
    letters = list(zip("basic", "BASIC", strict=True))
    schemes = ["".join(pair[n >> i & 1] for i, pair in enumerate(letters)) for n in range(32)]

    def scene(auth: Authenticator) -> None:
        for sid, token in accounts:
            value = header(sid, token).partition(b" ")[2]
            for scheme in schemes:
                assert auth.caller(scope(scheme.encode() + b" " + value)).account.sid == sid
                assert 0 < len(auth._known) <= REMEMBERED_MAX
        auth.forget()
        assert not auth._known
        assert auth.caller(scope(header(*accounts[0]))).account.sid == accounts[0][0]

    play(tmp_path, scene, accounts)


def test_the_header_among_others() -> None:
    headers = [(b"host", b"x"), (b"authorization", b"Basic eA=="), (b"accept", b"*/*")]
    assert authorization(headers) == b"Basic eA=="
    assert authorization([(b"host", b"x")]) == b""


READ, LIST_ACCOUNTS = "twilio/messaging/messages/read", "twilio/iam/accounts/list"
SUB_SID, KEY_SID, SECRET = "AC" + "c" * 32, "SK" + "d" * 32, "s" * 32


def add_key(store: Store, kind: KeyKind, *permissions: str, account_id: int = 1) -> bytes:
    digest = sha256(SECRET.encode()).digest()
    store.accounts.put_key(
        ApiKey(KEY_SID, account_id, None, kind, permissions, digest, 1_000, 1_000)
    )
    return header(KEY_SID, SECRET)


def add_sub(store: Store) -> Account:
    return store.accounts.open(SUB_SID, "", Private("3" * 32), None, "Sub", 1_000, owner_id=1)


def test_a_parent_reaches_its_subaccounts_and_nobody_else(tmp_path: Path) -> None:
    """2.2, D13: a subaccount reaches neither its parent nor a sibling."""

    def scene(auth: Authenticator, store: Store, clock: Clock) -> None:
        sub = add_sub(store)
        of = auth.path_account
        assert of(scope(header(SID, TOKEN)), SUB_SID, READ) == sub
        for user, password, path_sid in (
            (OTHER_SID, OTHER_TOKEN, SUB_SID), (SUB_SID, "3" * 32, SID),
            (SUB_SID, "3" * 32, OTHER_SID),
        ):  # fmt: skip
            value = header(user, password)
            refused("not_found", lambda v=value, p=path_sid: of(scope(v), p, READ))

    play_with(tmp_path, scene)


def test_a_suspended_account_is_out_at_once_and_its_parent_may_only_look(tmp_path: Path) -> None:
    """K-4: suspended and closed accounts are refused like a wrong token."""

    def scene(auth: Authenticator, store: Store, clock: Clock) -> None:
        sub = add_sub(store)
        own, parents = scope(header(SUB_SID, "3" * 32)), scope(header(SID, TOKEN))
        assert auth.caller(own).account == sub
        for status in ("suspended", "closed"):
            store.accounts.change(replace(sub, status=status))
            refused("authenticate", lambda: auth.caller(own))
            assert auth.path_account(parents, SUB_SID, READ).status == status
            assert auth.path_account(parents, SUB_SID, "twilio/iam/accounts/update")
            refused(
                "account_not_active",
                lambda: auth.path_account(parents, SUB_SID, "twilio/messaging/messages/create"),
            )
        store.accounts.change(sub)
        assert auth.caller(own).account == sub
        parent = store.accounts.by_sid[SID]
        store.accounts.change(replace(parent, status="suspended"))
        refused("authenticate", lambda: auth.caller(own))

    play_with(tmp_path, scene)


def test_a_secondary_token_is_as_good_until_it_goes(tmp_path: Path) -> None:
    def scene(auth: Authenticator, store: Store, clock: Clock) -> None:
        account = store.accounts.by_sid[SID]
        second = scope(header(SID, "9" * 32))
        refused("authenticate", lambda: auth.caller(second))
        store.accounts.change(replace(account, secondary_token=Private("9" * 32)))
        assert auth.caller(second).account.sid == SID
        assert auth.caller(scope(header(SID, TOKEN))).account.sid == SID
        store.accounts.change(account)
        refused("authenticate", lambda: auth.caller(second))

    play_with(tmp_path, scene)


def test_what_a_key_may_do(tmp_path: Path) -> None:
    """2.1, 2.4, W10: standard keys reach neither accounts nor keys, restricted what they name."""

    def scene(auth: Authenticator, store: Store, clock: Clock) -> None:
        def of(permission: str) -> str:
            return auth.path_account(scope(value), SID, permission).sid

        value = add_key(store, "standard")
        assert of(READ) == SID
        refused("authenticate", lambda: of(LIST_ACCOUNTS))
        value = add_key(store, "main")
        store.accounts.delete_key(KEY_SID)
        refused("authenticate", lambda: of(READ))
        add_key(store, "main")
        assert of(LIST_ACCOUNTS) == SID
        store.accounts.delete_key(KEY_SID)
        add_key(store, "restricted", "/twilio/messaging/messages/list", "/twilio/numbers/*")
        assert of("twilio/messaging/messages/list") == of("twilio/numbers/incoming/read") == SID
        error = refused("permission_missing", lambda: of(READ))
        assert error.body()["code"] == 70051
        assert READ in error.text
        refused("permission_missing", lambda: of("twilio/numbersake/x/read"))
        refused("not_found", lambda: auth.path_account(scope(value), OTHER_SID, READ))
        wrong = scope(header(KEY_SID, SECRET + "x"))
        refused("authenticate", lambda: auth.caller(wrong))
        refused("authenticate", lambda: auth.caller(scope(header(KEY_SID, TOKEN))))

    play_with(tmp_path, scene)


def test_many_wrong_tries_have_to_wait(tmp_path: Path) -> None:
    """Of one user, from one address; who was right before is not held up."""

    def scene(auth: Authenticator, store: Store, clock: Clock) -> None:
        right, wrong = scope(header(SID, TOKEN)), scope(header(SID, "x"))
        auth.caller(right)
        for _ in range(FAILURES_BURST):
            refused("authenticate", lambda: auth.caller(wrong))
        error = refused("too_many_requests", lambda: auth.caller(wrong))
        assert isinstance(error, Unavailable)
        assert error.retry_after_s == 5
        assert auth.caller(right).account.sid == SID
        auth.forget()
        refused("too_many_requests", lambda: auth.caller(right))
        assert auth.caller(scope(header(SID, TOKEN), client="192.0.2.2")).account.sid == SID
        auth.forget()
        clock.offset_ms += error.retry_after_s * 1000
        assert auth.caller(right).account.sid == SID

    play_with(tmp_path, scene)


def test_an_account_may_ask_so_often(tmp_path: Path) -> None:
    """20429 with Retry-After (W15), each account for itself."""

    def scene(auth: Authenticator, store: Store, clock: Clock) -> None:
        one, other = scope(header(SID, TOKEN)), scope(header(OTHER_SID, OTHER_TOKEN))
        for _ in range(3):
            auth.caller(one)
        error = refused("too_many_requests", lambda: auth.caller(one))
        assert isinstance(error, Unavailable)
        assert error.retry_after_s == 1
        assert auth.caller(other).account.sid == OTHER_SID
        clock.offset_ms += 1_000
        assert auth.caller(one).account.sid == SID

    play_with(tmp_path, scene, per_s=3)


def test_buckets_are_bounded() -> None:
    buckets = Buckets(1, 1)
    for n in range(BUCKETS_MAX + 5):
        assert buckets.take(n, 0) == 0
    assert len(buckets._levels) == BUCKETS_MAX
    assert buckets.take(BUCKETS_MAX, 0) == 1
    assert buckets.take(0, 0) == 0, "the longest untouched was forgotten"
