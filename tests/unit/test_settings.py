"""Settings: precedence, complaints that name key, value and cure, secrets that stay hidden."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from msgspec import json
from msgspec.structs import fields

from hushwire.errors import Defect, Misconfigured
from hushwire.private import Private
from hushwire.settings import Settings, describe, load, load_with_sources

SID = "AC" + "0123456789abcdef" * 2
TOKEN = "fedcba9876543210" * 2

# A few settings of every type: (what a flag gives, environment, TOML, the value meant).
SAMPLES = {
    "port": [(port, str(port), str(port), port) for port in (0, 1, 9000, 65535)],
    "host": [(host, host, f'"{host}"', host) for host in ("::1", "0.0.0.0")],
    "sandbox": [(on, str(on).lower(), str(on).lower(), on) for on in (True, False)],
    "recovery_s": [(n, str(n), str(n), n) for n in (0, 5)],
    "log_level": [(word, word, f'"{word}"', word) for word in ("debug", "error")],
}
samples = st.sampled_from(sorted(SAMPLES)).flatmap(
    lambda name: st.tuples(
        st.just(name), *[st.none() | st.sampled_from(SAMPLES[name]) for _ in range(3)]
    )
)


def write(directory: Path, text: str) -> Path:
    directory.joinpath("hushwire.toml").write_text(text, encoding="utf-8")
    return directory


def complaint(
    flags: dict[str, object], environ: dict[str, str], data_dir: Path | None = None
) -> str:
    with pytest.raises(Misconfigured) as caught:
        load(flags, environ, data_dir)
    return str(caught.value)


@given(samples)
@hypothesis_settings(deadline=None, max_examples=150)
def test_flag_beats_environment_beats_file_beats_default(tmp_path_factory, sample) -> None:
    name, flag, environment, toml = sample
    data = tmp_path_factory.mktemp("data")
    write(data, f"{name} = {toml[2]}" if toml else "")
    found, sources = load_with_sources(
        {name: flag[0] if flag else None},
        {f"HUSHWIRE_{name.upper()}": environment[1]} if environment else {},
        data,
    )
    given_by = [("flag", flag), ("environment", environment), ("hushwire.toml", toml)]
    default = ("default", (None, None, None, getattr(Settings(), name)))
    source, winner = next(((s, w) for s, w in given_by if w), default)
    assert getattr(found, name) == winner[3]
    assert sources[name] == source
    assert {sources[other] for other in SAMPLES if other != name} == {"default"}


def test_an_empty_variable_counts_as_not_set(tmp_path) -> None:
    assert load({}, {"HUSHWIRE_PORT": "", "HUSHWIRE_AUTH_TOKEN": ""}, tmp_path).port == 8008


def test_the_data_directory_is_absolute_and_holds_the_database(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load({}, {}).data == tmp_path / "hushwire-data"
    assert load({}, {"HUSHWIRE_DATA": "kept"}).database_path == tmp_path / "kept/hushwire.db"
    urls = {"sqlite:///a/b.db": tmp_path / "d/a/b.db", "sqlite:////srv/b.db": Path("/srv/b.db")}
    for url, path in urls.items():
        found = load({"data": "d"}, {"HUSHWIRE_DATABASE_URL": url})
        assert found.database_path == path


def test_a_relative_path_in_the_file_lies_in_the_data_directory(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "data"
    data.mkdir()
    for place in (tmp_path, data):
        (place / "cert.pem").touch()
        (place / "key.pem").touch()
    write(data, 'tls_cert = "cert.pem"')
    found = load({"tls_key": "key.pem"}, {}, data)
    assert (found.tls_cert, found.tls_key) == (data / "cert.pem", tmp_path / "key.pem")


def test_networks_come_as_a_list_or_with_commas(tmp_path) -> None:
    write(tmp_path, 'trusted_proxies = ["10.0.0.0/8", "fd00::/8"]')
    found = load({}, {"HUSHWIRE_OUTBOUND_ALLOW": "192.168.0.0/16, 10.1.2.3"}, tmp_path)
    assert [str(n) for n in found.trusted_proxies] == ["10.0.0.0/8", "fd00::/8"]
    assert [str(n) for n in found.outbound_allow] == ["192.168.0.0/16", "10.1.2.3/32"]


def test_the_first_account_may_be_fixed(tmp_path) -> None:
    environ = {"HUSHWIRE_ACCOUNT_SID": SID, "HUSHWIRE_AUTH_TOKEN": TOKEN}
    found = load({}, environ, tmp_path)
    assert found.account_sid == SID
    assert found.auth_token == Private(TOKEN)


@pytest.mark.parametrize("name", ["HUSHWIRE_ACCOUNT_SID", "HUSHWIRE_AUTH_TOKEN"])
def test_half_an_account_is_refused(tmp_path, name) -> None:
    value = SID if name.endswith("SID") else TOKEN
    assert "both, or neither" in complaint({}, {name: value}, tmp_path)


@pytest.mark.parametrize(
    ("toml", "expected"),
    [
        ("prot = 1", ["'prot'", "hushwire.toml", "did you mean port?"]),
        ("zzz = 1", ["'zzz'", "`hushwire settings`"]),
        ("[port]\nx = 1", ["port in hushwire.toml", "int"]),
        ("port = 70000", ["port in hushwire.toml", "'70000'", "65535"]),
        ("port = true", ["port in hushwire.toml", "int"]),
        ("host = 5", ["host in hushwire.toml", "str"]),
        ('log_level = "loud"', ["log_level", "loud"]),
        ('outbound_allow = ["10.0.0.1/8"]', ["outbound_allow", "10.0.0.1/8", "host bits"]),
        ('data = "elsewhere"', ["data", "--data"]),
        ("port = = 3", ["not valid TOML", "line 1"]),
        ('tls_cert = "nowhere.pem"', ["tls_cert", "tls_key", "both or neither"]),
    ],
)
def test_a_bad_file_names_key_value_and_cure(tmp_path, toml, expected) -> None:
    text = complaint({}, {}, write(tmp_path, toml))
    assert all(part in text for part in expected), text


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("port", "eighty"), ("port", "-1"), ("sandbox", "perhaps"), ("accept_backlog", "0"),
        ("outbound_allow", "everything"), ("recovery_s", "1.5"),
    ],
)  # fmt: skip
def test_a_bad_variable_names_itself(tmp_path, name, value) -> None:
    text = complaint({}, {f"HUSHWIRE_{name.upper()}": value}, tmp_path)
    assert text.startswith(f"HUSHWIRE_{name.upper()}: {value!r} is not valid")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("database_url", "postgresql://me:hunter2@db/x"), ("database_url", "sqlite:///:memory:"),
        ("database_url", "sqlite:///"), ("database_url", "hunter2"),
        ("public_url", "https://me:hunter2@sms.example.com"), ("public_url", "hunter2.example"),
        ("public_url", "https://sms.example.com/hunter2"), ("public_url", "http://[hunter2"),
        ("public_url", "http://hunter2:port"), ("account_sid", "AChunter2"),
        ("auth_token", "hunter2"),
    ],
)  # fmt: skip
def test_what_may_hold_a_secret_is_refused_without_being_shown(tmp_path, name, value) -> None:
    text = complaint({}, {f"HUSHWIRE_{name.upper()}": value}, tmp_path)
    assert name in text.lower()
    assert "hunter2" not in text


def test_missing_tls_files_are_named(tmp_path) -> None:
    flags = {"tls_cert": str(tmp_path / "c.pem"), "tls_key": str(tmp_path / "k.pem")}
    assert "c.pem is not a file" in complaint(flags, {}, tmp_path)


def test_an_unreadable_file_is_named(tmp_path) -> None:
    (tmp_path / "hushwire.toml").mkdir()
    assert "cannot be read" in complaint({}, {}, tmp_path)


def test_a_flag_that_is_no_setting_is_our_bug(tmp_path) -> None:
    with pytest.raises(Defect):
        load({"prot": 1}, {}, tmp_path)


def test_the_token_never_shows(tmp_path) -> None:
    environ = {"HUSHWIRE_ACCOUNT_SID": SID, "HUSHWIRE_AUTH_TOKEN": TOKEN}
    found, sources = load_with_sources({}, environ, tmp_path)
    rows = describe(found, sources)
    everywhere = f"{found!r} {found} {rows!r} {json.encode(rows).decode()}"
    assert TOKEN not in everywhere
    assert next(row.value for row in rows if row.name == "auth_token") == "********"


def test_every_setting_has_help_and_a_row(tmp_path) -> None:
    rows = describe(*load_with_sources({}, {}, tmp_path))
    assert [row.name for row in rows] == [field.name for field in fields(Settings)]
    assert all(re.match(r"\w", row.help) for row in rows)
    units = {"_s": "s", "_ms": "ms", "_mb": "MB"}
    for row in rows:
        for suffix, unit in units.items():
            assert not row.name.endswith(suffix) or row.unit == unit
