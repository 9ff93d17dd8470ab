"""`hushwire privacy`, and what `hushwire messages show` says of holds."""

import json
import re
from collections.abc import Callable, Iterator

import pytest
from click.testing import CliRunner, Result

from harness import RunningServer
from hushwire.cli.main import cli
from hushwire.domain.privacy import Privacy, Windows
from tenants import Tenant, owner, subaccount
from wire_checks import create, fresh_phone, get, until

Command = Callable[..., Result]
DISCARD = {"ContentRetention": "discard"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of this module's own: its first account redacts, and its clock is moved."""
    with RunningServer(tmp_path_factory.mktemp("cli") / "data") as running:
        yield running


@pytest.fixture
def hushwire(server: RunningServer) -> Command:
    """Runs a command with the first account's credentials, or another's."""

    def run(*arguments: str, tenant: Tenant | None = None) -> Result:
        who = tenant or owner(server)
        known = {
            "HUSHWIRE_URL": server.url, "HUSHWIRE_ACCOUNT_SID": who.user,
            "HUSHWIRE_AUTH_TOKEN": who.password, "COLUMNS": "",
        }  # fmt: skip
        return CliRunner().invoke(cli, arguments, env=known)

    return run


def shown(hushwire: Command, *more: str) -> dict[str, object]:
    found = hushwire("privacy", "show", "--json", *more)
    assert found.exit_code == 0, found.output
    return json.loads(found.stdout)


def test_set_and_show(server: RunningServer, hushwire: Command) -> None:
    """RC-1: two switches, each for itself."""
    child = subaccount(server)
    at = ("--account", child.sid)
    said = hushwire("privacy", "set", "redact_body=on", "display=country", *at)
    assert said.exit_code == 0, said.output
    lines = [line.split() for line in said.stdout.splitlines()]
    assert [line[1] for line in lines[:4]] == ["on", "off", "hushwire", "country"]
    assert lines[5] == ["windows.recovery", "21600", "s"]
    assert "Nothing works against redaction" in said.stdout or "filesystem" in said.stdout
    hushwire(
        "privacy", "set", "redact_numbers=true", "redact_body=false", "windows.recovery=0", *at
    )
    now = shown(hushwire, *at)
    assert (now["redact_body"], now["redact_numbers"]) == (False, True)
    assert isinstance(now["windows_s"], dict)
    assert now["windows_s"]["recovery"] == 0
    back = [f"{name}=default" for name in Privacy.__struct_fields__ if name != "windows_s"]
    back += [f"windows.{name}=default" for name in Windows.__struct_fields__]
    assert hushwire("privacy", "set", *back, *at).exit_code == 0
    assert shown(hushwire, *at) == shown(hushwire)
    plain = hushwire("privacy", "show", *at)
    assert plain.stdout.splitlines()[0].split() == ["redact_body", "off"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("redact_body", "give NAME=VALUE, as in redact_body=on"),
        (
            "redact_all=on",
            "there is no setting 'redact_all': there are redact_body, redact_numbers",
        ),
        ("redact_body=yes", "redact_body must be on, off or default"),
        ("windows.recovery=6h", "windows.recovery must be whole seconds, or default"),
        ("windows.recovery=-1", "windows.recovery must be whole seconds, or default"),
        ("windows.ever=1", "there is no setting 'windows.ever'"),
    ],
)
def test_what_is_no_setting_is_refused_with_the_cure(
    hushwire: Command, change: str, says: str
) -> None:
    refused = hushwire("privacy", "set", change)
    assert refused.exit_code == 2
    assert says in " ".join(refused.output.split())


def test_what_the_server_refuses_changes_nothing(hushwire: Command) -> None:
    before = shown(hushwire)
    refused = hushwire("privacy", "set", "redact_body=on", "windows.recovery=999999999")
    assert refused.exit_code == 1
    assert "whole number of seconds from 0 to" in refused.output
    assert hushwire("privacy", "set", "display=all").exit_code == 1
    assert shown(hushwire) == before


def test_scan_prints_codes_and_hints(server: RunningServer, hushwire: Command) -> None:
    """RC-7: the same list as set prints; none while all is off."""
    child = subaccount(server)
    at = ("--account", child.sid)
    assert "Nothing is redacted" in hushwire("privacy", "scan", *at).stdout
    assert json.loads(hushwire("privacy", "scan", "--json", *at).stdout) == []
    number = child.made(
        "POST", "IncomingPhoneNumbers.json", 201, AreaCode="415", SmsUrl="https://a.example/",
        SmsMethod="GET",
    )["sid"]  # fmt: skip
    said = hushwire("privacy", "set", "redact_body=on", *at).stdout
    rows = hushwire("privacy", "scan", *at).stdout
    assert said.endswith(rows)
    heading, coded, hint, *_ = rows.splitlines()  # perhaps another, of this disk
    assert heading.split()[:2] == ["code", "resource"]
    assert coded.split()[:2] == ["23006", number]
    assert "POST" in coded
    assert hint.split()[:2] == ["hint", number]
    found = json.loads(hushwire("privacy", "scan", "--json", *at).stdout)
    assert [finding["code"] for finding in found][:2] == [23006, None]


def test_a_subaccount_may_not_its_parents(server: RunningServer, hushwire: Command) -> None:
    child = subaccount(server)
    refused = hushwire("privacy", "show", "--account", server.sid, tenant=child)
    assert (refused.exit_code, "20404" in refused.output) == (1, True)
    assert hushwire("privacy", "show", tenant=child).exit_code == 0
    assert hushwire("privacy", "show", "--account", "AC/../x").exit_code == 2


def test_report_is_a_table_of_fields(server: RunningServer, hushwire: Command) -> None:
    """What lives, by field, its oldest, and what is overdue."""
    sid = create(server)["sid"]
    until(server, sid, "delivered")
    heading, *rows = hushwire("privacy", "report").stdout.splitlines()
    assert heading.split() == ["field", "live", "oldest,", "UTC", "days", "overdue", "withheld"]
    told = json.loads(hushwire("privacy", "report", "--json").stdout)
    assert [row.split()[0] for row in rows] == [field["field"] for field in told["fields"]]
    assert all(field["overdue"] == 0 for field in told["fields"])
    at = ("--account", subaccount(server).sid)
    empty = json.loads(hushwire("privacy", "report", "--json", *at).stdout)
    assert {field["oldest"] for field in empty["fields"]} == {None}
    assert hushwire("privacy", "report", *at).stdout.splitlines()[1].split()[1:3] == ["0", "-"]


def test_show_says_what_holds_a_message(server: RunningServer, hushwire: Command) -> None:
    sid = create(server, **DISCARD)["sid"]
    until(server, sid, "delivered")

    def facts() -> str:
        found = hushwire("messages", "show", sid)
        assert found.exit_code == 0, found.output
        return " ".join(found.stdout.split())

    assert re.search("held address until 20.*Z: its account keeps it", facts())
    assert ": the carrier may lose it" in facts()
    assert "forgotten content" not in facts()
    server.advance(21_605)
    assert "the carrier may lose it" not in facts()
    assert "forgotten content 20" in facts()


@pytest.mark.parametrize("command", [["messages", "send", "--to"], ["send"]], ids=["send", "short"])
def test_one_message_says_otherwise(
    server: RunningServer, hushwire: Command, command: list[str]
) -> None:
    """RC-2: by every way to send, in both directions."""
    body = ["--body", "x"] if command[0] == "messages" else ["x"]
    own = ["--from", server.number]
    forget = ["--content-retention", "discard", "--address-retention", "obfuscate"]
    for asked, holds in (
        (forget, {"recovery"}),
        (["--content-retention", "discard"], {"recovery", "retain_address"}),
        (["--address-retention", "retain"], {"recovery", "retain_content", "retain_address"}),
    ):
        sent = hushwire(*command, fresh_phone(), *body, *own, *asked, "--json")
        assert sent.exit_code == 0, sent.output
        sid = json.loads(sent.stdout)["sid"]
        until(server, sid, "delivered")
        path = f"/hushwire/v1/accounts/{server.sid}/messages/{sid}/holds"
        assert {hold["hold"] for hold in get(server, path)["holds"]} == holds
    assert hushwire(*command, fresh_phone(), *body, "--content-retention", "keep").exit_code == 2
