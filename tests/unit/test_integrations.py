"""What the integrations say of themselves, and what their readers are not given."""

import json

import pytest

from backends import Recorded, act, recorded_messages
from hushwire.connect.integrations import INTEGRATIONS
from hushwire.connect.registry import REGISTRY
from hushwire.connect.run import run
from hushwire.connect.view import View

__all__ = ["run"]

PRIVATE = (
    "+14155550123", "14155550123", "+15005550006", "15552229999", "15554449999",
    "Your table is ready", "Your+table",
)  # fmt: skip
MESSAGE = recorded_messages()[0]
SEND = {"to": "+14155550123", "from": "+15005550006", "body": "Your table is ready"}
CALLS: list[tuple[str, dict[str, object]]] = [
    ("read_some_sms_messages", {}),
    ("read_some_sms_messages", {"recipient_number": "+14155550123"}),
    ("send_an_sms_message", {
        "recipient_number": SEND["to"], "sender_number": SEND["from"], "body": SEND["body"],
    }),
    ("list_messages_step", {"to": "+14155550123", "page": 1}),
    ("retrieve_message_step", {"account_sid": Recorded.sid, "message_sid": MESSAGE["sid"]}),
    ("send_sms_or_mms", {**SEND}),
    ("send_sms_or_mms", {**SEND, "dry_run": True}),
]  # fmt: skip


@pytest.mark.parametrize("view", ["metadata", "masked", "pseudonymous"])
@pytest.mark.parametrize(("name", "given"), CALLS)
def test_a_view_hides_what_is_private(name: str, given: dict[str, object], view: View) -> None:
    """Item 11: whatever the product; and without it, it is there (the test can fail)."""
    assert any(text in json.dumps(act(Recorded(), name, given)) for text in PRIVATE)
    shown = json.dumps(act(Recorded(), name, given, view=view))
    assert not [text for text in PRIVATE if text in shown]


def test_an_integration_names_its_actions_and_scopes() -> None:
    """G-1, G-5, P-2, P-8, T-1: exactly those of the registry, and no scope too many."""
    assert [one.view for one in INTEGRATIONS] == ["kognitos", "persona", "tealium"]
    for one in INTEGRATIONS:
        own = {action.name: action for action in REGISTRY if action.view == one.view}
        assert list(own) == list(one.actions)
        assert {scope for action in own.values() for scope in action.scopes} == set(one.scopes)
        assert one.version
        assert one.description
