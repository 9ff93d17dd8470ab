"""`hushwire actions batch`: files of rows against the running server."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness import RunningServer, wait_for
from hushwire.cli.main import cli
from wire_checks import bodies, fresh_phone, get, messages

Command = Callable[..., Result]
FIXED = ("--map", "to=phone", "--template", "body=Hello {{name}}")


@pytest.fixture
def batch(server: RunningServer) -> Command:
    """Runs a batch against the server."""

    def call(*arguments: object, typed: str | None = None, **environment: str) -> Result:
        known = {
            "HUSHWIRE_URL": server.url,
            "HUSHWIRE_ACCOUNT_SID": server.sid,
            "HUSHWIRE_AUTH_TOKEN": server.token,
            "COLUMNS": "",
        }
        given = ["actions", "batch", *(str(argument) for argument in arguments)]
        return CliRunner().invoke(cli, given, input=typed, env={**known, **environment})

    return call


def received(server: RunningServer, phone: str) -> list[str]:
    return bodies(server, f"{messages(server)}?To=%2B{phone[1:]}")


def guests(folder: Path, *phones: str) -> Path:
    path = folder / f"guests-{phones[0][-4:]}.csv"
    rows = [f"{phone},Guest {at}" for at, phone in enumerate(phones, 1)]
    path.write_text("\n".join(["phone,name", *rows, ""]))
    return path


def results(path: Path) -> list[dict[str, object]]:
    """The last word on each row."""
    found = [json.loads(line) for line in path.read_text().splitlines()]
    return list({line["row"]: line for line in found}.values())


def test_a_batch_is_sent_once(server: RunningServer, batch: Command, tmp_path: Path) -> None:
    """T-26, T-28, item 13: a bad row stops nothing; what was sent is left out the next time."""
    good, last = fresh_phone(), fresh_phone()
    file = guests(tmp_path, good, "4155550123", last)
    flags = (*FIXED, "--set", f"from={server.number}")
    first = batch("send_sms_or_mms", file, *flags)
    assert first.exit_code == 1, first.output
    where = file.with_name(f"{file.stem}.results.jsonl")
    assert first.stdout == f"2 sent, 1 refused; each row is in {where}\n"
    assert [line["outcome"] for line in results(where)] == ["sent", "refused", "sent"]
    bad = results(where)[1]
    assert (bad["field"], bad["code"]) == ("to", 21211)
    assert "E.164" in str(bad["reason"])
    again = batch("send_sms_or_mms", file, *flags)
    assert again.stdout.startswith("0 sent, 1 refused, 2 sent before")
    assert (received(server, good), received(server, last)) == (
        ["Hello Guest 1"],
        ["Hello Guest 3"],
    )


def test_a_lost_result_file_sends_nothing_twice(
    server: RunningServer, batch: Command, tmp_path: Path
) -> None:
    """Item 13: the server knows each row's key, too."""
    phone = fresh_phone()
    file = guests(tmp_path, phone)
    flags = (*FIXED, "--set", f"from={server.number}", "--json")
    first = json.loads(batch("send_sms_or_mms", file, *flags).stdout)
    Path(first["results"]).unlink()
    second = json.loads(batch("send_sms_or_mms", file, *flags).stdout)
    assert (first["sent"], second["sent"]) == (1, 1)
    assert len(received(server, phone)) == 1


def test_a_dry_run_sends_nothing(server: RunningServer, batch: Command, tmp_path: Path) -> None:
    """T-30."""
    phone = fresh_phone()
    file = guests(tmp_path, phone, "nobody")
    flags = (*FIXED, "--set", f"from={server.number}", "--dry-run")
    tried = batch("send_sms_or_mms", file, *flags)
    assert tried.stdout.startswith("1 would be sent, 1 would be refused")
    (where,) = tmp_path.glob("*.dry-run.results.jsonl")
    assert [line["outcome"] for line in results(where)] == ["ready", "refused"]
    assert received(server, phone) == []


def test_a_mapping_from_a_file_and_arrays(
    server: RunningServer, batch: Command, tmp_path: Path
) -> None:
    """T-26: {"constant"} or {"attribute"}; an array feeds media_url."""
    phone = fresh_phone()
    file = tmp_path / "events.jsonl"
    urls = ["http://127.0.0.1:59999/a.png", "http://127.0.0.1:59999/b.png"]
    file.write_text(json.dumps({"phone": phone, "pictures": urls}) + "\n")
    mapping = tmp_path / "sms.json"
    mapping.write_text(json.dumps({
        "to": {"attribute": "phone"}, "from": {"constant": server.number},
        "media_url": {"attribute": "pictures"},
    }))  # fmt: skip
    done = batch("send_sms_or_mms", file, "--mapping", mapping, "--json")
    assert json.loads(done.stdout)["sent"] == 1, done.output
    page = get(server, f"{messages(server)}?To=%2B{phone[1:]}")
    assert [message["num_media"] for message in page["messages"]] == ["2"]


@pytest.fixture
def own(server: RunningServer, batch: Command) -> Iterator[str]:
    """A connection to this server."""
    flags = ["--account-sid", server.sid, "--secret", "-"]
    known = {
        "HUSHWIRE_URL": server.url, "HUSHWIRE_ACCOUNT_SID": server.sid,
        "HUSHWIRE_AUTH_TOKEN": server.token,
    }  # fmt: skip
    call = CliRunner().invoke
    added = call(cli, ["connections", "add", "batches", *flags], input=server.token, env=known)
    assert added.exit_code == 0, added.output
    yield "batches"
    call(cli, ["connections", "remove", "batches", "--yes"], env=known)


def test_through_a_connection(
    server: RunningServer, batch: Command, own: str, tmp_path: Path
) -> None:
    """T-28, G-3: the server sends with its credentials; each reason comes back."""
    phone = fresh_phone()
    file = guests(tmp_path, phone, "nobody")
    flags = (*FIXED, "--set", f"from={server.number}", "--connection", own, "--json")
    done = json.loads(batch("send_sms_or_mms", file, *flags).stdout)
    assert (done["sent"], done["refused"]) == (1, 1)
    assert received(server, phone) == ["Hello Guest 1"]
    assert results(Path(done["results"]))[1]["code"] == 21211
    again = json.loads(batch("send_sms_or_mms", file, *flags).stdout)
    assert (again["sent"], again["sent_before"]) == (0, 1)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("list_messages",), "sends nothing"),
        (("nonsense",), "no action"),
        (("send_message", "--dry-run"), "has no dry run"),
        (("send_sms_or_mms", "--map", "phone"), "give FIELD=…"),
    ],
)
def test_what_cannot_be_a_batch(
    batch: Command, tmp_path: Path, arguments: tuple[str, ...], text: str
) -> None:
    name, *flags = arguments
    done = batch(name, guests(tmp_path, "+14155550101"), *flags)
    assert done.exit_code in (1, 2)
    assert text in done.output


def test_another_kind_of_file(batch: Command, tmp_path: Path) -> None:
    file = tmp_path / "guests.xlsx"
    file.write_bytes(b"PK")
    assert "must be a .csv with a heading, or a .jsonl" in batch("send_message", file).output


def test_nobody_answers(batch: Command, tmp_path: Path) -> None:
    """Exit 75: no row was bad, and all of them wait."""
    done = batch(
        "send_sms_or_mms", guests(tmp_path, fresh_phone()), *FIXED, "--set", "from=Hushwire",
        HUSHWIRE_URL="http://127.0.0.1:9",
    )  # fmt: skip
    assert done.exit_code == 75, done.output
    assert "stopped: 0 sent" in done.output


def test_a_batch_that_is_killed_goes_on_where_it_was(
    server: RunningServer, batch: Command, tmp_path: Path
) -> None:
    """T-28, item 13: kill -9 in the middle, and again; every row exactly once."""
    phones = [fresh_phone() for _ in range(60)]
    file = guests(tmp_path, *phones)
    where = file.with_name(f"{file.stem}.results.jsonl")
    command = [
        sys.executable, "-m", "hushwire", "actions", "batch", "send_sms_or_mms", str(file), *FIXED,
        "--set", f"from={server.number}", "--data", str(server.data),
    ]  # fmt: skip
    for lines in (10, 40):
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda lines=lines: where.exists() and where.read_bytes().count(b"\n") > lines)
        running.kill()
        running.wait()
    assert where.read_bytes().count(b'"began"') < len(phones), "it was killed in the middle"
    done = json.loads(
        batch("send_sms_or_mms", file, *FIXED, "--set", f"from={server.number}", "--json").stdout
    )
    assert done["sent"] + done["sent_before"] == len(phones)
    for at, phone in enumerate(phones, 1):
        assert received(server, phone) == [f"Hello Guest {at}"]
