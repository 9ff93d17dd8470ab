"""`hushwire doctor`: a table or JSON, and an exit code that a timer understands."""

import json
from pathlib import Path

from click.testing import CliRunner

from hushwire.cli.main import cli
from hushwire.settings import Settings

CLEAN = {f"HUSHWIRE_{name.upper()}": None for name in Settings.__struct_fields__}


def test_it_runs_where_nothing_was_started_and_makes_nothing(tmp_path: Path) -> None:
    found = CliRunner().invoke(cli, ["doctor", "--data", str(tmp_path / "data")], env=CLEAN)
    assert found.exit_code == 0, found.stdout
    assert "file system of vault" in found.stdout
    assert list(tmp_path.iterdir()) == []


def test_what_is_bad_is_exit_1_and_in_json(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    data.chmod(0o755)
    found = CliRunner().invoke(cli, ["doctor", "--data", str(data), "--json"], env=CLEAN)
    assert found.exit_code == 1
    (bad,) = (row for row in json.loads(found.stdout) if row["grade"] == "bad")
    assert (bad["check"], str(data) in bad["cure"]) == ("permissions", True)
    data.chmod(0o700)
    found = CliRunner().invoke(cli, ["doctor", "--data", str(data), "--json"], env=CLEAN)
    assert found.exit_code == 0
    assert {row["grade"] for row in json.loads(found.stdout)} <= {"ok", "warn"}


def test_a_bad_setting_is_exit_78(tmp_path: Path) -> None:
    wrong = {**CLEAN, "HUSHWIRE_VAULT_BACKUP": "91d"}
    found = CliRunner().invoke(cli, ["doctor", "--data", str(tmp_path)], env=wrong)
    assert found.exit_code == 78
    assert "vault_backup" in found.stderr.lower()
