"""Privacy views: how much of what is private a connection gives its reader.

    metadata      no numbers, no texts
    masked        numbers without their last four digits, no texts
    pseudonymous  a number as a join key, the same for one connection; no texts
    full          all of it

What is private says so in the models. A URL or a secret is given by `full` alone.
"""

import hmac
import re
from collections.abc import Callable
from typing import Any, Final

from msgspec import Struct, inspect, to_builtins

from hushwire.connect.fields import extra_of
from hushwire.domain.connection import VIEWS as VIEWS
from hushwire.domain.connection import View as View
from hushwire.domain.phone import mask

_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")  # a filter that is none of a number
_KEY_CHARS: Final = 32  # hex digits of a join key: 128 bits
Hide = Callable[[str, Any], Any]  # what is private, the value → what is shown


def shown(output: Struct, view: View, key: bytes) -> dict[str, Any]:
    """An output as that view has it. `key`: of the connection, 32 bytes; for join keys."""
    content: dict[str, Any] = to_builtins(output)
    if view == "full":
        return content

    def hide(kind: str, value: Any) -> Any:
        if kind == "number" and isinstance(value, str) and _DATE.match(value):
            return value
        if kind != "number" or not isinstance(value, str) or view == "metadata":
            return None
        if value.endswith("XXXX"):  # forgotten: there is no more to hide, and nothing to join
            return value
        if view == "masked":
            return mask(value)
        return f"ph_{hmac.digest(key, value.encode(), 'sha256').hex()[:_KEY_CHARS]}"

    return hidden(type(output), content, hide)


def hidden(model: type[Struct], content: dict[str, Any], hide: Hide) -> dict[str, Any]:
    """An output as JSON has it, with each private value as `hide` shows it."""
    walked: dict[str, Any] = _walk(inspect.type_info(model), content, hide)
    return walked


def _walk(kind: inspect.Type, value: Any, hide: Hide) -> Any:
    if value is None:
        return None
    match kind:
        case inspect.Metadata():
            private = extra_of(kind).get("pii")
            return hide(private, value) if private else _walk(kind.type, value, hide)
        case inspect.UnionType():
            for each in kind.types:
                value = _walk(each, value, hide)
            return value
        case inspect.StructType() if isinstance(value, dict):
            return {
                field.encode_name: _walk(field.type, value[field.encode_name], hide)
                for field in kind.fields
                if field.encode_name in value
            }
        case inspect.ListType() if isinstance(value, list):
            items: list[Any] = value  # pyright: ignore[reportUnknownVariableType]
            return [_walk(kind.item_type, item, hide) for item in items]
        case inspect.DictType() if isinstance(value, dict):
            entries: dict[str, Any] = value  # pyright: ignore[reportUnknownVariableType]
            return {name: _walk(kind.value_type, item, hide) for name, item in entries.items()}
        case _:
            return value
