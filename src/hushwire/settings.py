"""Every setting: name, type, unit, default, help. `Settings` is the one table.

A value comes from the first of: the flag, the environment (`HUSHWIRE_` and the name in
upper case; set to nothing counts as not set), `hushwire.toml` in the data directory, the
default. An unknown key or a bad value is `Misconfigured`, which names the key, the value
and the cure.
"""

import re
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Final, Literal, get_args
from urllib.parse import parse_qsl, urlsplit

from msgspec import Meta, Struct, ValidationError, convert
from msgspec.structs import FieldInfo, fields

from hushwire.errors import Defect, Misconfigured
from hushwire.private import Private

FILE: Final = "hushwire.toml"
PREFIX: Final = "HUSHWIRE_"

Source = Literal["flag", "environment", "hushwire.toml", "default"]
Plain = str | int | bool | list[str] | None  # a value as JSON and tables show it
LogLevel = Literal["debug", "info", "warning", "error"]
CallbackLog = Literal["failures", "all", "none"]
MediaAccess = Literal["signed", "basic", "public"]
Landlines = Literal["accepted", "refused"]
MaxPrice = Literal["ignored", "honoured"]
GetWebhooks = Literal["warn", "post", "thin"]
CallbackProfile = Literal["current", "2021"]


class Networks(tuple[IPv4Network | IPv6Network, ...]):
    """Networks in CIDR form; written `10.0.0.0/8, fd00::/8` or as an array in TOML."""

    __slots__ = ()


Language = Literal[
    "turkish", "spanish", "portuguese", "bengali", "gujarati", "hindi", "kannada", "malayalam",
    "oriya", "punjabi", "tamil", "telugu", "urdu",
]  # fmt: skip


class Languages(tuple[Language, ...]):
    """Names of languages; written `turkish, spanish` or as an array in TOML."""

    __slots__ = ()


def _row(what: str, unit: str = "", *, ge: int | None = None, le: int | None = None) -> Meta:
    return Meta(description=what, extra={"unit": unit}, ge=ge, le=le)


VAULT_BACKUP_DAYS_MAX: Final = 90
_VAULT_BACKUP: Final = Meta(
    description="none, or for how many days a backup holds the vault, as in 7d (1d to 90d)",
    pattern=r"^(none|([1-9]|[1-8][0-9]|90)d)$",
)
_SID: Final = Meta(
    description="SID of the first account, AC and 32 hex digits; with auth_token, or neither",
    pattern=r"^AC[0-9a-f]{32}$",
)


class Settings(Struct, frozen=True, kw_only=True):
    """What the server was told. Paths are absolute; `auth_token` shows only its length.

    A relative path lies in the data directory when `hushwire.toml` gives it, in the current
    directory when a flag or the environment does.
    """

    data: Annotated[Path, _row("directory that holds everything the server keeps")] = Path(
        "hushwire-data"
    )
    host: Annotated[str, _row("address to listen on")] = "127.0.0.1"
    port: Annotated[int, _row("port to listen on; 0 takes a free one", ge=0, le=65535)] = 8008
    public_url: Annotated[
        str, _row("scheme and host callers use, behind a proxy; in signatures and links")
    ] = ""
    tls_cert: Annotated[Path | None, _row("certificate chain (PEM); with tls_key")] = None
    tls_key: Annotated[Path | None, _row("private key (PEM); with tls_cert")] = None
    trusted_proxies: Annotated[
        Networks, _row("networks whose X-Forwarded-* headers are believed", "CIDR")
    ] = Networks()
    request_timeout_s: Annotated[
        int, _row("how long a request may take to arrive, and its answer to be taken", "s", ge=1)
    ] = 30
    outbound_allow: Annotated[
        Networks, _row("private networks that callbacks may reach", "CIDR")
    ] = Networks()
    sandbox: Annotated[
        bool, _row("simulated phones at /sandbox; callbacks may reach this machine")
    ] = True
    console: Annotated[bool, _row("the web console; accepted, without effect yet")] = True
    national_shift: Annotated[
        Languages, _row("languages whose GSM 7-bit shift tables may be used; none: never")
    ] = Languages()
    database_url: Annotated[
        str, _row("sqlite:/// and a path; a relative one lies in the data directory")
    ] = "sqlite:///hushwire.db"
    media_url: Annotated[
        str,
        _row("where media lie, sealed: file:/// and a folder, or s3://bucket/prefix?region=…"),
    ] = "file:///media"
    media_access: Annotated[
        MediaAccess, _row("who may get a medium: whoever has the link, credentials, anybody")
    ] = "signed"
    account_sid: Annotated[str, _SID] | None = None
    auth_token: Annotated[
        Private | None, _row("token of the first account, 32 hex digits; with account_sid")
    ] = None
    log_level: Annotated[LogLevel, _row("least severe line of the journal that is written")] = (
        "info"
    )
    landlines: Annotated[
        Landlines, _row("recipients whose number is certainly fixed; never so in North America")
    ] = "accepted"
    rates: Annotated[
        Path | None, _row("prices of messages (CSV), as in rates.csv; none: no prices")
    ] = None
    max_price: Annotated[
        MaxPrice, _row("MaxPrice of a message; honoured: what costs more fails (30010)")
    ] = "ignored"
    disk_reserve_mb: Annotated[
        int, _row("free disk below which nothing new is accepted", "MB", ge=0)
    ] = 256
    accept_backlog: Annotated[
        int, _row("messages that may wait to be committed; beyond: 429", "messages", ge=1)
    ] = 2_000
    account_rate: Annotated[
        int, _row("requests one account may make; beyond: 429; 0: any number", "1/s", ge=0)
    ] = 0
    dispatch_memory: Annotated[
        int, _row("messages held in memory on their way to a carrier", "messages", ge=1)
    ] = 10_000
    callback_memory: Annotated[
        int, _row("callbacks held in memory on their way out", "callbacks", ge=1)
    ] = 50_000
    callback_connections: Annotated[
        int, _row("connections to one callback endpoint", "connections", ge=1, le=1_000)
    ] = 10
    callback_log: Annotated[
        CallbackLog, _row("which attempts at status callbacks are logged, for 30 days")
    ] = "failures"
    callback_profile: Annotated[
        CallbackProfile,
        _row("StatusCallback wins over ApplicationSid; 2021: the application's URL wins"),
    ] = "current"
    get_webhooks: Annotated[
        GetWebhooks,
        _row("webhooks by GET: warn once a day, post them instead, or thin: without content"),
    ] = "warn"
    carrier_window: Annotated[
        int, _row("submissions that may wait for a carrier's answer", "messages", ge=1)
    ] = 1_000
    simulator_receipt_ms: Annotated[
        int, _row("wait before a simulated phone confirms", "ms", ge=0)
    ] = 200
    recovery_s: Annotated[
        int, _row("how long a body or number to be forgotten outlives its hand-over", "s", ge=0)
    ] = 21_600
    root_key: Annotated[
        str, _row("what gives the root key: file:, env:, command:, credential: or transit:")
    ] = "file:root.key"
    vault_copy: Annotated[
        Path | None, _row("directory on another disk that holds a copy of the vault; none: no copy")
    ] = None
    vault_slots_per_file: Annotated[
        int, _row("keys in one file of the vault; fixed at first start", "keys", ge=1_024)
    ] = 262_144

    vault_backup: Annotated[str, _VAULT_BACKUP] = "none"
    backup_keys: Annotated[
        Path | None,
        _row("file of backup keys, best on a disk of its own; none: in the data directory"),
    ] = None
    erasure_log: Annotated[
        Path | None,
        _row("log of destroyed keys while the vault is backed up; none: beside backup_keys"),
    ] = None
    backups: Annotated[
        Path | None, _row("folder that `hushwire backup` writes to when none is named")
    ] = None

    @property
    def vault_backup_days(self) -> int:
        """For how many days a backup holds a vault that opens; 0: it holds none."""
        return 0 if self.vault_backup == "none" else int(self.vault_backup.removesuffix("d"))

    @property
    def backup_keys_path(self) -> Path:
        """The file of backup keys, absolute."""
        return self.backup_keys or self.data / "backup.keys"

    @property
    def erasure_log_path(self) -> Path:
        """The erasure log, absolute."""
        return self.erasure_log or self.backup_keys_path.with_name("erasures.log")

    @property
    def database_path(self) -> Path:
        """The SQLite file, absolute."""
        return self.data / self.database_url.removeprefix("sqlite:///")


class Started(Struct, frozen=True):
    """What the server tells the person who started it."""

    url: str
    account_sid: str
    auth_token: Private
    phone_number: str  # the first number the account owns, E.164
    credentials_path: Path  # the 0600 file with all of the above
    sandbox: bool
    first_start: bool


class Row(Struct, frozen=True):
    """One setting as people read about it."""

    name: str
    value: Plain  # secrets masked
    unit: str
    source: Source
    help: str


_FIELDS: Final[dict[str, FieldInfo]] = {field.name: field for field in fields(Settings)}
# A bad value of these is never repeated: it may hold a token or a password.
_UNSHOWN: Final = frozenset(
    {"account_sid", "auth_token", "database_url", "media_url", "public_url", "root_key"}
)
_TOKEN: Final = re.compile(r"[0-9a-f]{32}\Z")


def load(
    flags: Mapping[str, object], environ: Mapping[str, str], data_dir: Path | None = None
) -> Settings:
    """The settings in force; `flags` by setting name, None for a flag not given.

    `data_dir` stands for the flag `--data`. Raises `Misconfigured`.
    """
    return load_with_sources(flags, environ, data_dir)[0]


def load_with_sources(
    flags: Mapping[str, object], environ: Mapping[str, str], data_dir: Path | None = None
) -> tuple[Settings, dict[str, Source]]:
    """As `load`, and where each value came from."""
    given: dict[Source, dict[str, object]] = {
        "flag": {name: value for name, value in flags.items() if value is not None},
        "environment": _environment(environ),
    }
    if data_dir is not None:
        given["flag"]["data"] = data_dir
    if not given["flag"].keys() <= _FIELDS.keys():
        raise Defect("a flag that is no setting")
    data = Path.cwd() / convert(_chosen("data", given)[0], Path, dec_hook=_decode)
    given["hushwire.toml"] = _file(data)
    chosen = {name: _chosen(name, given) for name in _FIELDS}
    values = {
        name: (data if source == FILE else Path.cwd()) / value if isinstance(value, Path) else value
        for name, (value, source) in chosen.items()
    }
    # Every value has its type by now: convert only puts them into the record.
    settings = convert(values, Settings, dec_hook=_decode)
    _check(settings)
    return settings, {name: source for name, (_, source) in chosen.items()}


def describe(settings: Settings, sources: Mapping[str, Source]) -> list[Row]:
    """The settings in force as a table for people and programs."""
    return [
        Row(name, _plain(getattr(settings, name)), unit, sources[name], what)
        for name, (what, unit) in ((name, _meta(field)) for name, field in _FIELDS.items())
    ]


def _environment(environ: Mapping[str, str]) -> dict[str, object]:
    named = ((name, environ.get(PREFIX + name.upper(), "")) for name in _FIELDS)
    return {name: value for name, value in named if value}


def _file(data: Path) -> dict[str, object]:
    path = data / FILE
    try:
        found: dict[str, object] = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise Misconfigured(f"{path} cannot be read ({error.strerror}): make it readable") from None
    except ValueError as error:  # not UTF-8, or not TOML
        where = re.search(r"at line \d+, column \d+", str(error))
        place = f" {where[0]}" if where else ""
        raise Misconfigured(f"{path} is not valid TOML{place}: correct it") from None
    for name in found:
        if name == "data":
            raise Misconfigured(f"data cannot be set in {path}, which lies in it: use --data")
        if name not in _FIELDS:
            near = get_close_matches(name, _FIELDS, n=1)
            hint = f"did you mean {near[0]}?" if near else "`hushwire settings` lists them all"
            raise Misconfigured(f"{name[:80]!r} in {path} is not a setting: {hint}")
    return found


def _chosen(name: str, given: Mapping[Source, Mapping[str, object]]) -> tuple[object, Source]:
    field = _FIELDS[name]
    for source, values in given.items():
        if name not in values:
            continue
        raw = values[name]
        try:
            value: object = convert(raw, field.type, strict=False, dec_hook=_decode)
        except ValidationError as error:
            raise Misconfigured(_complaint(name, raw, source, error)) from None
        return value, source
    return field.default, "default"


def _complaint(name: str, raw: object, source: Source, error: ValidationError) -> str:
    origin = {
        "flag": f"--{name.replace('_', '-')}",
        "environment": PREFIX + name.upper(),
        "hushwire.toml": f"{name} in {FILE}",
        "default": name,
    }[source]
    value = "" if name in _UNSHOWN else f" {str(raw)[:80]!r}"
    reason = str(error).removeprefix("Expected ")
    return f"{origin}:{value} is not valid, expected {reason} ({_meta(_FIELDS[name])[0]})"


def _decode(kind: type, raw: object) -> object:
    """A value of a type that msgspec does not know; the errors say what was expected."""
    if isinstance(raw, kind):
        return raw
    if kind is Networks:
        parts = raw.split(",") if isinstance(raw, str) else convert(raw, list[str])
        return Networks(ip_network(part.strip()) for part in parts if part.strip())
    if kind is Languages:
        names = [part.strip() for part in raw.split(",")] if isinstance(raw, str) else raw
        return Languages(convert(names, tuple[Language, ...]))
    if not isinstance(raw, str):
        raise TypeError("a text in quotes")
    if kind is Private:
        if _TOKEN.match(raw) is None:
            raise ValueError("32 hex digits in lower case")
        return Private(raw)
    return Path(raw).expanduser()


def _check(settings: Settings) -> None:
    """What concerns more than one setting, or more than a type can say."""
    if (settings.account_sid is None) != (settings.auth_token is None):
        raise Misconfigured(
            "account_sid and auth_token belong together: set both, or neither to have them made"
        )
    if (settings.tls_cert is None) != (settings.tls_key is None):
        raise Misconfigured("tls_cert and tls_key belong together: set both or neither")
    for name, path in (("tls_cert", settings.tls_cert), ("tls_key", settings.tls_key)):
        if path is not None and not path.is_file():
            raise Misconfigured(f"{name}: {path} is not a file: correct the path")
    if settings.rates is not None and not settings.rates.is_file():
        raise Misconfigured(f"rates: {settings.rates} is not a file: correct the path")
    if settings.max_price == "honoured" and settings.rates is None:
        raise Misconfigured("max_price is honoured only with prices: set rates, too")
    if settings.public_url and not _is_origin(settings.public_url):
        raise Misconfigured(
            "public_url must be a scheme and a host, as in https://sms.example.com, and no more"
        )
    scheme, _, path = settings.database_url.partition(":///")
    if scheme != "sqlite" or not path or ":" in path or "?" in path:
        raise Misconfigured(
            "database_url must be sqlite:/// and the path of a file, as in sqlite:///hushwire.db "
            "(other engines come later)"
        )
    if not _holds_objects(settings.media_url):
        raise Misconfigured(
            "media_url must be file:/// and a folder, as in file:///media, or a bucket, as in "
            "s3://bucket/prefix?region=eu-central-1&endpoint=https://s3.example.com; credentials "
            "belong in the environment"
        )


def _holds_objects(url: str) -> bool:
    """Does `url` name a folder, or a bucket with nothing else than we read of it?"""
    if url.startswith("file:///"):
        return len(url) > len("file:///") and "?" not in url
    try:
        parts = urlsplit(url)
        given = parse_qsl(parts.query, strict_parsing=True) if parts.query else []
    except ValueError:
        return False
    named = parts.scheme == "s3" and re.fullmatch("[a-z0-9][a-z0-9.-]{1,62}", parts.netloc)
    endpoints = [value for name, value in given if name == "endpoint"]
    known = {name for name, _ in given} <= {"endpoint", "region"}
    return bool(named) and known and not parts.fragment and all(map(_is_origin, endpoints))


def _is_origin(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        return False
    plain = f"{parts.scheme}://{parts.netloc}" == url and "@" not in parts.netloc
    return parts.scheme in ("http", "https") and bool(host) and plain


def _meta(field: FieldInfo) -> tuple[str, str]:
    """Help and unit of a setting."""
    for part in (field.type, *get_args(field.type)):
        for meta in (part, *get_args(part)):
            if isinstance(meta, Meta):
                return meta.description or "", str((meta.extra or {}).get("unit", ""))
    raise Defect(f"the setting {field.name} has no help")


def _plain(value: object) -> Plain:
    if isinstance(value, Private):
        return "********"
    if isinstance(value, Networks):
        return [str(network) for network in value]
    if isinstance(value, Languages):
        return list(value)
    return value if isinstance(value, int | None) else str(value)
