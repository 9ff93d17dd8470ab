"""Content templates through Twilio's SDK and plain HTTP."""

import json
from base64 import b64encode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from twilio.rest.content.v1.content import ContentList

from harness import RunningServer
from hushwire.api import support
from hushwire.domain import template
from tenants import Tenant, assert_unknown, owner, subaccount
from v1_checks import Facts, golden, sdk, shown
from wire_checks import Answer, assert_refused, refusal

FACTS = Facts("content_v1_content")
GOLDEN = golden("contents")
CONTENT = "/v1/Content"
GREETING = {
    "friendly_name": "Greeting", "language": "en", "variables": {"1": "you"},
    "types": {"twilio/text": {"body": "Hello {{1}}"}},
}  # fmt: skip
NOBODYS = "HX" + "0" * 32


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with RunningServer(tmp_path_factory.mktemp("contents") / "data") as running:
        yield running


@pytest.fixture
def tenant(server: RunningServer) -> Tenant:
    return subaccount(server)


def ask(tenant: Tenant, method: str, path: str, content: object = None) -> Answer:
    """A JSON request; bytes go as they are."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    basic = b64encode(f"{tenant.user}:{tenant.password}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/json"}
    sent = body if content is not None else None
    return tenant.server.request(method, path, sent, headers, auth=False)


def made(tenant: Tenant, **changes: object) -> dict[str, Any]:
    status, _, body = ask(tenant, "POST", CONTENT, {**GREETING, **changes})
    assert status == 201, body
    return json.loads(body)


def one(answer: dict[str, Any]) -> str:
    return f"{CONTENT}/{answer['sid']}"


def put(tenant: Tenant, answer: dict[str, Any], content: object) -> dict[str, Any]:
    status, _, body = ask(tenant, "PUT", one(answer), content)
    assert status == 200, body
    return json.loads(body)


def test_a_template_has_every_property(tenant: Tenant) -> None:
    """7.8: key for key, created, fetched, listed and changed alike; absolute links."""
    answer = made(tenant)
    assert shown(answer) == GOLDEN["content"]
    assert list(answer) == list(GOLDEN["content"]), "the order of keys is stable too"
    FACTS.answers(CONTENT, "201", answer, "post")
    assert answer["url"] == tenant.server.url + one(answer)
    page = tenant.made("GET", CONTENT)
    assert page["contents"] == [answer] == [tenant.made("GET", one(answer))]
    FACTS.answers(CONTENT, "200", page)
    assert shown({**page, "contents": ["<content>"]}) == GOLDEN["page"]
    assert put(tenant, answer, {}) == answer


def test_every_operation_and_type_of_twilio_is_there() -> None:
    listed = {(operation.method, operation.path) for operation in support.OPERATIONS}
    assert FACTS.operations() <= listed
    sendable = {"twilio/text", "twilio/media", "twilio/quick-reply"}
    assert set(FACTS.schemas["types"]["properties"]) == sendable | template.STORED_ONLY


def test_made_changed_listed_deleted_by_the_sdk(tenant: Tenant) -> None:
    """The SDK sends every property, and null for what was not given."""
    api = sdk(tenant).content.v1.contents
    types = ContentList.Types(
        {
            "twilio/quick-reply": ContentList.TwilioQuickReply(
                {"body": "Well?", "actions": [ContentList.QuickReplyAction({"title": "Yes"})]}
            ),
            "twilio/text": ContentList.TwilioText({"body": "Well?"}),
        }
    )
    request = ContentList.ContentCreateRequest({"language": "en", "types": types})
    found = api.create(request)
    assert abs(found.date_created - datetime.now(UTC)) < timedelta(minutes=1)
    assert found.types.keys() == {"twilio/quick-reply", "twilio/text"}
    assert found.types["twilio/quick-reply"]["actions"][0]["title"] == "Yes"
    assert (found.friendly_name, found.variables) == (None, {})
    update = ContentList.ContentUpdateRequest({"friendly_name": "Question"})
    changed = api(found.sid).update(update)
    assert (changed.friendly_name, changed.language) == ("Question", "en")
    assert changed.types == found.types
    others = [made(tenant)["sid"] for _ in range(2)]
    assert [item.sid for item in api.list(page_size=2)] == [*others[::-1], found.sid]
    assert api(found.sid).delete() is True
    assert refusal(lambda: api(found.sid).fetch()).code == 20404
    assert tenant.ask("DELETE", f"{CONTENT}/{found.sid}")[0] == 404


def test_an_update_changes_what_it_names(tenant: Tenant) -> None:
    answer = made(tenant)
    changed = put(tenant, answer, {"variables": {"1": "Ada"}, "friendly_name": None})
    assert (changed["variables"], changed["friendly_name"]) == ({"1": "Ada"}, "Greeting")
    other = {"twilio/media": {"media": ["https://example.com/cat.png"]}}
    assert put(tenant, answer, {"types": other})["types"] == other
    assert put(tenant, answer, {"language": "de", "variables": {}})["variables"] == {}


def test_a_type_that_cannot_be_sent_is_given_back_as_it_came(tenant: Tenant) -> None:
    card = {"title": "Ünïcode", "subtitle": None, "actions": [{"type": "URL", "n": 1.50}]}
    types = {"twilio/card": card, "twilio/list-picker": None}
    answer = made(tenant, types=types)
    assert answer["types"] == {"twilio/card": card}
    assert tenant.made("GET", one(answer)) == answer


@pytest.mark.parametrize(
    "content",
    [
        b"", b"{", b"\xff\xfe", b"[]", b"Body=x", b'{"types":' + b'{"a":' * 10_000,
        {}, {"language": "en"}, {"types": GREETING["types"]},
        {**GREETING, "types": {}}, {**GREETING, "types": {"twilio/text": {}}},
        {**GREETING, "types": {"twilio/text": None}}, {**GREETING, "types": {"twilio/fax": {}}},
        {**GREETING, "types": {"twilio/card": "x"}}, {**GREETING, "variables": {"1": 1}},
        {**GREETING, "language": "e"}, {**GREETING, "friendly_name": "x" * 65},
        {**GREETING, "colour": "red"},
    ],
    ids=lambda content: str(content)[:60],
)  # fmt: skip
def test_what_is_no_template_is_refused(tenant: Tenant, content: object) -> None:
    """20001 in Twilio's shape, whatever the JSON, and as little made of it."""
    if content != b"":
        assert_refused(ask(tenant, "POST", CONTENT, content), 400, 20001)
    template = made(tenant)
    if not isinstance(content, dict) or len(content) > 2:  # else it leaves out what may be
        assert_refused(ask(tenant, "PUT", one(template), content), 400, 20001)
    assert tenant.made("GET", CONTENT)["contents"] == [template]


def test_what_is_too_large_is_refused(tenant: Tenant) -> None:
    huge = {**GREETING, "types": {"twilio/card": {"title": "x" * 70_000}}}
    assert_refused(ask(tenant, "POST", CONTENT, huge), 413, 20413)


def test_what_is_not_served_says_so(tenant: Tenant) -> None:
    """No template needs to be approved; 20404. An update is a PUT; 20004."""
    answer = made(tenant)
    for rest in ("ApprovalRequests", "ApprovalRequests/whatsapp"):
        for method in ("GET", "POST"):
            path = f"{one(answer)}/{rest}"
            assert_unknown(tenant.ask(method, path), path)
    assert_refused(tenant.ask("POST", one(answer)), 405, 20004)


def test_what_is_foreign_is_unknown(server: RunningServer, tenant: Tenant) -> None:
    """D13: whoever asks, the parent too: this API names no account (2.2)."""
    theirs = made(tenant)
    for other in (owner(server), subaccount(server)):
        assert theirs["sid"] not in str(other.made("GET", CONTENT))
        for sid in (theirs["sid"], NOBODYS, "x"):
            path = f"{CONTENT}/{sid}"
            for method in ("GET", "PUT", "DELETE"):
                assert_unknown(ask(other, method, path, GREETING), path)
    assert tenant.made("GET", one(theirs)) == theirs


def test_what_a_key_may_do(tenant: Tenant) -> None:
    answer = made(tenant)
    calls = {
        "list": ("GET", CONTENT), "create": ("POST", CONTENT), "read": ("GET", one(answer)),
        "update": ("PUT", one(answer)), "delete": ("DELETE", one(answer)),
    }  # fmt: skip
    for allowed in calls:
        policy = f'{{"allow":["/twilio/content/contents/{allowed}"]}}'
        key = tenant.key(KeyType="restricted", Policy=policy)
        for action, call in calls.items():
            if action != allowed:
                assert_refused(ask(key, *call, GREETING), 401, 70051)
        assert ask(key, *calls[allowed], GREETING)[0] < 300, allowed


def test_it_is_there_after_a_restart(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with RunningServer(data) as running:
        before = shown(owner(running).made("GET", one(answer := made(owner(running)))))
    with RunningServer(data) as running:
        assert shown(owner(running).made("GET", one(answer))) == before
