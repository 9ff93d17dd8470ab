"""What a sync is asked for: from when on, which columns, how far back it looks again."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from hushwire.connect.fields import either, no_such_field, what_is_wrong
from hushwire.connect.refused import INPUT, Refused, refused
from hushwire.connect.singer import KEY, STREAMS, Name, Rule, Shape, read_catalog
from hushwire.connect.view import View

CLAMP_DAYS: Final = 400  # what is older, the API does not show
LOOKBACK_DAYS: Final = 3
HASH_KEY_MIN: Final = 16  # characters: what can be guessed hides nothing

_WHOLE: Final = "the configuration"
_NARROWER: Final[dict[View, tuple[View, ...]]] = {  # what a view may be narrowed to
    "metadata": ("metadata",),
    "masked": ("metadata", "masked"),
    "pseudonymous": ("metadata", "pseudonymous"),
    "full": ("metadata", "masked", "pseudonymous", "full"),
}


class Config(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What `--config` may say."""

    start_date: (
        Annotated[str, Meta(description="ISO 8601: messages from then on; 400 days ago if absent")]
        | None
    ) = None
    lookback_days: Annotated[
        float, Meta(description="How far back each run looks for changes", gt=0, le=CLAMP_DAYS)
    ] = LOOKBACK_DAYS
    account_sids: (
        Annotated[list[str], Meta(description="Whose messages; all accounts' if absent",
                                  min_length=1)] | None
    ) = None  # fmt: skip
    view: Annotated[View, Meta(description="How much of what is private is given")] | None = None
    columns: Annotated[
        dict[str, Rule], Meta(description='Column → "block" or "hash", of every stream')
    ] = {}
    hash_key: (
        Annotated[str, Meta(description=f"At least {HASH_KEY_MIN} characters of chance",
                            min_length=HASH_KEY_MIN, extra={"pii": "secret"})] | None
    ) = None  # fmt: skip
    page_size: Annotated[int, Meta(description="How many a page", ge=1, le=1000)] = 1000


class Plan(Struct, frozen=True):
    """A configuration that was read, for one connection."""

    start: datetime  # not before the clamp
    lookback: timedelta
    account_sids: tuple[str, ...] | None
    view: View
    view_key: bytes
    shapes: dict[Name, Shape]  # of the streams that are selected
    page_size: int
    notes: tuple[str, ...]  # what is done otherwise than it was asked for


def read_plan(
    config: Mapping[str, object], catalog: Mapping[str, object] | None, view: View,
    view_key: bytes, now: datetime, *, narrowest: View | None = None,
) -> Plan:  # fmt: skip
    """The plan of a sync. Raises Refused with one sentence that names the field.

    `view` and `view_key` are the connection's; `narrowest` is the view where the configuration
    names none, if it is not the connection's own.
    """
    asked = _convert(config)
    shown = asked.view or narrowest or view
    if shown not in _NARROWER[view]:
        raise refused(
            INPUT, f"view {shown!r} gives more than the connection's {view!r}: choose "
            f"{either(_NARROWER[view])}", field="view",
        )  # fmt: skip
    if asked.hash_key is not None:
        view_key = sha256(asked.hash_key.encode()).digest()
    start, notes = _start(asked, now)
    plan = Plan(
        start, timedelta(days=asked.lookback_days),
        None if asked.account_sids is None else tuple(asked.account_sids), shown, view_key,
        _shapes(asked.columns, _chosen(catalog), view_key), asked.page_size, notes,
    )  # fmt: skip
    _check_columns(asked.columns, plan)
    return plan


def clamp_of(now: datetime) -> datetime:
    """When the oldest message was made that the API still shows: by day, as Twilio counts."""
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=CLAMP_DAYS)


def _convert(config: Mapping[str, object]) -> Config:
    try:
        return msgspec.convert(config, Config)
    except msgspec.ValidationError as error:
        field, text = what_is_wrong(Config, config, str(error), _WHOLE)
        raise refused(INPUT, text, field=field) from None


def _start(asked: Config, now: datetime) -> tuple[datetime, tuple[str, ...]]:
    clamp = clamp_of(now)
    if asked.start_date is None:
        return clamp, ()
    try:
        start = datetime.fromisoformat(asked.start_date)
    except ValueError:
        raise refused(
            INPUT, f"start_date {asked.start_date!r:.40} is no date: give ISO 8601, 2026-01-31",
            field="start_date",
        ) from None  # fmt: skip
    start = start if start.tzinfo is not None else start.replace(tzinfo=UTC)
    if start >= clamp:
        return start, ()
    return clamp, (
        f"start_date {start:%Y-%m-%d} is beyond what the API shows: it begins with "
        f"{clamp:%Y-%m-%d}, {CLAMP_DAYS} days ago",
    )


def _chosen(catalog: Mapping[str, object] | None) -> dict[Name, frozenset[str]]:
    if catalog is None:
        return dict.fromkeys(STREAMS, frozenset[str]())
    try:
        chosen = read_catalog(catalog)
    except msgspec.ValidationError:
        raise refused(
            INPUT, "the catalog is none: begin with the output of `hushwire sync --discover`",
            field="catalog",
        ) from None  # fmt: skip
    if not chosen:
        raise refused(INPUT, f"the catalog selects nothing of {', '.join(STREAMS)}",
                      field="catalog")  # fmt: skip
    return chosen


def _shapes(
    columns: Mapping[str, Rule], chosen: Mapping[Name, frozenset[str]], key: bytes
) -> dict[Name, Shape]:
    return {
        name: Shape(
            STREAMS[name], {c: rule for c, rule in columns.items() if c in STREAMS[name].columns},
            key, left_out,
        )
        for name, left_out in chosen.items()
    }  # fmt: skip


def _check_columns(columns: Mapping[str, Rule], plan: Plan) -> None:
    """What would not do what it says. Raises Refused."""
    known = dict.fromkeys(name for stream in STREAMS.values() for name in stream.columns)
    for name, rule in columns.items():
        if name not in known:
            _, text = no_such_field(name, tuple(known), "a stream")
            raise refused(INPUT, f"columns: {text}", field="columns")
        if rule == "block" and name == KEY:
            raise _column(name, "cannot be blocked: it is the key of every row")
        if rule == "hash":
            _check_hash(name, plan)
    pseudonymous = plan.view == "pseudonymous" or "hash" in columns.values()
    if pseudonymous and not plan.view_key:
        raise refused(
            INPUT, f"hash_key is missing: give {HASH_KEY_MIN} characters of chance or more, and "
            "keep them: another key gives other hashes", field="hash_key",
        )  # fmt: skip


def _check_hash(name: str, plan: Plan) -> None:
    private = {c: pii for stream in STREAMS.values() for c, pii in stream.pii.items()}
    if name not in private:
        raise _column(name, "cannot be hashed: there is nothing private in it")
    shown: tuple[View, ...] = (
        ("full", "pseudonymous") if private[name] == "number" else ("full",)
    )  # fmt: skip
    if plan.view not in shown:
        raise _column(name, f"cannot be hashed: the view {plan.view!r} hides it; it needs "
                      f"{either(shown)}")  # fmt: skip


def _column(name: str, reason: str) -> Refused:
    return refused(INPUT, f"columns: {name} {reason}", field="columns")


def read_json(content: bytes, what: str) -> dict[str, Any]:
    """A file of JSON. Raises Refused."""
    try:
        return msgspec.json.decode(content, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise refused(INPUT, f"{what} is no JSON object", field=what) from None
