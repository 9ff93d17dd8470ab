"""HTTP Basic against a real store of accounts."""

import asyncio
from base64 import b64encode
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from hushwire.actions.accounts import Accounts
from hushwire.api.auth import REMEMBERED_MAX, Authenticator, authorization
from hushwire.clock import SystemEntropy
from hushwire.errors import PROBLEMS, Refusal
from hushwire.observe import Metrics
from hushwire.private import Private
from hushwire.store.store import Store
from hushwire.vault.slots import Slots

SID, TOKEN = "AC" + "a" * 32, "1" * 32
OTHER_SID, OTHER_TOKEN = "AC" + "b" * 32, "2" * 32


def header(user: str, password: str) -> bytes:
    return b"Basic " + b64encode(f"{user}:{password}".encode())


def play(
    folder: Path,
    scene: Callable[[Authenticator], None],
    accounts: Sequence[tuple[str, str]] = ((SID, TOKEN), (OTHER_SID, OTHER_TOKEN)),
) -> None:
    """`scene` with these accounts in a store of their own."""

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
        scene(Authenticator(Accounts(store)))
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
            assert auth.account(header(SID, TOKEN)).sid == SID
            assert auth.account(header(OTHER_SID, OTHER_TOKEN)).sid == OTHER_SID
        assert auth.account(header(SID, TOKEN).replace(b"Basic", b"bAsIc")).sid == SID

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
            refused("authenticate", lambda value=value: auth.account(value))
        refused("no_credentials", lambda: auth.account(b""))
        assert auth.account(header(SID, TOKEN)).sid == SID

    play(tmp_path, scene)


def test_the_path_must_name_the_caller(tmp_path: Path) -> None:
    """D13, P-20: another account's SID and one that nobody has get the same answer."""

    def scene(auth: Authenticator) -> None:
        assert auth.path_account(header(SID, TOKEN), SID, "/p").sid == SID
        for sid in (OTHER_SID, "AC" + "0" * 32, "", SID.lower()):
            error = refused(
                "not_found", lambda sid=sid: auth.path_account(header(SID, TOKEN), sid, "/p")
            )
            assert error.text == "The requested resource /p was not found"
        # Credentials come first: without them no path says anything.
        refused("authenticate", lambda: auth.path_account(header(SID, "x"), OTHER_SID, "/p"))
        refused("no_credentials", lambda: auth.path_account(b"", OTHER_SID, "/p"))

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
                assert auth.account(scheme.encode() + b" " + value).sid == sid
                assert 0 < len(auth._known) <= REMEMBERED_MAX
        auth.forget()
        assert not auth._known
        assert auth.account(header(*accounts[0])).sid == accounts[0][0]

    play(tmp_path, scene, accounts)


def test_the_header_among_others() -> None:
    headers = [(b"host", b"x"), (b"authorization", b"Basic eA=="), (b"accept", b"*/*")]
    assert authorization(headers) == b"Basic eA=="
    assert authorization([(b"host", b"x")]) == b""
