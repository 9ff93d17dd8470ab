"""The command: help, exit codes, one sentence for an error, and where the token may show."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from msgspec import json

from hushwire import __version__
from hushwire import serve as server
from hushwire.cli.main import COMMANDS, cli
from hushwire.cli.output import greeting
from hushwire.errors import Misconfigured
from hushwire.private import Private
from hushwire.settings import Settings, Started

SID = "AC" + "0123456789abcdef" * 2
TOKEN = "fedcba9876543210" * 2
STARTED = Started(
    url="http://127.0.0.1:8008",
    account_sid=SID,
    auth_token=Private(TOKEN),
    phone_number="+14155550100",
    credentials_path=Path("/srv/hushwire/credentials.json"),
    sandbox=True,
    first_start=True,
)


def run(*arguments: str, **environ: str):
    kept = {f"HUSHWIRE_{name.upper()}": None for name in Settings.__struct_fields__}
    return CliRunner().invoke(cli, arguments, env={**kept, **environ})


def process(*arguments: str, cwd: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HUSHWIRE")}
    return subprocess.run(
        [sys.executable, "-m", "hushwire", *arguments],
        cwd=cwd, env={**kept, **environ}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_help_lists_every_command_with_examples() -> None:
    found = run("--help")
    assert found.exit_code == 0
    assert "Examples:" in found.output
    assert all(name in found.output for name in COMMANDS)


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_explains_itself(name) -> None:
    found = run(name, "--help")
    assert found.exit_code == 0
    assert "Usage:" in found.output


def test_version() -> None:
    assert run("--version").output == f"hushwire {__version__}\n"


@pytest.mark.parametrize(
    "arguments", [["fly"], ["up", "--prot"], ["up", "--port", "70000"], ["settings", "extra"]]
)
def test_wrong_usage_exits_2(arguments) -> None:
    assert run(*arguments).exit_code == 2


def test_settings_as_json_tells_value_unit_source_and_help(tmp_path) -> None:
    (tmp_path / "hushwire.toml").write_text("recovery_s = 60\n")
    found = run("settings", "--json", "--data", str(tmp_path), HUSHWIRE_PORT="9000")
    rows = {row["name"]: row for row in json.decode(found.output)}
    assert (rows["port"]["value"], rows["port"]["source"]) == (9000, "environment")
    assert rows["recovery_s"]["source"] == "hushwire.toml"
    assert rows["recovery_s"]["unit"] == "s"
    assert (rows["data"]["value"], rows["data"]["source"]) == (str(tmp_path), "flag")
    assert all(row["help"] for row in rows.values())


@pytest.mark.parametrize("form", [["--json"], []])
def test_settings_mask_the_token(tmp_path, form) -> None:
    account = {"HUSHWIRE_ACCOUNT_SID": SID, "HUSHWIRE_AUTH_TOKEN": TOKEN}
    found = run("settings", "--data", str(tmp_path), *form, **account)
    assert found.exit_code == 0
    assert "********" in found.output
    assert TOKEN not in found.output


def test_settings_as_a_table_name_every_setting(tmp_path) -> None:
    found = run("settings", "--data", str(tmp_path))
    assert all(name in found.output for name in Settings.__struct_fields__)


def test_a_configuration_error_is_one_sentence_and_78(tmp_path) -> None:
    found = process("settings", cwd=tmp_path, HUSHWIRE_PORT="eighty")
    assert found.returncode == 78
    assert found.stdout == ""
    assert found.stderr.startswith("Error: HUSHWIRE_PORT: 'eighty' is not valid")
    assert len(found.stderr.splitlines()) == 1


def test_up_refuses_a_bad_setting_before_it_starts(tmp_path) -> None:
    found = process("up", "--data", "d", cwd=tmp_path, HUSHWIRE_AUTH_TOKEN=TOKEN)
    assert found.returncode == 78
    assert "account_sid and auth_token belong together" in found.stderr
    assert TOKEN not in found.stderr
    assert not (tmp_path / "d").exists()


def test_up_passes_its_flags_announces_and_exits_with_the_servers_code(
    tmp_path, monkeypatch
) -> None:
    seen: list[Settings] = []

    def serve(settings, announce) -> int:
        seen.append(settings)
        announce(STARTED)
        return 75

    monkeypatch.setattr(server, "run", serve)
    flags = ["--port", "0", "--no-sandbox", "--no-console", "--public-url", "https://a.example"]
    found = run("up", "--data", str(tmp_path), *flags)
    assert found.exit_code == 75
    assert (seen[0].port, seen[0].sandbox, seen[0].console) == (0, False, False)
    assert seen[0].public_url == "https://a.example"
    assert "http://127.0.0.1:8008" in found.output
    assert TOKEN not in found.output  # the runner's output is no terminal


def test_what_the_server_finds_misconfigured_exits_78(tmp_path, monkeypatch) -> None:
    def serve(settings, announce) -> int:
        raise Misconfigured("port 8008 is taken: choose another with --port")

    monkeypatch.setattr(server, "run", serve)
    found = run("up", "--data", str(tmp_path))
    assert found.exit_code == 78
    assert found.stderr == "Error: port 8008 is taken: choose another with --port\n"


def test_a_terminal_gets_lines_to_paste() -> None:
    text = greeting(STARTED, terminal=True)
    assert f'client = Client("{SID}", "{TOKEN}")' in text
    assert 'client.api.base_url = "http://127.0.0.1:8008"' in text
    assert f"curl -u {SID}:{TOKEN}" in text
    assert "callbacks" in text


def test_the_python_lines_of_the_greeting_compile() -> None:
    text = greeting(STARTED, terminal=True)
    lines = text[text.index("  from twilio") : text.index("or with curl")].splitlines()
    compile("\n".join(line.strip() for line in lines), "greeting", "exec")


def test_anything_but_a_terminal_gets_the_path_of_the_token() -> None:
    text = greeting(STARTED, terminal=False)
    assert TOKEN not in text
    assert "/srv/hushwire/credentials.json" in text


def test_the_sandbox_is_mentioned_only_when_it_is_on() -> None:
    quiet = Started(
        **{name: getattr(STARTED, name) for name in Started.__struct_fields__ if name != "sandbox"},
        sandbox=False,
    )
    assert "sandbox" in greeting(STARTED, terminal=False)
    assert "sandbox" not in greeting(quiet, terminal=False)


def test_the_table_of_commands_names_click_commands() -> None:
    with click.Context(cli) as ctx:
        assert all(cli.get_command(ctx, name).name == name for name in COMMANDS)
