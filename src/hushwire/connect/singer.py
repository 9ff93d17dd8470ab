"""The Singer format: SCHEMA, RECORD and STATE, a line of JSON each, and the catalog.

It is what programs that fill warehouses read from each other's output. A row that went is a
RECORD with `_sdc_deleted_at`. Source: the Singer specification 0.3, and what the Meltano SDK's
targets do with `_sdc_` columns.
"""

import hmac
from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct, json

from hushwire.connect.fields import fields_of
from hushwire.connect.models import Account, Message

Name = Literal["messages", "accounts"]
Rule = Literal["block", "hash"]
Kind = Literal["string", "integer", "date-time", "object", "array"]
Row = dict[str, Any]

KEY: Final = "sid"
DELETED: Final = "_sdc_deleted_at"
FORGOTTEN: Final = "XXXX"  # the end of a number that is shortened already

_JOIN_KEY: Final = "ph_"
_JOIN_CHARS: Final = 32  # hex digits: 128 bits

_KINDS: Final[dict[str, Kind]] = {  # every other column is text
    "date_created": "date-time", "date_sent": "date-time", "date_updated": "date-time",
    "num_segments": "integer", "num_media": "integer", "error_code": "integer",
    "subresource_uris": "object",
}  # fmt: skip
_TOMBSTONE: Final[dict[str, Kind]] = {
    "deleted_at": "date-time", "reason": "string", "forgotten": "array", DELETED: "date-time",
}  # fmt: skip
_AUTOMATIC: Final = (KEY, "account_sid", *_TOMBSTONE)  # nobody can leave these out


class Stream(Struct, frozen=True):
    """What is emitted under one name: a model's fields, and those of a tombstone."""

    name: Name
    columns: dict[str, Kind]
    pii: dict[str, str]  # column → what is private in it


def _stream(name: Name, model: type[Struct]) -> Stream:
    fields = fields_of(model)
    columns: dict[str, Kind] = {f.name: _KINDS.get(f.name, "string") for f in fields}
    private = {field.name: field.pii for field in fields if field.pii}
    return Stream(name, {**columns, **_TOMBSTONE}, private)


STREAMS: Final[dict[Name, Stream]] = {
    "messages": _stream("messages", Message),
    "accounts": _stream("accounts", Account),
}


class Shape(Struct, frozen=True):
    """What becomes of the columns of one stream."""

    stream: Stream
    rules: Mapping[str, Rule]
    key: bytes  # of hashes, 32 bytes
    left_out: frozenset[str] = frozenset()  # by the catalog

    def columns(self) -> dict[str, Kind]:
        """Those that are emitted."""
        return {
            name: kind for name, kind in self.stream.columns.items()
            if self.rules.get(name) != "block" and name not in self.left_out
        }  # fmt: skip

    def row(self, content: Mapping[str, object]) -> Row:
        """A record as it is emitted, each column of it that has a value or none."""
        kinds = self.columns()
        return {
            name: self._value(name, kinds[name], value)
            for name, value in content.items()
            if name in kinds
        }

    def _value(self, name: str, kind: Kind, value: object) -> object:
        if kind == "integer" and isinstance(value, str):
            return int(value) if value.isascii() and value.isdigit() else None
        if self.rules.get(name) != "hash" or not isinstance(value, str):
            return value
        if not value or value.endswith(FORGOTTEN) or value.startswith(_JOIN_KEY):
            return value  # there is nothing to hide, or it is hidden already
        # As the view `pseudonymous` has it: the same key gives the same join key.
        return _JOIN_KEY + hmac.digest(self.key, value.encode(), "sha256").hex()[:_JOIN_CHARS]

    def schema(self) -> Row:
        """JSON Schema of its records. All but the key may be null: a tombstone has no more."""
        return {
            "type": "object",
            "properties": {name: _type(name, kind) for name, kind in self.columns().items()},
        }


def _type(name: str, kind: Kind) -> Row:
    if name == KEY:
        return {"type": "string"}
    if kind == "date-time":
        return {"type": ["null", "string"], "format": "date-time"}
    more: Row = {"items": {"type": "string"}} if kind == "array" else {}
    return {"type": ["null", kind], **more}


# --- lines -----------------------------------------------------------------------------------


def schema_line(shape: Shape) -> bytes:
    """What records of a stream look like, before the first of them."""
    return _line({
        "type": "SCHEMA", "stream": shape.stream.name, "schema": shape.schema(),
        "key_properties": [KEY], "bookmark_properties": ["date_updated"],
    })  # fmt: skip


def record_line(stream: Name, row: Row, extracted: str) -> bytes:
    """One row. `extracted`: ISO 8601, when it was read."""
    return _line({
        "type": "RECORD", "stream": stream, "record": row, "time_extracted": extracted,
    })  # fmt: skip


def state_line(value: object) -> bytes:
    """All lines before it need not be read again by who comes back with `value`."""
    return _line({"type": "STATE", "value": value})


def _line(content: object) -> bytes:
    return json.encode(content) + b"\n"


# --- the catalog -----------------------------------------------------------------------------


def catalog() -> Row:
    """Every stream and column there is, to choose from (`--discover`)."""
    return {"streams": [_entry(stream) for stream in STREAMS.values()]}


def _entry(stream: Stream) -> Row:
    whole: Row = {
        "selected": True, "inclusion": "available", "table-key-properties": [KEY],
        "forced-replication-method": "INCREMENTAL", "valid-replication-keys": ["date_updated"],
    }  # fmt: skip
    columns = [
        {
            "breadcrumb": ["properties", name],
            "metadata": {
                "inclusion": "automatic" if name in _AUTOMATIC else "available",
                "selected-by-default": True,
            },
        }
        for name in stream.columns
    ]
    return {
        "tap_stream_id": stream.name, "stream": stream.name, "key_properties": [KEY],
        "schema": Shape(stream, {}, b"").schema(), "replication_method": "INCREMENTAL",
        "replication_key": "date_updated",
        "metadata": [{"breadcrumb": [], "metadata": whole}, *columns],
    }  # fmt: skip


class _Metadata(Struct, frozen=True):
    breadcrumb: list[str]
    metadata: dict[str, object]

    def selects(self) -> bool:
        default = self.metadata.get("selected-by-default", True)
        return bool(self.metadata.get("selected", default))


class _Entry(Struct, frozen=True):
    tap_stream_id: str
    metadata: list[_Metadata] = []
    selected: bool | None = None  # an older place of it


class _Catalog(Struct, frozen=True):
    streams: list[_Entry]


def read_catalog(content: Mapping[str, object]) -> dict[Name, frozenset[str]]:
    """Stream → columns left out, of those that are selected. Raises msgspec.ValidationError."""
    chosen: dict[Name, frozenset[str]] = {}
    entries = {each.tap_stream_id: each for each in msgspec.convert(content, _Catalog).streams}
    for name in STREAMS:
        entry = entries.get(name)
        if entry is None or entry.selected is False:
            continue
        whole = [each for each in entry.metadata if not each.breadcrumb]
        if all(each.selects() for each in whole):
            chosen[name] = frozenset(
                each.breadcrumb[-1] for each in entry.metadata
                if each.breadcrumb and each.breadcrumb[-1] not in _AUTOMATIC and not each.selects()
            )  # fmt: skip
    return chosen
