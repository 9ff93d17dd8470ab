"""Keys, shown and rotated: for the first account only, which is the operator's.

    GET  /hushwire/v1/keys           how many keys there are, and how old; no key
    POST /hushwire/v1/keys/rotate    {"rotate": "root"}, "all" or the SID of an account: 202
    GET  /hushwire/v1/keys/rotate    how far it is

Where the root key comes from is no parameter: a provider may run a program or read a file, and
who has the account's token must not choose which.
"""

from typing import Final

import msgspec
from msgspec import Struct
from msgspec.structs import asdict
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hushwire.actions.accounts import Accounts
from hushwire.actions.keyrotation import KeyInventory, KeyRotation, RotationProgress
from hushwire.api.dates import iso8601
from hushwire.api.door import Door, answer
from hushwire.api.wire import read_body
from hushwire.domain.account import VAULT_KEYS, Caller
from hushwire.errors import Refusal

PATH: Final = "/hushwire/v1/keys"
_READ: Final = f"{VAULT_KEYS}read"
_UPDATE: Final = f"{VAULT_KEYS}update"
_FIRST: Final = 1  # the account of the first start


class _Wanted(Struct, frozen=True, forbid_unknown_fields=True):
    rotate: str  # `root`, `all`, or the SID of an account


class KeyRotationResource:
    """Keys, spoken to the actions."""

    def __init__(self, rotation: KeyRotation, accounts: Accounts, door: Door) -> None:
        self._rotation = rotation
        self._accounts = accounts
        self._door = door

    def routes(self) -> list[Route]:
        return [
            Route(PATH, self.show, methods=["GET"]),
            Route(f"{PATH}/rotate", self._rotate, methods=["GET", "POST"]),
        ]

    async def show(self, request: Request) -> Response:
        self._operator(request, _READ)
        return answer(200, _inventory(self._rotation.inventory()))

    async def begin(self, request: Request) -> Response:
        content = await read_body(request.receive)  # the credentials may change while it comes
        caller = self._operator(request, _UPDATE)
        try:
            wanted = msgspec.json.decode(content, type=_Wanted)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise Refusal("malformed_request") from None
        if wanted.rotate == "root":
            return answer(202, _progress(self._rotation.rotate_root()))
        if wanted.rotate == "all":
            return answer(202, _progress(self._rotation.rotate_accounts(None)))
        account = self._accounts.reached(caller, wanted.rotate)
        if account is None:
            raise Refusal("invalid_parameter", parameter="rotate")
        return answer(202, _progress(self._rotation.rotate_accounts([account])))

    async def look(self, request: Request) -> Response:
        self._operator(request, _READ)
        return answer(200, _progress(self._rotation.look()))

    async def _rotate(self, request: Request) -> Response:
        return await (self.begin(request) if request.method == "POST" else self.look(request))

    def _operator(self, request: Request, permission: str) -> Caller:
        caller = self._door.caller(request, permission)
        if caller.account.id != _FIRST:
            raise Refusal("access_denied")
        return caller


def _inventory(found: KeyInventory) -> dict[str, object]:
    return {
        "root_provider": found.root_provider,
        "root_since": _moment(found.root_since_ms),
        "account_keys": found.account_keys,
        "oldest_account_key": _moment(found.oldest_account_key_ms),
        "newest_account_key": _moment(found.newest_account_key_ms),
        "keys_under_root": found.keys_under_root,
        "slots_live": found.live_slots,
        "slots_free": found.free_slots,
        "slot_files": found.files,
        "copied": found.copied,
        "rotations_unfinished": found.unfinished,
    }


def _progress(progress: RotationProgress) -> dict[str, object]:
    facts = asdict(progress)
    began, ended = facts.pop("began_ms"), facts.pop("ended_ms")
    error = facts.pop("error")
    return {**facts, "error": error or None, "began": _moment(began), "ended": _moment(ended)}


def _moment(ms: int) -> str | None:
    return iso8601(ms) if ms else None
