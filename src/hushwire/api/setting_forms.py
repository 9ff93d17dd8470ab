"""Settings in a form: parameter → field, read by a literal table of the resource.

Values that are plain text (names, URLs, methods) are the action's to judge; switches, numbers
and fixed words are judged here.
"""

from collections.abc import Callable, Mapping

from msgspec import Struct

from hushwire.api.door import one
from hushwire.api.values import Fits, anything, is_boolean, is_true, word
from hushwire.api.wire import Form
from hushwire.errors import Refusal


class Setting(Struct, frozen=True):
    """A parameter that sets a field."""

    field: str
    fits: Fits = anything
    wrong: str = "invalid_parameter"  # the problem of a value that does not fit
    read: Callable[[str], object] = str


def text(field: str) -> Setting:
    return Setting(field)


def switch(field: str) -> Setting:
    return Setting(field, is_boolean, "invalid_boolean", is_true)


def words(field: str, options: tuple[str, ...], wrong: str = "invalid_parameter") -> Setting:
    return Setting(field, word(*options), wrong)


def read_settings(form: Form, table: Mapping[str, Setting]) -> dict[str, object]:
    """What the form sets, field → value; empty text stands for the default.

    Raises Refusal for a value that does not fit, or comes twice.
    """
    changes: dict[str, object] = {}
    for name, setting in table.items():
        given = one(form, name)
        if given is None:
            continue
        if given and not setting.fits(given):
            raise Refusal(setting.wrong, parameter=name)
        changes[setting.field] = setting.read(given) if given else ""
    return changes
