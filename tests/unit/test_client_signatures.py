"""The Python door says what the registry says: a method for each core action, typed alike."""

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from msgspec.structs import fields

import hushwire
from hushwire.client.asynchronous import AsyncAccounts, AsyncHushwire, AsyncMessages, AsyncNumbers
from hushwire.client.fields import FilterFields
from hushwire.client.synchronous import AccountCalls, Hushwire, MessageCalls, NumberCalls
from hushwire.connect.models import ListMessages, Message
from hushwire.connect.registry import REGISTRY
from hushwire.connect.run import run  # declares the actions

CORE = {one.name: one for one in REGISTRY if one.view is None}
METHODS: dict[str, tuple[Callable[..., object], Callable[..., object]]] = {
    "send_message": (AsyncMessages.send, MessageCalls.send),
    "list_messages": (AsyncMessages.list, MessageCalls.list),
    "retrieve_message": (AsyncMessages.retrieve, MessageCalls.retrieve),
    "update_message": (AsyncMessages.update, MessageCalls.update),
    "cancel_message": (AsyncMessages.cancel, MessageCalls.cancel),
    "redact_message": (AsyncMessages.redact, MessageCalls.redact),
    "delete_message": (AsyncMessages.delete, MessageCalls.delete),
    "list_accounts": (AsyncAccounts.list, AccountCalls.list),
    "retrieve_account": (AsyncAccounts.retrieve, AccountCalls.retrieve),
    "list_numbers": (AsyncNumbers.list, NumberCalls.list),
    "look_up_phone": (AsyncHushwire.look_up, Hushwire.look_up),
}
NOT_A_FIELD = ("self", "idempotency_key")


def taken(method: Callable[..., object]) -> tuple[dict[str, Any], set[str]]:
    """What a method takes: argument → type, and which must be given."""
    hints, types, required = get_type_hints(method), dict[str, Any](), set[str]()
    for name, parameter in inspect.signature(method).parameters.items():
        if parameter.kind is inspect.Parameter.VAR_KEYWORD:
            (given,) = get_args(hints[name])
            types |= get_type_hints(given)
            required |= given.__required_keys__
        elif name not in NOT_A_FIELD:
            types[name] = hints[name]
            required |= {name} if parameter.default is inspect.Parameter.empty else set()
    return types, required


def test_every_core_action_has_a_method() -> None:
    assert set(METHODS) == set(CORE)
    assert run is not None


@pytest.mark.parametrize("name", METHODS)
def test_a_method_takes_and_gives_what_its_action_does(name: str) -> None:
    """Issue 6, item 19 of acceptance section 4: one declaration, and doors that follow it."""
    action = CORE[name]
    for method in METHODS[name]:
        types, required = taken(method)
        assert types == get_type_hints(action.input), method
        assert required == {f.name for f in fields(action.input) if f.required}, method
        assert get_type_hints(method)["return"] is action.output, method
        assert ("idempotency_key" in inspect.signature(method).parameters) is (
            action.idempotency == "key"
        )


def test_iterate_filters_as_list_does() -> None:
    assert get_type_hints(FilterFields) == {
        name: kind
        for name, kind in get_type_hints(ListMessages).items()
        if name not in ("page", "limit")
    }
    assert get_type_hints(MessageCalls.iterate)["return"].__args__[0] is Message


def loaded(code: str) -> set[str]:
    """The modules that are loaded after some code, in a fresh process."""
    shown = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print(*sys.modules)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return set(shown.stdout.split())


def test_importing_loads_only_what_is_asked_for() -> None:
    bare = loaded("import hushwire")
    assert {one for one in bare if one.startswith(("hushwire", "httpx", "msgspec"))} == {"hushwire"}
    library = loaded("from hushwire import Hushwire, AsyncHushwire, Refused, Message")
    assert "hushwire.client.synchronous" in library
    assert not library & {"hushwire.assemble", "hushwire.store", "apsw", "starlette", "mcp"}


def complaints(folder: Path, code: str) -> list[str]:
    """What a strict type checker says of a program that uses the library."""
    (folder / "program.py").write_text(f"# pyright: strict\n{code}")
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable,
         str(folder / "program.py")],
        capture_output=True, text=True, env={**os.environ, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
        check=False,
    )  # fmt: skip
    return [one["message"].splitlines()[0] for one in json.loads(done.stdout)["generalDiagnostics"]]


GOOD = """
from typing import assert_type
from hushwire import AsyncHushwire, Hushwire, Message, Refused
def use(hush: Hushwire) -> list[Message]:
    sent = hush.messages.send(to="+1", from_="+1", body="x", media_url=["https://a/b"])
    try:
        assert_type(hush.messages.update(sent.sid, status="canceled"), Message)
    except Refused as problem:
        print(problem.code, problem.status, problem.field, problem.text)
    return [one for one in hush.messages.iterate(to="+1", page_size=2)]
async def later() -> str | None:
    async with AsyncHushwire.local("data") as hush:
        async for one in hush.messages.iterate():
            return one.body
        return (await hush.look_up("+1")).country_code
"""
BAD = """
from hushwire import Hushwire
hush = Hushwire.from_env()
hush.messages.send(body="x")
hush.messages.send(to="+1", bdy="x")
hush.messages.update("SM", status="sent")
hush.numbers.list(limit="2")
"""


def test_a_strict_type_checker_knows_every_argument(tmp_path: Path) -> None:
    assert complaints(tmp_path, GOOD) == []
    to, bdy, status, limit = complaints(tmp_path, BAD)
    assert "missing for parameter" in to
    assert 'No parameter named "bdy"' in bdy
    assert "Literal['canceled']" in status
    assert 'parameter "limit"' in limit


def test_every_name_it_promises_is_there() -> None:
    for name in hushwire.__all__:
        assert getattr(hushwire, name).__name__ == name
    assert set(hushwire.__all__) <= set(dir(hushwire))
    with pytest.raises(AttributeError, match="no attribute 'Hushwired'"):
        _ = hushwire.Hushwired
