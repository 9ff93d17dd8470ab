"""The generated parts of the reference that the registry of actions says, and its OpenAPI."""

import json
from collections.abc import Callable
from typing import Any, Final

from docs_blocks import _code as code
from docs_blocks import _table as table
from msgspec import inspect

from hushwire.api.actions_openapi import document
from hushwire.connect.fields import fields_of
from hushwire.connect.kinds import KINDS
from hushwire.connect.registry import PROFILES, REGISTRY, SCOPES, AnyAction
from hushwire.connect.run import run as run  # with it come all actions

OPENAPI: Final = "actions-openapi.json"

_EFFECTS: Final = {
    "reads": "changes nothing", "changes": "changes something", "sends": "sends a message",
    "erases": "forgets something for ever",
}  # fmt: skip
_TWICE: Final = {
    "safe": "may be repeated", "repeatable": "may be repeated: the second time does no more",
    "key": "does so once for each `Idempotency-Key`",
}  # fmt: skip
_EXAMPLES: Final[dict[str, object]] = {  # of fields that examples need
    "to": "+14155550123", "from": "+15005550006", "body": "Your table is ready",
    "sid": "SM0123…", "phone_number": "+14155550123", "recipient_number": "+14155550123",
    "sender_number": "+15005550006",
}  # fmt: skip
_SHOWN: Final = ("from", "sender_number", "body")  # of a send, beside what is required


def actions() -> str:
    rows = (
        (f"[`{action.name}`](#{action.name})", action.title, action.effect,
         " ".join(map(code, action.scopes)), action.view or "")
        for action in REGISTRY
    )  # fmt: skip
    return table(("action", "title", "effect", "scopes", "language of"), rows)


def action_fields() -> str:
    return "\n\n".join(_action(action) for action in REGISTRY)


def _action(action: AnyAction) -> str:
    fields = fields_of(action.input)
    rows = [
        (code(field.name), "required" if field.required else "", field.pii or "",
         f"{field.description}{_options(field.options)}")
        for field in fields
    ]  # fmt: skip
    aliases = "".join(
        f" `{alias}` is another name for `{name}`." for alias, name in action.aliases.items()
    )
    return "\n\n".join((
        f"### {action.name}",
        f"**{action.title}.** {action.summary} It {_EFFECTS[action.effect]}; it "
        f"{_TWICE[action.idempotency]}.{aliases}",
        table(("field", "", "private", "what it is"), rows),
        "```json\n" + json.dumps({"input": _example(action)}, ensure_ascii=False) + "\n```",
        f"Answers {_answers(action)}.",
    ))  # fmt: skip


def _options(options: tuple[str, ...]) -> str:
    return f": {', '.join(map(code, options))}" if options else ""


def _example(action: AnyAction) -> dict[str, object]:
    shown = {"AC": "AC0123…"} if action.name == "retrieve_account" else {}
    return {
        field.name: shown.get("AC") if shown and field.name == "sid" else _EXAMPLES[field.name]
        for field in fields_of(action.input)
        if field.name in _EXAMPLES
        and (field.required or (action.effect == "sends" and field.name in _SHOWN))
    }


def _answers(action: AnyAction) -> str:
    found = inspect.type_info(action.output)
    assert isinstance(found, inspect.StructType)
    return ", ".join(code(field.encode_name) for field in found.fields)


def scopes() -> str:
    rows = (
        (code(scope), what, " ".join(code(a.name) for a in REGISTRY if scope in a.scopes))
        for scope, what in SCOPES.items()
    )
    return table(("scope", "allows to", "needed by"), rows)


def credential_kinds() -> str:
    rows = (
        (code(kind.name), kind.title, code(field.name), field.type, field.description)
        for kind in KINDS.values()
        for field in kind.fields
    )
    return table(("kind", "title", "field", "type", "what it is"), rows)


def profiles() -> str:
    return table(("profile", "follows"), ((code(name), what) for name, what in PROFILES.items()))


def openapi_text() -> str:
    """The file."""
    content: dict[str, Any] = document()
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


BLOCKS: Final[dict[str, Callable[[], str]]] = {
    "actions": actions,
    "action fields": action_fields,
    "scopes": scopes,
    "credential kinds": credential_kinds,
    "profiles": profiles,
}
