"""What the audit log says of a change of an account or an API key. Pure.

Tokens, secrets and names are not in it: only that they changed, or not even that.
"""

from collections.abc import Iterator

from msgspec import Struct
from msgspec.structs import asdict

from hushwire.domain.account import Account, ApiKey
from hushwire.domain.audit import Draft


def of_account(before: Account | None, after: Account, actor: str | None) -> list[Draft]:
    """What `actor` did: opened the account, rotated its tokens, set what is kept and forgotten."""
    if before is None:
        return [Draft(after.sid, "account.opened", (after.sid,), actor=actor)]
    drafts = list(_of_tokens(before, after, actor))
    if settings := " ".join(_set(before, after)):
        drafts.append(Draft(after.sid, "settings.changed", (after.sid,), settings, actor))
    return drafts


def of_key(
    account: str, before: ApiKey | None, after: ApiKey | None, actor: str | None
) -> list[Draft]:
    """A key of the account of that SID was made (no `before`), changed, or revoked."""
    if before is None:
        assert after is not None
        return [Draft(account, "api_key.made", (after.sid,), after.kind, actor)]
    if after is None:
        return [Draft(account, "api_key.revoked", (before.sid,), before.kind, actor)]
    if before.permissions != after.permissions:
        return [Draft(account, "api_key.changed", (after.sid,), "permissions", actor)]
    return []


def _of_tokens(before: Account, after: Account, actor: str | None) -> Iterator[Draft]:
    subjects = (after.sid,)
    if before.auth_token != after.auth_token:
        promoted = after.auth_token == before.secondary_token
        yield Draft(
            after.sid, "token.promoted" if promoted else "token.rotated", subjects, actor=actor
        )
    elif before.secondary_token != after.secondary_token:
        revoked = after.secondary_token is None
        yield Draft(after.sid, "token.revoked" if revoked else "token.made", subjects, actor=actor)


def _set(before: Account, after: Account) -> Iterator[str]:
    """Each privacy and retention setting that has another value, as `name=value`."""
    for old, new in ((before.privacy, after.privacy), (before.retention, after.retention)):
        known = dict(_fields(old))
        yield from (f"{name}={value}" for name, value in _fields(new) if known[name] != value)


def _fields(settings: Struct) -> Iterator[tuple[str, str]]:
    for name, value in asdict(settings).items():
        if isinstance(value, Struct):
            yield from _fields(value)
        else:
            yield name, "default" if value is None else str(value).lower()
