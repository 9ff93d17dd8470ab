"""Our OpenAPI document says what is served: all of it, in the words of Twilio's own definition."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import schemathesis

from hushwire.api import parameters, support

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "reference"
DOCUMENT: dict[str, Any] = json.loads((PAGES / "openapi.json").read_text(encoding="utf-8"))
SCHEMAS = DOCUMENT["components"]["schemas"]
FACTS: dict[str, Any] = json.loads(
    (ROOT / "tests" / "facts" / "api_v2010_messaging.json").read_text(encoding="utf-8")
)
GOLDEN = {
    path.stem: json.loads(path.read_text(encoding="utf-8"))
    for path in (ROOT / "tests" / "contract" / "golden").glob("*.json")
}
FORM = "application/x-www-form-urlencoded"
SERVED = [operation for operation in support.OPERATIONS if operation.served]
THEIRS = [o for o in SERVED if o.method.lower() in FACTS["paths"].get(o.path, ())]
# Each golden answer, and the schema that is to describe it.
ANSWERS = [
    *(("answers", it, "Message") for it in ("created", "delivered", "undeliverable", "inbound")),
    ("answers", "error", "Error"), ("accounts", "created", "NewAccount"),
    ("accounts", "fetched", "Account"), ("accounts", "page", "AccountPage"),
    ("accounts", "balance", "Balance"), ("accounts", "secondary", "SecondaryToken"),
    ("accounts", "promoted", "PromotedToken"), ("keys", "created", "NewKey"),
    ("keys", "fetched", "Key"), ("keys", "v1 created restricted", "NewV1Key"),
    ("keys", "v1 fetched", "V1Key"), ("keys", "v1 page", "V1KeyPage"),
    ("numbers", "number", "PhoneNumber"), ("numbers", "page", "PhoneNumberPage"),
    ("numbers", "country", "Country"), ("numbers", "offers", "AvailableNumberPage"),
]  # fmt: skip

OPTIONAL = {"tags"}  # of a message: only where they were given (W11)


def ours(operation: support.Operation) -> dict[str, Any]:
    return DOCUMENT["paths"][operation.path][operation.method.lower()]


def theirs(operation: support.Operation) -> dict[str, Any]:
    return FACTS["paths"][operation.path][operation.method.lower()]


def takes(operation: dict[str, Any], where: str) -> set[str]:
    return {p["name"] for p in operation.get("parameters", ()) if p["in"] == where}


def form(operation: dict[str, Any]) -> dict[str, Any]:
    content = operation.get("requestBody", {"content": {}})["content"]
    return content[FORM]["schema"]["properties"] if FORM in content else {}


def properties(operation: dict[str, Any], root: dict[str, Any]) -> set[str]:
    """Of the answer when it succeeds."""
    for status, answer in operation["responses"].items():
        if status.startswith("2") and "content" in answer:
            schema = answer["content"]["application/json"]["schema"]
            if "$ref" in schema:
                schema = root["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
            return set(schema["properties"])
    return set()


def label(operation: support.Operation) -> str:
    return f"{operation.method} {operation.path}"


def test_it_is_valid_openapi() -> None:
    schemathesis.openapi.from_dict(DOCUMENT).validate()
    assert not DOCUMENT["openapi"].startswith("2")


def test_a_broken_document_would_be_found() -> None:
    with pytest.raises(ValueError, match="required property"):
        schemathesis.openapi.from_dict({**DOCUMENT, "info": {}}).validate()


def test_it_has_what_is_served_and_nothing_else() -> None:
    found = {
        (method.upper(), path)
        for path, item in DOCUMENT["paths"].items()
        for method in item.keys() - {"servers"}
    }
    assert found == {(operation.method, operation.path) for operation in SERVED}
    names = [ours(operation)["operationId"] for operation in SERVED]
    assert len(names) == len(set(names))


def test_servers_stand_at_each_path() -> None:
    """W16: there are clients that look for them only there."""
    for path, item in DOCUMENT["paths"].items():
        assert [server["url"] for server in item["servers"]] == ["http://127.0.0.1:8008"], path


@pytest.mark.parametrize("operation", THEIRS, ids=label)
def test_it_agrees_with_twilios_definition(operation: support.Operation) -> None:
    mine, other = ours(operation), theirs(operation)
    assert mine["operationId"] == other["operationId"]
    for where in ("path", "query"):
        assert takes(mine, where) == takes(other, where)
    beyond = {"Tags"} if mine["operationId"] == "CreateMessage" else set()  # W11
    assert set(form(mine)) == set(form(other)) | beyond
    assert properties(mine, DOCUMENT) - OPTIONAL == properties(other, FACTS)
    succeeds = {status for status in mine["responses"] if status.startswith("2")}
    assert succeeds == set(other["responses"])


@pytest.mark.parametrize("operation", SERVED, ids=label)
def test_every_operation_says_who_may_and_how_it_refuses(operation: support.Operation) -> None:
    mine = ours(operation)
    assert DOCUMENT["security"] == [{"accountSid_authToken": []}]
    assert "security" not in mine
    refused = {"$ref": "#/components/responses/Refused"}
    assert (mine["responses"]["4XX"], mine["responses"]["503"]) == (refused, refused)
    assert takes(mine, "path") == set(re.findall(r"\{(\w+)\}", operation.path))


@pytest.mark.parametrize(("book", "name", "schema"), ANSWERS)
def test_it_describes_the_golden_answers(book: str, name: str, schema: str) -> None:
    """Every property is there, no other, and null only where it may be."""
    answer, described = GOLDEN[book][name], SCHEMAS[schema]
    shown = described["properties"]
    # Some golden pages leave the records out: they are golden themselves.
    records = {key for key, part in shown.items() if part.get("type") == "array"}
    always = set(shown) - OPTIONAL
    assert set(answer) | records == always == set(described["required"])
    assert not described["additionalProperties"]
    nulls = {key for key, value in answer.items() if value is None}
    assert nulls <= {key for key, part in shown.items() if part.get("nullable")}


def test_what_becomes_of_each_parameter_of_a_create_is_told() -> None:
    fields = form(DOCUMENT["paths"][f"{support.ACCOUNT}/Messages.json"]["post"])
    assert fields.keys() == parameters.PARAMETERS.keys()
    assert all(
        fields[name]["description"].startswith("accepted without effect")
        for name in parameters.WITHOUT_EFFECT
    )
    assert all(
        fields[name]["description"].startswith("refused with ") for name in parameters.REFUSED
    )
    assert fields["Body"]["maxLength"] == 1600
    assert (fields["ValidityPeriod"]["minimum"], fields["ValidityPeriod"]["maximum"]) == (1, 36_000)
    assert fields["ContentRetention"]["enum"] == ["retain", "discard"]


def test_a_stale_document_is_named_with_the_cure(tmp_path: Path) -> None:
    pages = Path(shutil.copytree(PAGES, tmp_path / "reference"))
    document = pages / "openapi.json"
    fresh = document.read_text(encoding="utf-8")
    document.write_text(fresh.replace("send a message", "sell a message"), encoding="utf-8")
    assert document.read_text(encoding="utf-8") != fresh
    command = [sys.executable, str(ROOT / "tools" / "docs.py"), "--pages", str(pages)]
    found = subprocess.run(
        [*command, "--check"], capture_output=True, text=True, timeout=60, check=False
    )
    assert found.returncode == 1
    assert "openapi.json" in found.stderr
    assert "make docs" in found.stderr
    assert subprocess.run(command, capture_output=True, timeout=60, check=False).returncode == 0
    assert document.read_text(encoding="utf-8") == fresh
