"""Where an action's fields come from: a constant, an attribute of a visitor or an event, or a text
with attributes in it.

    {"constant": "Hello"}          the same for everybody
    {"attribute": "phone"}         the value of that attribute; a list stays a list
    {"template": "Hello {{name}}"} a text; an attribute that is missing or a list is refused
"""

import re
from collections.abc import Mapping
from typing import Final, cast

from msgspec import Struct, ValidationError, convert

from hushwire.connect.refused import INPUT, Refused, refused

Attributes = Mapping[str, object]

_PLACE: Final = re.compile(r"\{\{ *([^{}]*?) *\}\}")
_LISTS: Final = frozenset({"media_url"})  # fields that take several values


class Constant(Struct, frozen=True, forbid_unknown_fields=True):
    """The same for everybody."""

    constant: str | int | float | bool | list[str]

    def of(self, attributes: Attributes) -> object:
        return self.constant


class Attribute(Struct, frozen=True, forbid_unknown_fields=True):
    """The value of an attribute; absent where the attribute is."""

    attribute: str

    def of(self, attributes: Attributes) -> object:
        return attributes.get(self.attribute)


class Template(Struct, frozen=True, forbid_unknown_fields=True):
    """A text with the values of attributes in it."""

    template: str

    def of(self, attributes: Attributes) -> object:
        return _PLACE.sub(lambda found: _written(attributes.get(found[1]), found[1]), self.template)


Source = Constant | Attribute | Template
_KINDS: Final = {"constant": Constant, "attribute": Attribute, "template": Template}


def read_mapping(given: Mapping[str, object]) -> dict[str, Source]:
    """A mapping as JSON has it. Raises Refused: the field, and what may stand there."""
    return {field: _read(field, source) for field, source in given.items()}


def resolve(mapping: Mapping[str, Source], attributes: Attributes) -> dict[str, object]:
    """The input of an action for these attributes; fields without a value are left out.

    Several values of a text attribute (a list, or URLs with blanks between them, as a table's cell
    has them) feed a field that takes several. Raises Refused when a template lacks an attribute.
    """
    found: dict[str, object] = {}
    for field, source in mapping.items():
        try:
            value = source.of(attributes)
        except Refused as problem:
            raise refused(INPUT, f"{field}: {problem.text}", field=field) from None
        if field in _LISTS and isinstance(value, str):
            value = value.split()
        if value is not None and value not in ("", []):
            found[field] = value
    return found


def _read(field: str, source: object) -> Source:
    found = cast("dict[str, object]", source) if isinstance(source, dict) else {}
    kind = _KINDS.get(next(iter(found), ""))
    try:
        if kind is not None:
            return convert(found, kind)
    except ValidationError:
        pass
    raise refused(
        INPUT, f'{field}: give {{"constant": …}}, {{"attribute": "name"}} or {{"template": "…"}}',
        field=field,
    )  # fmt: skip


def _written(value: object, name: str) -> str:
    if value is None or isinstance(value, (list, dict)):
        raise refused(INPUT, f"the attribute {name[:40]!r} is missing or is no text")
    return str(value)
