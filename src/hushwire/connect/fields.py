"""The fields of a model: what each is for, what is private, and what is wrong with a value."""

import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final, cast

from msgspec import Struct, inspect

_AT: Final = re.compile(r"(?P<text>.*?)(?: - at `\$\.?(?P<path>[^`]*)`)?\Z", re.DOTALL)
_UNKNOWN: Final = re.compile(r"Object contains unknown field `(?P<name>.*)`\Z", re.DOTALL)
_MISSING: Final = re.compile(r"Object missing required field `(?P<name>.*)`\Z", re.DOTALL)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.<>-]{0,39}\Z")
_SPELLED: Final = "is spelled otherwise than it must be"
_SHOWN: Final = 40  # characters of a value that a sentence repeats
_KINDS: Final = {
    "int": "a whole number", "str": "text", "bool": "true or false", "array": "a list",
    "object": "an object", "float": "a number", "null": "null",
}  # fmt: skip


class Field(Struct, frozen=True):
    """A field as its model declares it."""

    name: str
    description: str
    pii: str | None
    required: bool
    options: tuple[str, ...] = ()  # all values, where there are few
    spelled: bool = False  # has its value a pattern?


@cache
def fields_of(model: type[Struct]) -> tuple[Field, ...]:
    """The fields of a model, in order, by the names that callers use."""
    found = inspect.type_info(model)
    assert isinstance(found, inspect.StructType)
    return tuple(
        Field(
            field.encode_name, *_said(field.type), required=field.required,
            options=_options(field.type), spelled=_has_pattern(field.type),
        )
        for field in found.fields
    )  # fmt: skip


def _said(kind: inspect.Type) -> tuple[str, str | None]:
    """The description of a type, and what is private in it."""
    if isinstance(kind, inspect.Metadata):
        description, pii = _said(kind.type)
        schema = _dict(kind.extra_json_schema)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]
        return str(schema.get("description", description)), extra_of(kind).get("pii", pii)
    if isinstance(kind, inspect.UnionType):
        said = [_said(each) for each in kind.types]
        return (
            next((description for description, _ in said if description), ""),
            next((pii for _, pii in said if pii), None),
        )
    if isinstance(kind, (inspect.ListType, inspect.DictType)):
        inner = kind.item_type if isinstance(kind, inspect.ListType) else kind.value_type
        return _said(inner)
    return "", None


def _options(kind: inspect.Type) -> tuple[str, ...]:
    match kind:
        case inspect.Metadata(type=inner):
            return _options(inner)
        case inspect.UnionType(types=types):
            return tuple(option for each in types for option in _options(each))
        case inspect.LiteralType(values=values):
            return tuple(map(str, values))
        case _:
            return ()


def _has_pattern(kind: inspect.Type) -> bool:
    match kind:
        case inspect.Metadata(type=inner):
            return _has_pattern(inner)
        case inspect.UnionType(types=types):
            return any(map(_has_pattern, types))
        case inspect.StrType(pattern=pattern):
            return pattern is not None
        case _:
            return False


def extra_of(kind: inspect.Metadata) -> dict[str, Any]:
    """What a model says of a type beside its schema."""
    return _dict(kind.extra)  # pyright: ignore[reportUnknownMemberType, reportUnknownArgumentType]


def _dict(found: object) -> dict[str, Any]:
    return cast("dict[str, Any]", found or {})


def what_is_wrong(
    model: type[Struct], given: Mapping[str, object], error: str, whole: str = "this action"
) -> tuple[str | None, str]:
    """The field and one sentence for what msgspec says of `given`: value, reason, cure.

    What is private is not repeated. `whole`: what the fields are of.
    """
    known = {field.name: field for field in fields_of(model)}
    unknown, missing = _UNKNOWN.match(error), _MISSING.match(error)
    if unknown is not None:
        return no_such_field(unknown["name"], tuple(known), whole)
    if missing is not None:
        field = known.get(missing["name"])
        about = f": {field.description}" if field is not None and field.description else ""
        return missing["name"], f"{missing['name']} is missing{about}"
    match = _AT.match(error)
    assert match is not None
    name = re.split(r"[.\[]", match["path"] or "")[0]
    field = known.get(name)
    if field is None:
        return None, f"the input must be an object: {_plain(match['text'])}"
    wrong = _choice(field) if field.options and "enum" in error else _plain(match["text"])
    return name, f"{name}{_value(field, given.get(name))} {wrong}{_cure(field)}"


def ends_wrongly(model: type[Struct], given: Mapping[str, object]) -> tuple[str, str] | None:
    """The field and one sentence for a value that ends its line: `$` of a pattern overlooks it."""
    for field in fields_of(model):
        value = given.get(field.name)
        if field.spelled and isinstance(value, str) and value.endswith("\n"):
            return field.name, f"{field.name}{_value(field, value)} {_SPELLED}{_cure(field)}"
    return None


def no_such_field(name: str, known: tuple[str, ...], whole: str) -> tuple[str | None, str]:
    """The field and one sentence for a name that is none. What is spelled unlike one may be
    somebody's number: it is not repeated."""
    if _NAME.match(name) is None:
        return None, f"a name in it is no field of {whole}: there are {', '.join(known)}"
    flat = name.lower().replace("_", "")
    near = [field for field in known if flat == field.replace("_", "")]
    cure = f"it is called {near[0]}" if near else f"there are {', '.join(known)}"
    return name, f"{name} is no field of {whole}: {cure}"


def either(words: Sequence[str]) -> str:
    """`a, b or c`."""
    *rest, last = words
    return f"{', '.join(rest)} or {last}" if rest else last


def _choice(field: Field) -> str:
    return f"must be {either(field.options)}"


def _value(field: Field, value: object) -> str:
    """The value, unless it is private or long."""
    if field.pii is not None or isinstance(value, (dict, list)):
        return ""
    return f" {value!r:.{_SHOWN}}"


def _cure(field: Field) -> str:
    return f" ({field.description})" if field.description else ""


def _plain(text: str) -> str:
    """What msgspec expected, in words."""
    expected = re.match(r"Expected `(?P<kind>[^`]+)`(?P<rest>.*)", text, re.DOTALL)
    if expected is None:
        return "is not as it must be"  # the rest of msgspec's sentence may repeat the value
    kinds = [_KINDS.get(kind.strip(), kind) for kind in expected["kind"].split("|")]
    rest = expected["rest"].partition(", got ")[0]
    if rest.startswith(" matching regex"):
        return _SPELLED
    length = re.match(r" of length (?P<how>[<>]=) (?P<count>\d+)", rest)
    if length is not None:
        return _length(kinds[0], length["how"], int(length["count"]))
    rest = rest.replace(">=", "of at least").replace("<=", "of at most")
    return f"must be {either([kind for kind in kinds if kind != 'null'])}{rest}"


def _length(kind: str, how: str, count: int) -> str:
    if (how, count) == (">=", 1):
        return "must not be empty"
    if (how, count) == ("<=", 0):
        return "must be empty"
    unit = "items" if kind == "a list" else "characters"
    return f"must have {count} {unit} at {'most' if how == '<=' else 'least'}"
