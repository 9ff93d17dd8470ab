"""Canaries, every form in which one may sit in a file, and the search for them.

A canary is a text or number that exists nowhere else. Where one is found, something private
was written down.
"""

import re
import secrets
import sys
from base64 import b64encode
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

LETTERS = "abcdefghijklmnopqrstuvwxyz"
ZEROS = re.compile(rb"\0{64,}")  # no encoded canary holds as many
WORD = 8  # bytes that tell nearly all needles apart


class Hit(NamedTuple):
    """A canary that was found."""

    place: str
    label: str
    encoding: str


class Needles:
    """Byte strings that are searched for all at once: the time does not depend on how many."""

    def __init__(self) -> None:
        self._by_end: defaultdict[int, list[tuple[bytes, str, str]]] = defaultdict(list)

    def add(self, needle: bytes, label: str, encoding: str) -> None:
        assert len(needle) >= WORD
        self._by_end[int.from_bytes(needle[-WORD:], sys.byteorder)].append(
            (needle, label, encoding)
        )

    def find(self, place: str, content: bytes) -> list[Hit]:
        """Every one that is in the content."""
        short = ZEROS.sub(bytes(64), content)
        ends, found = set(self._by_end), set[int]()
        for shift in range(WORD):  # each eight bytes there are, as a number
            whole = (len(short) - shift) // WORD * WORD
            if whole > 0:
                found |= ends.intersection(memoryview(short)[shift : shift + whole].cast("Q"))
        return [
            Hit(place, label, encoding)
            for end in found
            for needle, label, encoding in self._by_end[end]
            if needle in short
        ]


class Canaries:
    """Makes canaries and knows what each looks like, encoded."""

    def __init__(self) -> None:
        self.planted: dict[str, str] = {}  # label → the canary itself
        self._taken: set[str] = set()
        self._needles = Needles()

    def text(self, label: str) -> str:
        """Letters that stand for a text: to be put into a body, a name, a URL."""
        return self._new(label, "qz" + "".join(secrets.choice(LETTERS) for _ in range(18)))

    def number(self, label: str) -> str:
        """A phone number in E.164; it is searched without its plus."""
        while (digits := f"1415{2_000_000 + secrets.randbelow(7_000_000)}") in self._taken:
            pass
        return "+" + self._new(label, digits)

    def secret(self, label: str, value: str) -> None:
        """Something that exists already, such as a token."""
        self._new(label, value)

    def key(self, label: str, image: bytes) -> None:
        """Bytes that must be gone as they are, such as a key as it lay in its slot."""
        self._needles.add(image, label, "as it is")

    def ways(self) -> set[str]:
        """The ways in by which canaries went: a label begins with its own."""
        return {label.partition(":")[0] for label in self.planted}

    def _new(self, label: str, value: str) -> str:
        assert label not in self.planted, "every entry point has a canary of its own"
        assert value not in self._taken
        self.planted[label] = value
        self._taken.add(value)
        for name, needle in forms(value):
            self._needles.add(needle, label, name)
        return value

    def find(self, places: Iterable[tuple[str, bytes]]) -> list[Hit]:
        """Every canary in these places, in whatever form."""
        return [hit for place, content in places for hit in self._needles.find(place, content)]


def forms(text: str) -> Iterator[tuple[str, bytes]]:
    """The nine encodings of an ASCII text, each in every alignment it may have in a stream."""
    raw = text.encode("ascii")
    yield "utf-8", raw
    yield "utf-16-le", text.encode("utf-16-le")
    yield "utf-16-be", text.encode("utf-16-be")
    for shift in range(8):
        yield "gsm-7", _packed(raw, shift)
    yield "hex", raw.hex().encode()
    yield "hex", raw.hex().upper().encode()
    for shift in range(3):
        yield "base64", _base64(raw, shift)
        yield "base64", _base64(raw, shift).translate(bytes.maketrans(b"+/", b"-_"))
    yield "percent", b"".join(b"%%%02X" % c for c in raw)
    yield "percent", b"".join(b"%%%02x" % c for c in raw)
    yield "json", b"".join(b"\\u%04x" % c for c in raw)
    yield "json", b"".join(b"\\u%04X" % c for c in raw)
    yield "quoted-printable", b"".join(b"=%02X" % c for c in raw)


def _packed(septets: bytes, shift: int) -> bytes:
    """The whole bytes of seven-bit characters that begin `shift` bits into a byte (GSM 03.38)."""
    bits = sum(c << 7 * i for i, c in enumerate(septets)) << shift
    last = 7 * len(septets) + shift
    return bits.to_bytes(-(-last // 8), "little")[shift > 0 : last // 8]


def _base64(raw: bytes, shift: int) -> bytes:
    """The base64 digits that depend on `raw` alone when it begins `shift` bytes into a triple."""
    digits = b64encode(bytes(shift) + raw)
    return digits[-(-shift * 8 // 6) : (shift + len(raw)) * 8 // 6]


def files(*folders: Path) -> Iterator[tuple[str, bytes]]:
    """Every file below these folders: its name and what it holds."""
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            yield f"name of {path}", str(path.relative_to(folder)).encode()
            with suppress(FileNotFoundError):  # a log that was folded in meanwhile
                if path.is_file():
                    yield str(path), path.read_bytes()


def process(pid: int) -> Iterator[tuple[str, bytes]]:
    """What the system shows of a process, and the files it holds open that have no name."""
    proc = Path(f"/proc/{pid}")
    for name in ("cmdline", "environ", "comm"):
        with suppress(PermissionError):  # of others, because it is not dumpable: just as well
            yield f"/proc/…/{name}", (proc / name).read_bytes()
    with suppress(PermissionError):
        for link in (proc / "fd").iterdir():
            with suppress(OSError):
                target = str(link.readlink())
                if target.startswith("/") and target.endswith(" (deleted)"):
                    yield f"open file {target}", link.read_bytes()
