"""The Singer format, and what a configuration may say of it."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from jsonschema import Draft7Validator, FormatChecker

from hushwire.connect.fields import fields_of
from hushwire.connect.models import Account, Message
from hushwire.connect.refused import Refused
from hushwire.connect.singer import (
    STREAMS,
    Shape,
    catalog,
    read_catalog,
    record_line,
    schema_line,
    state_line,
)
from hushwire.connect.sync_config import Plan, read_plan
from hushwire.connect.sync_rows import Rows
from hushwire.connect.tombstones import Tombstone
from hushwire.domain.connection import View

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
KEY = "k" * 16
VIEW_KEY = b"v" * 32
ALICE, OWN, TEXT = "+14155550123", "+15005550006", "Your code is 4711"
MESSAGE = Message(
    sid="SM1", account_sid="AC1", status="delivered", direction="outbound-api", to=ALICE,
    from_=OWN, body=TEXT, num_segments="2", num_media="0", price="-0.00750", error_code=None,
    date_created="Sat, 21 Nov 2026 08:00:00 +0000", date_updated="Sat, 21 Nov 2026 08:00:01 +0000",
)  # fmt: skip
GRAVE = Tombstone("SM1", "AC1", "2026-11-21T08:00:02.123Z", ["message"], "request")


def plan_of(view: View = "full", catalog: Any = None, **config: Any) -> Plan:
    return read_plan({"view": view, **config}, catalog, "full", b"", NOW)


def row_of(**config: Any) -> dict[str, Any]:
    plan = plan_of(**config)
    return Rows(plan, int(NOW.timestamp())).alive("messages", MESSAGE)


def refusal(view: View = "full", catalog: Any = None, **config: Any) -> Refused:
    with pytest.raises(Refused) as refused:
        read_plan(config, catalog, view, b"", NOW)
    return refused.value


# --- lines -----------------------------------------------------------------------------------


def test_each_line_is_a_message_of_singer() -> None:
    """What the specification says that each must have."""
    shape = Shape(STREAMS["messages"], {}, b"")
    schema = json.loads(schema_line(shape))
    assert (schema["type"], schema["stream"]) == ("SCHEMA", "messages")
    assert schema["key_properties"] == ["sid"]
    assert set(schema["bookmark_properties"]) <= set(schema["schema"]["properties"])
    Draft7Validator.check_schema(schema["schema"])
    record = json.loads(record_line("messages", {"sid": "SM1"}, "2026-11-21T09:00:00Z"))
    assert (record["type"], record["stream"], record["record"]) == (
        "RECORD", "messages", {"sid": "SM1"},
    )  # fmt: skip
    assert json.loads(state_line({"a": 1})) == {"type": "STATE", "value": {"a": 1}}


@pytest.mark.parametrize("columns", [{}, {"to": "hash", "body": "block"}])
def test_records_fit_their_schema(columns: dict[str, str]) -> None:
    plan = plan_of(columns=columns, hash_key=KEY)
    schema = plan.shapes["messages"].schema()
    fits = Draft7Validator(
        {**schema, "additionalProperties": False, "required": ["sid"]},
        format_checker=FormatChecker(),
    )
    rows = Rows(plan, int(NOW.timestamp()))
    fits.validate(rows.alive("messages", MESSAGE))
    fits.validate(rows.gone("messages", GRAVE))


def test_every_field_is_a_column_and_no_token_is() -> None:
    for name, model in (("messages", Message), ("accounts", Account)):
        columns = plan_of().shapes[name].columns()  # type: ignore[index]
        assert {field.name for field in fields_of(model)} < set(columns)
        assert "auth_token" not in columns


def test_a_row() -> None:
    row = row_of()
    assert row["date_created"] == "2026-11-21T08:00:00Z"
    assert (row["num_segments"], row["num_media"], row["price"]) == (2, 0, "-0.00750")
    assert (row["to"], row["from"], row["body"]) == (ALICE, OWN, TEXT)
    assert (row["error_code"], row["_sdc_deleted_at"]) == (None, None)


def test_a_tombstone() -> None:
    """`{sid, deleted_at, reason}`, and the column that targets go by."""
    assert Rows(plan_of(), 0).gone("messages", GRAVE) == {
        "sid": "SM1", "account_sid": "AC1", "deleted_at": GRAVE.deleted_at,
        "reason": "request", "forgotten": ["message"], "_sdc_deleted_at": GRAVE.deleted_at,
    }  # fmt: skip


# --- columns ---------------------------------------------------------------------------------


def test_a_blocked_column_is_nowhere() -> None:
    row = row_of(columns={"body": "block"})
    assert "body" not in row
    assert (
        "body" not in plan_of(columns={"body": "block"}).shapes["messages"].schema()["properties"]
    )


def test_a_hash_joins_and_tells_nothing() -> None:
    """The same number, the same hash; another key, another hash; the number is not in it."""
    first = row_of(columns={"to": "hash"}, hash_key=KEY)["to"]
    assert first == row_of(columns={"to": "hash"}, hash_key=KEY)["to"]
    assert first != row_of(columns={"to": "hash"}, hash_key=KEY + "x")["to"]
    assert first.startswith("ph_")
    assert len(first) == 35
    pseudonymous = row_of(view="pseudonymous", hash_key=KEY)
    assert pseudonymous["to"] == first
    again = row_of(view="pseudonymous", columns={"to": "hash"}, hash_key=KEY)
    assert again["to"] == first


def test_what_is_forgotten_is_not_hashed() -> None:
    shape = Shape(STREAMS["messages"], {"to": "hash", "body": "hash"}, VIEW_KEY)
    assert shape.row({"to": "+1415555XXXX", "body": "", "from": None}) == {
        "to": "+1415555XXXX", "body": "", "from": None,
    }  # fmt: skip


@pytest.mark.parametrize("view", ["metadata", "masked", "pseudonymous"])
def test_a_view_holds(view: View) -> None:
    row = row_of(view=view, hash_key=KEY)
    assert row["body"] is None
    shown = {"metadata": (None, None), "masked": ("+1415555XXXX", "+1500555XXXX")}
    if view in shown:
        assert (row["to"], row["from"]) == shown[view]


# --- what a configuration may say -------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "field", "part"),
    [
        ({"colums": {}}, "colums", "colums is no field of the configuration"),
        ({"start_date": "yesterday"}, "start_date", "'yesterday' is no date: give ISO 8601"),
        ({"lookback_days": 0}, "lookback_days", "lookback_days"),
        ({"page_size": 1001}, "page_size", "page_size"),
        ({"account_sids": []}, "account_sids", "account_sids"),
        ({"columns": {"to": "drop"}}, "columns", "columns"),
        ({"columns": {"To": "block"}}, "columns", "it is called to"),
        ({"columns": {"sid": "block"}}, "columns", "sid cannot be blocked"),
        ({"columns": {"status": "hash"}}, "columns", "status cannot be hashed"),
        ({"columns": {"to": "hash"}}, "hash_key", "hash_key is missing"),
        ({"view": "pseudonymous"}, "hash_key", "hash_key is missing"),
        ({"columns": {"to": "hash"}, "view": "masked", "hash_key": KEY}, "columns",
         "the view 'masked' hides it; it needs full or pseudonymous"),
        ({"columns": {"body": "hash"}, "view": "pseudonymous", "hash_key": KEY}, "columns",
         "it needs full"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_sentence(config: dict[str, Any], field: str, part: str) -> None:
    with pytest.raises(Refused) as caught:
        read_plan(config, None, "full", b"", NOW)
    refused = caught.value
    assert (refused.field, refused.code, refused.status) == (field, 20001, 400)
    assert part in refused.text


def test_a_short_key_is_refused_and_not_shown() -> None:
    refused = refusal(hash_key="hunter2")
    assert refused.field == "hash_key"
    assert "hunter2" not in refused.text


def test_a_configuration_narrows_a_view_and_never_widens_it() -> None:
    for view, fine in (
        ("metadata", {"metadata"}), ("masked", {"metadata", "masked"}),
        ("pseudonymous", {"metadata", "pseudonymous"}),
        ("full", {"metadata", "masked", "pseudonymous", "full"}),
    ):  # fmt: skip
        for asked in ("metadata", "masked", "pseudonymous", "full"):
            config = {"view": asked}
            if asked in fine:
                assert read_plan(config, None, view, VIEW_KEY, NOW).view == asked  # type: ignore[arg-type]
            else:
                with pytest.raises(Refused) as refused:
                    read_plan(config, None, view, VIEW_KEY, NOW)  # type: ignore[arg-type]
                assert refused.value.field == "view"


def test_without_a_view_it_is_the_connections_or_less() -> None:
    assert read_plan({}, None, "pseudonymous", VIEW_KEY, NOW).view == "pseudonymous"
    assert read_plan({}, None, "full", b"", NOW, narrowest="masked").view == "masked"


# --- the catalog -----------------------------------------------------------------------------


def choose(change: Any) -> dict[str, frozenset[str]]:
    content = catalog()
    for entry in content["streams"]:
        change(entry)
    return read_catalog(json.loads(json.dumps(content)))  # type: ignore[return-value]


def test_all_of_it_is_selected() -> None:
    assert choose(lambda entry: None) == {"messages": frozenset(), "accounts": frozenset()}
    for entry in catalog()["streams"]:
        Draft7Validator.check_schema(entry["schema"])
        breadcrumbs = {tuple(each["breadcrumb"]) for each in entry["metadata"]}
        assert breadcrumbs == {(), *(("properties", n) for n in entry["schema"]["properties"])}


def test_a_stream_can_be_left_out() -> None:
    def without(entry: dict[str, Any]) -> None:
        if entry["stream"] == "accounts":
            entry["metadata"][0]["metadata"]["selected"] = False

    assert choose(without) == {"messages": frozenset()}

    def older(entry: dict[str, Any]) -> None:
        entry["selected"] = entry["stream"] == "accounts"

    assert choose(older) == {"accounts": frozenset()}


def test_columns_can_be_left_out_but_the_key_cannot() -> None:
    def without(entry: dict[str, Any]) -> None:
        for each in entry["metadata"]:
            if each["breadcrumb"][-1:] in (["body"], ["sid"], ["_sdc_deleted_at"]):
                each["metadata"]["selected"] = False

    chosen = choose(without)
    assert chosen["messages"] == {"body"}
    columns = plan_of(catalog={"streams": [
        {"tap_stream_id": "messages", "metadata": [
            {"breadcrumb": ["properties", "body"], "metadata": {"selected": False}}]},
    ]}).shapes  # fmt: skip
    assert list(columns) == ["messages"]
    assert "body" not in columns["messages"].columns()


@pytest.mark.parametrize("content", [{}, {"streams": 7}, {"streams": []}])
def test_a_catalog_that_is_none_is_refused(content: dict[str, Any]) -> None:
    assert refusal(catalog=content).field == "catalog"
