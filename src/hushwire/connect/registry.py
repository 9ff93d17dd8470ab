"""The registry: everything that can be done, declared once; each door is made from it.

An action is a name, an input and an output model, the scopes it needs and what it does to the
world. Its function speaks to a backend through `Wire`, so that the same action runs against a
Hushwire server and against Twilio's own cloud.
"""

from collections.abc import Awaitable, Callable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final, Generic, Literal, TypeVar, cast

import msgspec
from msgspec import Struct

from hushwire.connect.fields import ends_wrongly, fields_of, what_is_wrong
from hushwire.connect.refused import INPUT, UNKNOWN, refused
from hushwire.connect.wire import Wire

Effect = Literal["reads", "changes", "sends", "erases"]
Idempotency = Literal["safe", "repeatable", "key"]  # "key": once for each idempotency key

SCOPES: Final = {
    "messages.read": "read one message",
    "messages.list": "list messages",
    "messages.send": "send messages",
    "messages.update": "cancel messages and forget their text",
    "messages.delete": "delete messages",
    "accounts.read": "read one account",
    "accounts.list": "list accounts",
    "numbers.list": "list numbers",
    "lookups.read": "look numbers up",
}

PROFILES: Final = {
    "current": "Twilio's API as it is today",
    "tealium-2021": "Twilio's API as the marketers' connector of 2021 knows it",
}

_SHOWN: Final = 60  # characters of a name that is none

Given = TypeVar("Given", bound=Struct)
Made = TypeVar("Made", bound=Struct)


class Call(Struct, frozen=True):
    """What an action's function is given beside its input."""

    wire: Wire
    account_sid: str  # the connection's own
    key: str | None = None  # idempotency key of this call
    profile: str = "current"  # of PROFILES: where Twilio's documents of different years differ


Run = Callable[[Call, Given], Awaitable[Made]]


class Action(Struct, Generic[Given, Made], frozen=True):
    """One thing that can be done."""

    name: str
    title: str
    summary: str
    input: type[Given]
    output: type[Made]
    scopes: tuple[str, ...]
    effect: Effect
    idempotency: Idempotency
    run: Run[Given, Made]
    view: str | None = None  # of which product it speaks the language: kognitos, persona, tealium
    aliases: Mapping[str, str] = {}  # other names of fields

    def read(self, given: Mapping[str, object]) -> Given:
        """The input. Raises Refused with one sentence: the field, its value, the cure."""
        named: dict[str, object] = {}
        for name, value in given.items():
            own = self.aliases.get(name, name)
            if own in named:
                raise refused(
                    INPUT, f"{own} is given twice: {name} is another name for it", field=own
                )
            named[own] = value
        wrong = ends_wrongly(self.input, named)
        if wrong is not None:
            raise refused(INPUT, wrong[1], field=wrong[0])
        try:
            return msgspec.convert(named, self.input, strict=False)
        except msgspec.ValidationError as error:
            field, text = what_is_wrong(self.input, named, str(error))
            raise refused(INPUT, text, field=field) from None

    def describe(self) -> dict[str, object]:
        """What a door tells of it."""
        return {
            "name": self.name, "title": self.title, "summary": self.summary, "view": self.view,
            "effect": self.effect, "idempotency": self.idempotency, "scopes": list(self.scopes),
            "pii": {field.name: field.pii for field in fields_of(self.input) if field.pii},
            "input": msgspec.json.schema(self.input), "output": msgspec.json.schema(self.output),
        }  # fmt: skip


AnyAction = Action[Any, Any]


class Registry:
    """All actions, by name."""

    def __init__(self) -> None:
        self._actions: dict[str, AnyAction] = {}

    def __iter__(self) -> Iterator[AnyAction]:
        return iter(self._actions.values())

    def find(self, name: str) -> AnyAction:
        """Raises Refused when there is none of that name."""
        action = self._actions.get(name)
        if action is None:
            near = get_close_matches(name[:_SHOWN], self._actions, 1)
            cure = f"did you mean {near[0]}?" if near else f"there are {', '.join(self._actions)}"
            raise refused(UNKNOWN, f"there is no action {name[:_SHOWN]!r}: {cure}", field="name")
        return action

    def action(
        self, title: str, *, scopes: tuple[str, ...], effect: Effect, idempotency: Idempotency,
        name: str | None = None, view: str | None = None, aliases: Mapping[str, str] | None = None,
    ) -> Callable[[Run[Given, Made]], Run[Given, Made]]:  # fmt: skip
        """Declare a function `async def name(call: Call, given: I) -> O` as an action."""

        def declare(run: Run[Given, Made]) -> Run[Given, Made]:
            hints = run.__annotations__
            function = cast("Any", run)
            own = name or str(function.__name__)
            assert own not in self._actions, own
            assert all(scope in SCOPES for scope in scopes), scopes
            summary = " ".join(str(function.__doc__).split())
            self._actions[own] = Action(
                own, title, summary, hints["given"], hints["return"], scopes, effect, idempotency,
                run, view, aliases or {},
            )  # fmt: skip
            return run

        return declare


REGISTRY: Final = Registry()
action: Final = REGISTRY.action
