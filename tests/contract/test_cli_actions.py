"""`hushwire actions`, `connections` and `send`; and the same sentence through every door."""

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from action_checks import act
from harness import RunningServer, wait_for
from hushwire.cli.main import cli
from hushwire.connect.credentials import Basic
from hushwire.connect.refused import Refused
from hushwire.connect.registry import REGISTRY
from hushwire.connect.run import Connected, run
from hushwire.connect.wire import Wire
from hushwire.private import Private

ALICE = "+14155550176"
Command = Callable[..., Result]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One of its own: with one number, and no connections of other tests."""
    with RunningServer(tmp_path_factory.mktemp("cli_actions") / "data") as running:
        yield running


@pytest.fixture
def hushwire(server: RunningServer) -> Command:
    """Runs a command against the server."""

    def call(*arguments: str, typed: str | None = None, **environment: str) -> Result:
        known = {
            "HUSHWIRE_URL": server.url,
            "HUSHWIRE_ACCOUNT_SID": server.sid,
            "HUSHWIRE_AUTH_TOKEN": server.token,
            "COLUMNS": "",
        }
        return CliRunner().invoke(cli, arguments, input=typed, env={**known, **environment})

    return call


@pytest.fixture
def own(hushwire: Command, server: RunningServer) -> Iterator[str]:
    """A connection to this server, added by the command."""
    flags = ["--account-sid", server.sid, "--secret", "-", "--view", "masked"]
    added = hushwire("connections", "add", "own", *flags, typed=f"{server.token}\n")
    assert (added.exit_code, added.stdout) == (0, "own works, and is stored\n"), added.output
    yield "own"
    hushwire("connections", "remove", "own", "--yes")


def test_send_in_one_line(server: RunningServer, hushwire: Command) -> None:
    sent = hushwire("send", ALICE, "Your table is ready")
    assert sent.exit_code == 0, sent.output
    sid, status = sent.stdout.split()
    assert status == "queued"
    assert server.client().messages(sid).fetch().body == "Your table is ready"
    told = json.loads(hushwire("send", ALICE, "-", "--json", typed="Code 4711\n").stdout)
    assert (told["body"], told["from"]) == ("Code 4711", server.number)


def test_send_through_a_connection(server: RunningServer, hushwire: Command, own: str) -> None:
    sent = hushwire("send", ALICE, "By name", "--connection", own)
    assert sent.exit_code == 0, sent.output
    wait_for(lambda: any(m["body"] == "By name" for m in server.screen(ALICE)))
    problem = hushwire("send", ALICE, "x", "--connection", "nope")
    assert problem.exit_code == 1
    assert "there is no connection 'nope': there are own" in problem.stderr


def test_a_secret_is_asked_for_and_never_shown(server: RunningServer, hushwire: Command) -> None:
    """G-4: hidden while it is typed; not on the command line."""
    added = hushwire("connections", "add", "typed", "--account-sid", server.sid,
                     typed=f"{server.token}\n")  # fmt: skip
    assert added.exit_code == 0
    assert server.token not in added.output
    listed = hushwire("connections", "list", "--json")
    assert server.token not in listed.output
    assert json.loads(listed.stdout)[0]["credential"]["auth_token"] == "********"
    assert hushwire("connections", "remove", "typed", typed="y\n").exit_code == 0
    for flag in (["--secret", "hunter2"], ["--field", "auth_token=hunter2"]):
        refused = hushwire("connections", "add", "x", "--account-sid", server.sid, *flag)
        assert refused.exit_code == 2
        assert "hunter2" not in refused.output


def test_a_wrong_pair_is_told(server: RunningServer, hushwire: Command) -> None:
    added = hushwire("connections", "add", "bad", "--account-sid", server.sid, "--secret", "-",
                     typed="wrong\n")  # fmt: skip
    assert added.exit_code == 78
    assert "does not accept account_sid and auth_token together" in added.stderr
    assert "20003" in added.stderr
    assert "none yet" in hushwire("connections", "list").stderr


def test_list_and_test(server: RunningServer, hushwire: Command, own: str) -> None:
    heading, line = hushwire("connections", "list").stdout.splitlines()
    assert heading.split() == ["name", "backend", "account", "credential", "view", "scopes"]
    assert line.split() == ["own", "this", "server", server.sid, "token", "masked", "all"]
    assert hushwire("connections", "test", own).stdout == "own works\n"
    assert hushwire("connections", "test", "nope").exit_code == 1


def test_run_shows_a_table_or_a_card(server: RunningServer, hushwire: Command, own: str) -> None:
    sid = hushwire("send", ALICE, "Look\nhere").stdout.split()[0]
    table = hushwire("actions", "run", "list_messages", f"to={ALICE}", "limit=1").stdout
    assert table.splitlines()[0].split()[:2] == ["sid", "date_sent,"]
    assert "Look here" in table
    assert ALICE not in table
    assert (
        ALICE
        in hushwire(
            "actions", "run", "list_messages", f"to={ALICE}", "limit=1", "--show-numbers"
        ).stdout
    )
    card = hushwire("actions", "run", "retrieve_message", f"sid={sid}").stdout
    assert card.split()[:2] == ["sid", sid]
    given = json.dumps({"sid": sid})
    for connection in ([], ["--connection", own]):
        output = hushwire(
            "actions", "run", "retrieve_message", "--input", "-", "--json", *connection, typed=given
        )
        assert json.loads(output.stdout)["sid"] == sid
    hidden = json.loads(output.stdout)
    assert (hidden["to"], hidden["body"]) == ("+1415555XXXX", None)


def test_list_and_show_need_no_server(hushwire: Command) -> None:
    listed = hushwire("actions", "list", HUSHWIRE_URL="http://127.0.0.1:1").stdout
    assert all(action.name in listed for action in REGISTRY)
    shown = hushwire("actions", "show", "send_message", HUSHWIRE_URL="http://127.0.0.1:1").stdout
    assert "messages.send" in shown
    assert "whatsapp:+15552229999" in shown


def test_nobody_there(hushwire: Command) -> None:
    """75, by either way."""
    for way in ([], ["--connection", "own"]):
        asked = hushwire("actions", "run", "list_messages", *way, HUSHWIRE_URL="http://127.0.0.1:1")
        assert asked.exit_code == 75, asked.output


def test_other_commands_go_through_a_connection_too(
    server: RunningServer, hushwire: Command, own: str
) -> None:
    """What its view hides stays hidden, whatever the command would show."""

    def through(*arguments: str) -> Result:
        done = hushwire(*arguments, "--connection", own)
        assert done.exit_code == 0, done.output
        return done

    flags = ["--to", ALICE, "--from", server.number, "--body", "Canary 4711"]
    sid = through("messages", "send", *flags).stdout.split()[0]
    wait_for(lambda: server.client().messages(sid).fetch().status == "delivered")
    listed = through("messages", "list", "--to", ALICE, "--show-numbers", "--since", "1h").stdout
    assert sid in listed
    shown = through("messages", "show", sid, "--show-numbers").stdout
    assert not any(text in listed + shown for text in (ALICE, "Canary 4711"))
    assert server.sid in through("accounts", "list").stdout
    assert server.sid in through("accounts", "show", server.sid).stdout
    assert server.number in through("numbers", "list").stdout
    assert "body forgotten" in through("messages", "redact", sid).stdout
    assert server.client().messages(sid).fetch().body == ""
    assert "deleted" in through("messages", "delete", sid, "--yes").stdout
    missing = hushwire("messages", "show", sid, "--connection", own)
    assert (missing.exit_code, "20404" in missing.stderr) == (1, True)


# The same sentence through every door ---------------------------------------------------------

SM = "SM" + "0" * 32
BAD: list[tuple[str, dict[str, Any]]] = [
    *((action.name, {"bogus": "1"}) for action in REGISTRY),
    ("sned_message", {}), ("send_message", {}), ("send_message", {"to": ALICE}),
    ("send_message", {"to": ALICE, "from": "+1", "body": "x" * 1601}),
    ("send_message", {"to": ALICE, "validity_period": "99999"}),
    ("send_message", {"to": "+1", "from": "+15005550006", "body": "x"}),
    ("list_messages", {"page_size": "1001"}), ("list_messages", {"page_size": "many"}),
    ("list_messages", {"date_sent": "yesterday"}), ("list_messages", {"account_sid": "AC1"}),
    ("read_some_sms_messages", {"date_sent_after": "31/01/2026"}),
    ("retrieve_message", {"sid": "SM1"}), ("retrieve_message", {"sid": SM}),
    ("update_message", {"sid": SM}), ("retrieve_account", {"sid": "x"}),
    ("look_up_phone", {"phone_number": "x"}), ("list_accounts", {"status": "asleep"}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "given"), BAD, ids=lambda it: str(it)[:40])
def test_a_mistake_is_the_same_sentence_through_every_door(
    server: RunningServer, hushwire: Command, name: str, given: dict[str, Any]
) -> None:
    """HTTP, the command line and Python: one sentence that names field, value and cure."""

    async def by_python() -> Refused:
        basic = Basic(server.sid, Private(server.token))
        wire = Wire(server.url, basic, transport=httpx.AsyncHTTPTransport())
        with pytest.raises(Refused) as refused:
            await run(name, given, Connected(wire, server.sid))
        await wire.close()
        return refused.value

    refused = asyncio.run(by_python())
    status, problem = act(server, name, given)
    assert (status, problem) == (refused.status, refused.body())
    pairs = [f"{field}={value}" for field, value in given.items()]
    told = hushwire("actions", "run", name, *pairs)
    assert told.exit_code == 1
    assert told.stderr == f"Error: {refused.text.rstrip('.')} ({refused.code})\n"
