"""The audit log and reveals, through HTTP, the official SDK and the commands."""

import json
import re
import shutil
import sqlite3
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from harness import RunningServer, wait_for
from hushwire.cli.main import cli
from hushwire.domain.audit import AuditRecord, verify
from tenants import Tenant, owner, subaccount

CANARY, PERSON, REASON = "canary-body-5309", "+14155550177", "Complaint of canary-name"
Log = list[dict[str, Any]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One of its own: nobody else forgets anything here."""
    with RunningServer(tmp_path_factory.mktemp("audit") / "data") as running:
        yield running


@pytest.fixture
def hushwire(server: RunningServer) -> Callable[..., Result]:
    """Runs a command as the first account."""
    known = {
        "HUSHWIRE_URL": server.url, "HUSHWIRE_ACCOUNT_SID": server.sid,
        "HUSHWIRE_AUTH_TOKEN": server.token, "COLUMNS": "",
    }  # fmt: skip
    return lambda *arguments, typed=None: CliRunner().invoke(cli, arguments, typed, env=known)


def asked(tenant: Tenant, method: str, path: str, content: object = None) -> tuple[int, Any]:
    """A JSON request of a tenant."""
    basic = b64encode(f"{tenant.user}:{tenant.password}".encode()).decode()
    body = None if content is None else json.dumps(content).encode()
    headers = {"Authorization": f"Basic {basic}"}
    status, _, answer = tenant.server.request(method, path, body, headers, auth=False)
    return status, json.loads(answer)


def log(tenant: Tenant, query: str = "") -> Log:
    status, page = asked(tenant, "GET", f"/hushwire/v1/accounts/{tenant.sid}/audit{query}")
    assert status == 200, page
    return page["audit"]


def reveal(tenant: Tenant, sid: str, content: object = None) -> tuple[int, Any]:
    path = f"/hushwire/v1/accounts/{tenant.sid}/messages/{sid}/reveal"
    return asked(tenant, "POST", path, {"reason": REASON} if content is None else content)


def sent(server: RunningServer, body: str = CANARY) -> str:
    message = server.client().messages.create(to=PERSON, from_=server.number, body=body)
    wait_for(lambda: message.fetch().status == "delivered")
    assert message.sid is not None
    return message.sid


def newest(server: RunningServer) -> int:
    return asked(owner(server), "GET", "/hushwire/v1/audit/head")[1]["seq"]


def chain(server: RunningServer) -> list[AuditRecord]:
    records: list[AuditRecord] = []
    while True:
        path = f"/hushwire/v1/audit/chain?After={len(records)}"
        rows = asked(owner(server), "GET", path)[1]["records"]
        if not rows:
            return records
        records += [AuditRecord(*row[:-1], bytes.fromhex(row[-1])) for row in rows]


# --- what is on record ----------------------------------------------------------------------


def test_each_deed_leaves_its_record_and_nothing_private(server: RunningServer) -> None:
    """Redact, reveal, delete, keys and tokens: these records, in this order, and no others."""
    first, client = owner(server), server.client()
    bodied, gone, kept = sent(server), sent(server), sent(server)
    shop = subaccount(server)
    before = newest(server)

    client.messages(bodied).update(body="")
    client.messages(bodied).update(body="")  # again changes nothing
    assert client.messages(gone).delete()
    assert reveal(first, kept)[0] == 200
    key = first.key(FriendlyName="canary-key")
    assert key.sdk().messages(kept).update(body="").body == ""
    assert first.may("DELETE", f"/v1/Keys/{key.user}") == 0
    second = shop.made("POST", "/v1/AuthTokens/Secondary", 201)["secondary_auth_token"]
    shop.made("POST", "/v1/AuthTokens/Promote")

    found = [record for record in log(first) if record["seq"] > before][::-1]
    told = [(r["what"], r["detail"], r["actor_sid"], r["subjects"][:1]) for r in found]
    own = server.sid
    assert told == [
        ("message.redacted", "body request", own, [bodied]),
        ("message.deleted", "request", own, [gone]),
        ("message.revealed", "body numbers", own, [kept]),
        ("api_key.made", "standard", own, [key.user]),
        ("message.redacted", "body request", key.user, [kept]),
        ("api_key.revoked", "standard", own, [key.user]),
        ("token.made", "", shop.sid, [shop.sid]),
        ("token.promoted", "", shop.sid, [shop.sid]),
    ]
    assert [r["account_sid"] for r in found] == [own] * 6 + [shop.sid] * 2
    assert [r["reason"] for r in found if r["reason"]] == [REASON]
    assert verify(chain(server)).broken is None
    with closing(sqlite3.connect(server.data / "hushwire.db")) as db:
        table = repr(db.execute("SELECT * FROM audit").fetchall())
        entries = repr(db.execute("SELECT * FROM entry").fetchall())
    assert bodied in table
    for canary in ("canary", PERSON[1:], server.token, key.password, second, shop.password):
        assert canary not in table
    assert "canary-name" not in entries, "the reason is sealed"
    assert "canary-name" not in server.log.read_text()


def test_what_is_forgotten_by_a_rule_is_on_record_too(server: RunningServer) -> None:
    first, client = owner(server), server.client()
    before = newest(server)
    message = client.messages.create(
        to=PERSON, from_=server.number, body=CANARY, content_retention="discard",
        address_retention="obfuscate",
    )  # fmt: skip
    wait_for(lambda: message.fetch().status == "delivered")
    server.advance(7 * 3_600)
    wait_for(lambda: message.fetch().body == "")
    wait_for(lambda: newest(server) > before)
    found = [record for record in log(first) if message.sid in record["subjects"]]
    assert [(r["what"], r["detail"], r["actor_sid"]) for r in found] == [
        ("message.redacted", "body numbers rule", None)
    ]


# --- reveals --------------------------------------------------------------------------------


def test_what_lives_is_revealed_and_what_is_forgotten_is_null(server: RunningServer) -> None:
    first, sid = owner(server), sent(server)
    assert reveal(first, sid) == (
        200,
        {"sid": sid, "from": server.number, "to": PERSON, "body": CANARY, "media": [],
         "forgotten_at": None},
    )  # fmt: skip
    server.client().messages(sid).update(body="")
    status, found = reveal(first, sid)
    assert (status, found["body"], found["to"]) == (200, None, PERSON)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+Z", found["forgotten_at"])
    assert log(first)[0]["detail"] == "numbers"
    path = f"/hushwire/v1/accounts/{server.sid}/messages/{sid}/reveal"
    _, headers, _ = server.request("POST", path, b'{"reason":"x"}')
    assert headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("content", "code"),
    [({}, 20001), ({"reason": ""}, 20422), ({"reason": " "}, 20422), ({"reason": "x" * 201}, 20422),
     ({"reason": 7}, 400), ({"reason": "x", "more": 1}, 400), ([], 400)],
)  # fmt: skip
def test_a_reveal_without_a_reason_is_refused_and_not_recorded(
    server: RunningServer, content: object, code: int
) -> None:
    sid, before = sent(server), newest(server)
    status, answer = reveal(owner(server), sid, content)
    assert (status, answer["code"]) == (400, code)
    assert newest(server) == before


def test_who_may_reveal(server: RunningServer) -> None:
    first, sid = owner(server), sent(server)
    allow = json.dumps({"allow": ["/hushwire/messages/reveal"]})
    named = first.key(KeyType="restricted", Policy=allow)
    everything = first.key(KeyType="restricted", Policy=json.dumps({"allow": ["/twilio/*"]}))
    main, standard = first.key(KeyType="main"), first.key()
    for key, status, code in (
        (named, 200, None), (main, 200, None), (everything, 401, 70051), (standard, 401, 20003),
    ):  # fmt: skip
        found, answer = reveal(key, sid)
        assert (found, answer.get("code")) == (status, code)
    assert log(first)[0]["actor_sid"] == main.user
    for path in (f"/hushwire/v1/accounts/{server.sid}/audit", "/hushwire/v1/audit/head"):
        assert asked(standard, "GET", path)[0] == 401
        assert asked(named, "GET", path)[1]["code"] == 70051
    wild = json.dumps({"allow": ["/hushwire/*"]})
    form = {"AccountSid": server.sid, "KeyType": "restricted", "Policy": wild}
    assert first.may("POST", "/v1/Keys", **form) == 70002, "it must be named"


def test_whose_records_and_messages_are_seen(server: RunningServer) -> None:
    first, shop, other = owner(server), subaccount(server), subaccount(server)
    made = ["pepper.made", "pepper.made", "account.opened"]  # of months, and the lasting one
    assert [record["what"] for record in log(shop)] == made
    assert {record["account_sid"] for record in log(first.at(shop.sid))} == {shop.sid}
    assert {shop.sid, other.sid, server.sid} <= {r["account_sid"] for r in log(first)}
    assert asked(shop, "GET", f"/hushwire/v1/accounts/{other.sid}/audit")[0] == 404
    assert asked(shop, "GET", f"/hushwire/v1/accounts/{server.sid}/audit")[0] == 404
    for path in ("head", "chain"):
        status, answer = asked(shop, "GET", f"/hushwire/v1/audit/{path}")
        assert (status, answer["code"]) == (403, 20006)
    assert reveal(shop, sent(server))[0] == 404


# --- lists ----------------------------------------------------------------------------------


def test_pages_and_filters(server: RunningServer) -> None:
    first, sid = owner(server), sent(server)
    server.client().messages(sid).update(body="")
    reveal(first, sid)
    whole = log(first, "?PageSize=1000")
    assert [record["seq"] for record in whole] == list(range(newest(server), 0, -1))
    path: str | None = f"/hushwire/v1/accounts/{server.sid}/audit?PageSize=2"
    walked: Log = []
    while path:
        page = asked(first, "GET", path)[1]
        walked += page["audit"]
        path = page["next_page_uri"]
    assert walked == whole
    about = log(first, f"?Subject={sid}")
    assert [record["what"] for record in about] == ["message.revealed", "message.redacted"]
    only = log(first, f"?Subject={sid}&What=message.redacted")
    assert only == about[1:]
    assert log(first, "?EndDate=2020-01-01") == []
    assert log(first, "?StartDate=2020-01-01&PageSize=1000") == whole
    base = f"/hushwire/v1/accounts/{server.sid}/audit"
    for query in ("What=everything", "Subject=" + "x" * 68):
        assert asked(first, "GET", f"{base}?{query}")[1]["code"] == 20422
    for after in ("-1", "x", "9" * 19):
        assert asked(first, "GET", f"/hushwire/v1/audit/chain?After={after}")[1]["code"] == 20422
    assert asked(first, "GET", f"/hushwire/v1/audit/chain?After={'9' * 18}")[1]["records"] == []


def test_the_head_is_a_metric_and_a_line_of_the_journal(server: RunningServer) -> None:
    metrics = server.request("GET", "/metrics")[2].decode()
    assert f"hushwire_audit_sequence {float(newest(server))}" in metrics
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if "audited" in line]
    assert lines[0]["event"] == "audited"
    assert lines[0]["hash"] == chain(server)[lines[0]["seq"] - 1].hash.hex()


# --- commands -------------------------------------------------------------------------------


def test_the_commands(server: RunningServer, hushwire: Callable[..., Result]) -> None:
    sid = sent(server)
    shown = hushwire("messages", "reveal", sid, "--reason", "-", typed=f"{REASON}\n")
    assert shown.exit_code == 0, shown.output
    assert CANARY in shown.stdout
    assert PERSON in shown.stdout
    found = json.loads(hushwire("messages", "reveal", sid, "--reason", "x", "--json").stdout)
    assert found["body"] == CANARY
    listed = hushwire("audit", "list", "--subject", sid).stdout
    assert f"message.revealed  {sid} +1" in listed
    assert "body numbers: Complaint" in listed
    records = json.loads(
        hushwire("audit", "list", "--since", "1h", "--limit", "2", "--json").stdout
    )
    assert [record["subjects"][0] for record in records] == [sid, sid]
    seq, digest = hushwire("audit", "head").stdout.split()
    assert json.loads(hushwire("audit", "head", "--json").stdout) == {
        "seq": int(seq), "hash": digest,
    }  # fmt: skip
    for source in ([], ["--data", str(server.data)]):
        said = hushwire("audit", "verify", "--head", digest, *source)
        assert said.exit_code == 0, said.output
        assert said.stdout.startswith(f"{seq} records hold, ")
        assert "the head that was given is in it" in said.stdout
        verdict = json.loads(hushwire("audit", "verify", *source, "--json").stdout)
        assert (verdict["records"], verdict["head"], verdict["broken"]) == (int(seq), digest, None)
    missing = hushwire("audit", "verify", "--head", "0f" * 32)
    assert missing.exit_code == 1
    assert "cut at its end, or written anew" in missing.stderr
    assert hushwire("audit", "verify", "--head", "abc").exit_code == 2


def test_a_rewritten_database_is_found(
    server: RunningServer, hushwire: Callable[..., Result], tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in server.data.glob("hushwire.db*"):
        shutil.copy(file, copy)
    with closing(sqlite3.connect(copy / "hushwire.db")) as db:
        db.execute("UPDATE audit SET actor = NULL WHERE seq = 3 AND actor IS NOT NULL")
        db.execute("UPDATE audit SET at_ms = at_ms + 1 WHERE seq = 3")
        db.commit()
    said = hushwire("audit", "verify", "--data", str(copy))
    assert said.exit_code == 1
    assert said.stderr == (
        "Error: the audit log is broken: record 3 was changed. It holds up to record 2\n"
    )
    found = hushwire("audit", "verify", "--data", str(copy), "--json")
    assert json.loads(found.stdout)["broken"] == "changed"
    assert found.exit_code == 1
    assert hushwire("audit", "verify", "--data", str(tmp_path / "none")).exit_code == 78
