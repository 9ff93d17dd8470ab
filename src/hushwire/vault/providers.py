"""Where the root key comes from: a table of providers. Each is asked once, at the start.

    file:PATH         32 bytes in a file that its owner alone may read; made at the first start
    env:NAME          a variable: 64 hex digits, or Base64
    command:LINE      what a program prints: the same; run without a shell
    credential:NAME   a credential that systemd hands over ($CREDENTIALS_DIRECTORY/NAME)
    transit:URL       kept wrapped in the data directory, opened by a key service over HTTP

`URL` is that of decrypting: `https://vault.example.com:8200/v1/transit/decrypt/hushwire`, as
HashiCorp Vault and OpenBao have it; their token is in VAULT_TOKEN. A relative PATH lies in the
data directory. No text here holds a key, a token, or a program's arguments.
"""

import secrets
import shlex
import subprocess
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path
from typing import Final

from msgspec import Struct

from hushwire.errors import Misconfigured
from hushwire.vault.rootfile import (
    create_private,
    erase_private,
    overwrite_private,
    read_private,
)
from hushwire.vault.seal import KEY_BYTES
from hushwire.vault.transit import ask_transit, split_transit_url

DEFAULT: Final = "file:root.key"
TIME_LIMIT_S: Final = 30.0  # for a program
_STAGED: Final = ".next"


class Surroundings(Struct, frozen=True):
    """What providers look at besides their own line."""

    data: Path
    environ: Mapping[str, str]


class _Provider(Struct, frozen=True):
    read: Callable[[str, bytes, Surroundings], bytes]  # argument, what is stored → the key
    place: Callable[[str, Surroundings], Path] | None = None  # of what is stored; None: nothing
    wrap: Callable[[str, bytes, Surroundings], bytes] | None = None  # a new key → to be stored


def check_provider(line: str) -> None:
    """Raises `Misconfigured` unless the line names a provider and what it needs."""
    kind, _, argument = line.partition(":")
    if kind not in PROVIDERS or not argument:
        kinds = ", ".join(f"{known}:…" for known in PROVIDERS)
        raise Misconfigured(f"root_key must be one of {kinds}, as in {DEFAULT}")
    if kind == "transit":
        split_transit_url(argument)


def shown(line: str) -> str:
    """A provider's line for people. Of a program only that it is one: it may hold a password."""
    kind, _, argument = line.partition(":")
    return f"{kind}:…" if kind in ("command", "transit") else f"{kind}:{argument}"


def can_make(line: str) -> bool:
    """Does this provider keep a key that we make? Others only give theirs."""
    return PROVIDERS[line.partition(":")[0]].wrap is not None


def is_there(line: str, around: Surroundings, *, staged: bool = False) -> bool:
    """Has the provider a key already? Of those that keep none it is not known: True."""
    place = place_of(line, around, staged=staged)
    return place is None or place.exists()


def place_of(line: str, around: Surroundings, *, staged: bool = False) -> Path | None:
    """The file that holds what the provider keeps; None when it keeps nothing.

    `staged`: where a new key waits beside it until it takes its place. Links are followed, so
    that both are on the same disk.
    """
    provider, argument = _find(line)
    if provider.place is None:
        return None
    path = provider.place(argument, around).resolve()
    return path.with_name(path.name + _STAGED) if staged else path


def read_root(line: str, around: Surroundings, *, staged: bool = False) -> bytes:
    """The 32-byte root key. Raises `Misconfigured` with the cure.

    Whoever has it and the vault has everything; who loses it has nothing.
    """
    provider, argument = _find(line)
    path = place_of(line, around, staged=staged)
    return provider.read(argument, read_private(path) if path is not None else b"", around)


def make_root(line: str, around: Surroundings, *, staged: bool = False) -> bytes:
    """A new root key, kept as the provider keeps it: durable when this returns.

    Where another process was first, its key counts. Raises `Misconfigured`.
    """
    provider, argument = _find(line)
    path = place_of(line, around, staged=staged)
    if provider.wrap is None or path is None:
        raise Misconfigured(f"root_key: {shown(line)} only gives a key: make one where it does")
    create_private(path, provider.wrap(argument, secrets.token_bytes(KEY_BYTES), around))
    return read_root(line, around, staged=staged)


def install_staged(line: str, around: Surroundings) -> None:
    """Overwrite what the provider keeps with what is staged: the old key is gone from its file.

    In place, so that it is also gone from the disk, and that a link stays one.
    """
    path, staged = place_of(line, around), place_of(line, around, staged=True)
    assert path is not None
    assert staged is not None
    content = read_private(staged)
    if path.exists():
        overwrite_private(path, content)
    else:
        create_private(path, content)


def erase_kept(line: str, around: Surroundings, *, staged: bool = False) -> None:
    """Overwrite and remove what the provider keeps, if it keeps anything."""
    path = place_of(line, around, staged=staged)
    if path is not None:
        erase_private(path)


# The providers.


def _file_place(argument: str, around: Surroundings) -> Path:
    return around.data / Path(argument).expanduser()


def _read_file(argument: str, kept: bytes, _: Surroundings) -> bytes:
    if len(kept) != KEY_BYTES:
        raise Misconfigured(
            f"the root key {argument} is not {KEY_BYTES} bytes long: restore it, "
            "or remove it if there is no vault yet"
        )
    return kept


def _keep_file(_argument: str, key: bytes, _: Surroundings) -> bytes:
    return key


def _read_env(argument: str, _: bytes, around: Surroundings) -> bytes:
    text = around.environ.get(argument)
    if not text:
        raise Misconfigured(f"root_key: the variable {argument} is not set: set it to the key")
    return _decode(text.encode(), f"the variable {argument}")


def _read_command(argument: str, _: bytes, around: Surroundings) -> bytes:
    try:
        words = shlex.split(argument)
    except ValueError:
        raise Misconfigured("root_key: the command has an open quote: close it") from None
    try:
        done = subprocess.run(  # noqa: S603  the operator's own program, without a shell
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            timeout=TIME_LIMIT_S, env=dict(around.environ), check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Misconfigured(
            f"root_key: the command did not end within {TIME_LIMIT_S:g} s: run it by hand to see "
            "what it waits for"
        ) from None
    except (OSError, IndexError):
        raise Misconfigured(
            "root_key: the command cannot be run: name a program that exists and may be executed"
        ) from None
    if done.returncode != 0:
        raise Misconfigured(
            f"root_key: the command ended with {done.returncode}: run it by hand to see why"
        )
    return _decode(done.stdout, "what the command printed")


def _read_credential(argument: str, _: bytes, around: Surroundings) -> bytes:
    directory = around.environ.get("CREDENTIALS_DIRECTORY")
    if not directory:
        raise Misconfigured(
            "root_key: there is no $CREDENTIALS_DIRECTORY: start by systemd, with "
            "LoadCredentialEncrypted= in the unit"
        )
    path = Path(directory) / argument
    try:
        content = path.read_bytes()
    except OSError:
        raise Misconfigured(
            f"root_key: systemd handed over no credential {argument}: add "
            f"LoadCredentialEncrypted={argument} to the unit"
        ) from None
    if len(content) == KEY_BYTES:
        return content
    return _decode(content, f"the credential {argument}")


def _transit_place(argument: str, around: Surroundings) -> Path:
    return around.data / f"root-{sha256(argument.encode()).hexdigest()[:8]}.wrapped"


def _read_transit(argument: str, kept: bytes, around: Surroundings) -> bytes:
    answer = ask_transit(argument, {"ciphertext": kept.decode("ascii", "replace")}, around.environ)
    return _decode(answer.get("plaintext", "").encode(), "what the key service opened")


def _keep_transit(argument: str, key: bytes, around: Surroundings) -> bytes:
    url = argument.replace("/decrypt/", "/encrypt/")
    answer = ask_transit(url, {"plaintext": b64encode(key).decode()}, around.environ)
    return answer.get("ciphertext", "").encode()


PROVIDERS: Final[dict[str, _Provider]] = {
    "file": _Provider(_read_file, _file_place, _keep_file),
    "env": _Provider(_read_env),
    "command": _Provider(_read_command),
    "credential": _Provider(_read_credential),
    "transit": _Provider(_read_transit, _transit_place, _keep_transit),
}


def _find(line: str) -> tuple[_Provider, str]:
    check_provider(line)
    kind, _, argument = line.partition(":")
    return PROVIDERS[kind], argument


def _decode(text: bytes, what: str) -> bytes:
    """32 bytes from 64 hex digits or from Base64, with white space around."""
    text = text.strip()
    key, padding = b"", b"=" * (-len(text) % 4)
    with suppress(ValueError):
        hexadecimal = len(text) == 2 * KEY_BYTES
        key = (
            bytes.fromhex(text.decode())
            if hexadecimal
            else b64decode(text + padding, validate=True)
        )
    if len(key) != KEY_BYTES:
        raise Misconfigured(
            f"root_key: {what} is no key: give {KEY_BYTES} bytes as 64 hex digits or as Base64 "
            "(`openssl rand -hex 32` makes one)"
        )
    return key
