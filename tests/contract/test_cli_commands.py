"""The commands that talk to a server: what they do, print and exit with."""

import json
import re
from collections.abc import Callable

import pytest
from click import unstyle
from click.testing import CliRunner, Result

from harness import RunningServer, wait_for
from hushwire.cli.main import cli

ALICE, BOB = "+14155550171", "+14155550172"
MASKED = "+1415555XXXX"
TEXT = "Your table is ready"

Command = Callable[..., Result]


@pytest.fixture
def hushwire(server: RunningServer) -> Command:
    """Runs a command against the server. Names in capitals are added to its environment."""

    def run(*arguments: str, typed: str | None = None, **environment: str) -> Result:
        known = {
            "HUSHWIRE_URL": server.url,
            "HUSHWIRE_ACCOUNT_SID": server.sid,
            "HUSHWIRE_AUTH_TOKEN": server.token,
            "COLUMNS": "",
        }
        return CliRunner().invoke(cli, arguments, input=typed, env={**known, **environment})

    return run


def delivered(server: RunningServer, to: str, body: str = TEXT) -> str:
    message = server.client().messages.create(to=to, from_=server.number, body=body)
    assert message.sid is not None
    wait_for(lambda: message.fetch().status == "delivered")
    return message.sid


def test_send_takes_the_text_from_the_line_or_from_standard_input(
    server: RunningServer, hushwire: Command
) -> None:
    flags = ["messages", "send", "--to", ALICE, "--from", server.number, "--body"]
    said = hushwire(*flags, "One")
    assert said.exit_code == 0
    sid, status = said.stdout.split()
    assert status == "queued"
    assert server.client().messages(sid).fetch().body == "One"
    sent = json.loads(hushwire(*flags, "-", "--json", typed="Two\n").stdout)
    assert (sent["body"], sent["to"], sent["status"]) == ("Two", ALICE, "queued")


def test_list_masks_people_and_not_the_own_number(server: RunningServer, hushwire: Command) -> None:
    sid = delivered(server, ALICE)
    found = hushwire("messages", "list", "--limit", "1")
    heading, line = found.stdout.splitlines()
    assert heading.split() == ["sid", "UTC", "status", "from", "→", "to", "body"]
    assert line.startswith(sid)
    assert f"delivered  {server.number} → {MASKED}  {TEXT}" in line
    assert ALICE not in found.stdout
    shown = hushwire("messages", "list", "--limit", "1", "--show-numbers").stdout
    assert f"{server.number} → {ALICE}" in shown


def test_list_of_texts_received(server: RunningServer, hushwire: Command) -> None:
    path = f"/sandbox/phones/{BOB}/messages"
    status, _ = server.json("POST", path, {"to": server.number, "body": "Ping\nPong"})
    assert status == 201
    line = hushwire("messages", "list", "--from", BOB, "--limit", "1").stdout.splitlines()[1]
    assert f"received  {MASKED} → {server.number}  Ping Pong" in line


def test_a_body_is_cut_to_the_width_of_the_terminal(
    server: RunningServer, hushwire: Command
) -> None:
    sid = delivered(server, ALICE, "long " * 30)

    def lines(columns: str) -> list[str]:
        found = hushwire(
            "messages", "list", "--limit", "1", FORCE_COLOR="1", TERM="xterm", COLUMNS=columns
        )
        return unstyle(found.stdout).splitlines()

    wide = lines("120")
    assert [len(line.rstrip()) <= 120 for line in wide] == [True, True]
    assert "long long" in wide[1]
    assert wide[1].rstrip().endswith("…")
    narrow = lines("80")
    assert [len(line.rstrip()) <= 80 for line in narrow] == [True, True]
    assert narrow[1].startswith(sid)
    assert narrow[1].rstrip().endswith(f"delivered  → {MASKED}")


def test_list_pages_through_until_the_limit(
    server: RunningServer, hushwire: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hushwire.cli.connection.PAGE_SIZE_MAX", 2)
    to = "+14155550173"
    sent = [delivered(server, to, str(n)) for n in range(5)]
    flags = ["messages", "list", "--to", to, "--json", "--limit"]
    assert [m["sid"] for m in json.loads(hushwire(*flags, "5").stdout)] == sent[::-1]
    assert [m["sid"] for m in json.loads(hushwire(*flags, "3").stdout)] == sent[:1:-1]
    assert len(json.loads(hushwire(*flags, "50").stdout)) == 5


def test_since_and_until_are_times_or_how_long_ago(
    server: RunningServer, hushwire: Command
) -> None:
    to = "+14155550174"
    sid = delivered(server, to)

    def sids(*flags: str) -> list[str]:
        found = hushwire("messages", "list", "--to", to, "--json", *flags)
        assert found.exit_code == 0, found.output
        return [message["sid"] for message in json.loads(found.stdout)]

    assert sids("--since", "1h") == [sid]
    assert sids("--until", "1h") == []
    assert sids("--since", "2d", "--until", "1d") == []
    assert sids("--since", "2100-01-01") == []
    assert sids("--until", "2100-01-01T00:00:00+02:00") == [sid]
    assert hushwire("messages", "list", "--since", "yesterday").exit_code == 2


def test_show_tells_the_whole_body_and_the_history(
    server: RunningServer, hushwire: Command
) -> None:
    body = "A long text. " * 12
    sid = delivered(server, ALICE, body.strip())
    found = hushwire("messages", "show", sid)
    assert body.strip() in " ".join(found.stdout.split())
    assert MASKED in found.stdout
    assert ALICE not in found.stdout
    facts = ("queued", "attempted", "handed", "delivered")
    assert all(f"Z  {fact}" in found.stdout for fact in facts)
    assert ALICE in hushwire("messages", "show", sid, "--show-numbers").stdout
    assert json.loads(hushwire("messages", "show", sid, "--json").stdout)["to"] == ALICE


def test_redact_forgets_the_body(server: RunningServer, hushwire: Command) -> None:
    sid = delivered(server, ALICE)
    assert hushwire("messages", "redact", sid).exit_code == 0
    assert server.client().messages(sid).fetch().body == ""
    assert "(forgotten or empty)" in hushwire("messages", "show", sid).stdout


def test_delete_asks_first(server: RunningServer, hushwire: Command) -> None:
    sid = delivered(server, ALICE)
    for typed in ("n\n", ""):
        assert hushwire("messages", "delete", sid, typed=typed).exit_code == 1
        assert server.client().messages(sid).fetch().sid == sid
    assert hushwire("messages", "delete", sid, typed="y\n").exit_code == 0
    again = hushwire("messages", "delete", sid, "--yes")
    assert again.exit_code == 1
    assert again.stderr.endswith(f"{sid}.json was not found (20404)\n")


def test_delete_without_questions_as_json(server: RunningServer, hushwire: Command) -> None:
    sid = delivered(server, ALICE)
    found = hushwire("messages", "delete", sid, "--yes", "--json")
    assert json.loads(found.stdout) == {"sid": sid, "deleted": True}


def test_what_the_server_refuses_is_one_sentence_with_the_code_and_exit_1(
    server: RunningServer, hushwire: Command
) -> None:
    to, from_ = "+15005550001", server.number
    found = hushwire("messages", "send", "--to", to, "--from", from_, "--body", "x")
    assert found.exit_code == 1
    assert found.stderr == "Error: Invalid 'To' Phone Number: +1500555XXXX (21211)\n"
    server.behave(BOB, "silent")
    message = server.client().messages.create(to=BOB, from_=from_, body="x")
    found = hushwire("messages", "delete", str(message.sid), "--yes")
    server.behave(BOB, "deliver")
    assert found.exit_code == 1
    assert "(20009)" in found.stderr


def test_wrong_credentials_are_78_with_the_cure(hushwire: Command) -> None:
    found = hushwire("messages", "list", HUSHWIRE_AUTH_TOKEN="0" * 32)
    assert found.exit_code == 78
    assert "20003" in found.stderr
    assert "credentials.json" in found.stderr
    assert len(found.stderr.splitlines()) == 1
    assert "0" * 32 not in found.stderr


def test_the_directorys_credentials_serve_when_the_environment_has_none(
    server: RunningServer, hushwire: Command, tmp_path
) -> None:
    flags = ["messages", "list", "--limit", "1", "--json"]
    none = dict.fromkeys(("HUSHWIRE_URL", "HUSHWIRE_ACCOUNT_SID", "HUSHWIRE_AUTH_TOKEN"), "")
    assert hushwire(*flags, HUSHWIRE_DATA=str(server.data), **none).exit_code == 0
    # A flag goes before the environment.
    given = hushwire(*flags, "--data", str(server.data), HUSHWIRE_URL="http://127.0.0.1:1")
    assert given.exit_code == 0
    found = hushwire(*flags, HUSHWIRE_DATA=str(tmp_path), **none)
    assert found.exit_code == 78
    assert "hushwire up" in found.stderr
    assert "HUSHWIRE_URL" in found.stderr


@pytest.mark.parametrize("sid", ["../x", "SM/..", "", "SM1?a=b"])
def test_what_cannot_be_a_sid_is_wrong_usage(hushwire: Command, sid: str) -> None:
    for verb in ("show", "redact"):
        assert hushwire("messages", verb, sid).exit_code == 2


# accounts and numbers --------------------------------------------------------------------------


def test_accounts_are_listed_and_shown(server: RunningServer, hushwire: Command) -> None:
    made = server.client().api.accounts.create(friendly_name="Shop [red]")
    listed = hushwire("accounts", "list", "--limit", "1000").stdout
    assert re.search(rf"^{made.sid}  active +[-0-9]+ [0-9:]+  Shop \[red\]$", listed, re.M)
    own = hushwire("accounts", "show")
    assert server.sid in own.stdout
    assert "parent" not in own.stdout
    shown = hushwire("accounts", "show", str(made.sid))
    assert re.search(rf"^parent +{server.sid}$", shown.stdout, re.M)
    assert str(made.auth_token) not in shown.stdout
    as_json = json.loads(hushwire("accounts", "show", str(made.sid), "--json").stdout)
    assert (as_json["sid"], as_json["auth_token"]) == (made.sid, None)
    server.client().api.accounts(str(made.sid)).update(status="closed")
    found = hushwire("accounts", "list", "--status", "active", "--json").stdout
    active = {account["sid"] for account in json.loads(found)}
    assert server.sid in active
    assert made.sid not in active


def test_an_unknown_account_is_1_with_twilios_code(hushwire: Command) -> None:
    found = hushwire("accounts", "show", "AC" + "0" * 32)
    assert found.exit_code == 1
    assert found.stderr.endswith("was not found (20404)\n")


def test_numbers_are_bought_listed_and_released(server: RunningServer, hushwire: Command) -> None:
    number = "+14155552671"
    bought = hushwire("numbers", "buy", number)
    sid = re.fullmatch(rf"{re.escape(number)} is yours \((PN[0-9a-f]{{32}})\)\n", bought.stdout)
    assert sid is not None
    listed = hushwire("numbers", "list").stdout
    assert re.search(rf"^{re.escape(number)} +{sid[1]} .*sms", listed, re.M)
    assert server.number in listed  # the own numbers are never masked
    again = hushwire("numbers", "buy", number)
    assert again.exit_code == 1
    assert re.search(r"\(\d{5}\)\n\Z", again.stderr)
    several = hushwire("messages", "send", "--to", ALICE, "--body", "x")
    assert several.exit_code == 1
    assert "--from" in several.stderr
    assert hushwire("numbers", "release", number, typed="n\n").exit_code == 1
    assert hushwire("numbers", "release", number, typed="y\n").exit_code == 0
    assert number not in hushwire("numbers", "list").stdout
    gone = hushwire("numbers", "release", number, "--yes")
    assert gone.exit_code == 1
    assert "hushwire numbers list" in gone.stderr


def test_a_number_of_an_area_is_released_by_its_sid(hushwire: Command) -> None:
    bought = json.loads(hushwire("numbers", "buy", "--area-code", "415", "--json").stdout)
    assert bought["phone_number"].startswith("+1415")
    found = hushwire("numbers", "release", bought["sid"], "--yes", "--json")
    assert json.loads(found.stdout) == {
        "sid": bought["sid"], "phone_number": bought["phone_number"], "released": True,
    }  # fmt: skip
    listed = json.loads(hushwire("numbers", "list", "--json").stdout)
    assert bought["sid"] not in [number["sid"] for number in listed]


@pytest.mark.parametrize("arguments", [[], ["+14155552671", "--area-code", "415"]])
def test_buying_names_a_number_or_an_area(hushwire: Command, arguments: list[str]) -> None:
    assert hushwire("numbers", "buy", *arguments).exit_code == 2


def test_who_owns_one_number_need_not_name_it(server: RunningServer, hushwire: Command) -> None:
    sent = hushwire("messages", "send", "--to", ALICE, "--body", "x", "--json")
    assert json.loads(sent.stdout)["from"] == server.number
