"""Retention: how long an account's messages are kept at most, and at least (8.7).

A field is kept for so many days after the birth of its message, then it is forgotten; what is
asked to be forgotten earlier is, unless a minimum or a legal hold keeps it: then it is withheld,
gone for every reader, and its key is destroyed when nothing keeps it any more. Pure.
"""

from collections.abc import Mapping
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import asdict, fields, replace

from hushwire.domain.pii import TWILIO_MINIMUMS
from hushwire.errors import Refusal

DAYS: Final = 400  # as far back as Twilio's API reaches (5.5)
DAYS_MAX: Final = 3_650
DAY_MS: Final = 86_400_000

Field = Literal["body", "numbers", "media", "metadata"]
FIELDS: Final[tuple[Field, ...]] = ("body", "numbers", "media", "metadata")


class Retention(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """An account's retention settings, in days after a message's birth."""

    body_days: int = DAYS
    numbers_days: int = DAYS
    media_days: int = DAYS
    metadata_days: int = DAYS  # then the whole message goes
    body_minimum_days: int = 0  # MTL (D4)
    numbers_minimum_days: int = 0


def days_of(retention: Retention, field: Field) -> int:
    """How many days a field is kept at most. What is of a message goes with it."""
    values: dict[str, int] = asdict(retention)
    return min(values[f"{field}_days"], retention.metadata_days)


def cutoff_ms(retention: Retention, field: Field, now_ms: int) -> int:
    """The field of messages born before this (Unix ms) is kept no longer."""
    return max(0, now_ms - days_of(retention, field) * DAY_MS)


def changed(retention: Retention, wanted: Mapping[str, object]) -> Retention:
    """The settings after a change to what `wanted` names; None puts a default back.

    `minimums: "twilio"` sets the minimums to those of Twilio's cloud; what is named beside it
    counts more. Raises Refusal for a name or a value that is none: then nothing is changed.
    """
    values: dict[str, int] = {}
    for name, value in wanted.items():
        if name == "minimums":
            if value != "twilio":
                raise _invalid(name, '"twilio"')
            values = {**TWILIO_MINIMUMS, **values}
        elif name not in _DEFAULTS:
            raise Refusal("privacy_setting_unknown", setting=name[:40])
        else:
            values[name] = _days(name, value)
    after = replace(retention, **values)
    _check(after)
    return after


def _days(name: str, value: object) -> int:
    low = 0 if name.endswith("_minimum_days") else 1
    if value is None:
        return _DEFAULTS[name]
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= DAYS_MAX:
        raise _invalid(name, f"a whole number of days from {low} to {DAYS_MAX}, or null")
    return value


def _check(retention: Retention) -> None:
    """Nothing can be kept longer at least than at most."""
    pairs = {
        "body_minimum_days": (retention.body_minimum_days, days_of(retention, "body")),
        "numbers_minimum_days": (retention.numbers_minimum_days, days_of(retention, "numbers")),
    }
    for name, (least, most) in pairs.items():
        if least > most:
            raise _invalid(name, f"at most {most}, the days that this is kept")


def _invalid(name: str, cure: str) -> Refusal:
    return Refusal("privacy_setting_invalid", setting=name, cure=cure)


_DEFAULTS: Final[dict[str, int]] = {field.name: field.default for field in fields(Retention)}
