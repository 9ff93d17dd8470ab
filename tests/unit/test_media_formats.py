"""What a file is: by its first bytes, and only if its server agrees."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hushwire.domain.media import (
    FORMATS,
    IMAGE_MAX,
    OTHER_MAX,
    Medium,
    as_link,
    file_name,
    hold_ms,
    kind_of,
    recognise,
    size_max,
    takes_mms,
)
from hushwire.domain.privacy import DEFAULTS
from hushwire.private import Private
from picture_host import GIF, JPEG, PDF, PNG, VCARD

SAMPLES = {
    "image/jpeg": JPEG, "image/png": PNG, "image/gif": GIF, "application/pdf": PDF,
    "image/bmp": b"BM" + bytes(100), "image/tiff": b"II*\0" + bytes(9),
    "video/mp4": b"\0\0\0\x18ftypisom" + bytes(9), "video/quicktime": b"\0\0\0\x14ftypqt  ",
    "video/3gpp": b"\0\0\0\x14ftyp3gp4", "video/3gpp2": b"\0\0\0\x14ftyp3g2a",
    "audio/mp4": b"\0\0\0\x14ftypM4A ", "video/webm": b"\x1a\x45\xdf\xa3" + bytes(9),
    "video/mpeg": b"\0\0\x01\xba" + bytes(9), "audio/mpeg": b"ID3\x04" + bytes(9),
    "audio/ogg": b"OggS\0" + bytes(9), "audio/amr": b"#!AMR\n" + bytes(9),
    "audio/vnd.wave": b"RIFF\x24\0\0\0WAVEfmt ", "audio/basic": b".snd" + bytes(9),
    "audio/ac3": b"\x0b\x77" + bytes(9), "application/vnd.apple.pkpass": b"PK\x03\x04" + bytes(9),
    "text/vcard": VCARD, "text/calendar": b"BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n",
    "text/rtf": b"{\\rtf1 hello}", "text/csv": b"name,number\r\nAda,1\r\n",
}  # fmt: skip
ALONE = {"text/csv", "application/vnd.apple.pkpass", "audio/ac3"}  # only if their server says so


def test_there_is_a_sample_of_every_format() -> None:
    assert SAMPLES.keys() == {kind.content_type for kind in FORMATS}


@pytest.mark.parametrize("kind", SAMPLES)
def test_each_format_is_known(kind: str) -> None:
    """T-12, T-13: jpeg, png and gif; other types are accepted too."""
    content = SAMPLES[kind]
    assert recognise(kind, content) == kind
    assert recognise(f"{kind.upper()} ; charset=utf-8", content) == kind
    for unsaid in ("", "application/octet-stream", "binary/octet-stream"):
        assert recognise(unsaid, content) == (None if kind in ALONE else kind)


@pytest.mark.parametrize("declared", SAMPLES)
@pytest.mark.parametrize("kind", SAMPLES)
def test_a_server_must_agree(declared: str, kind: str) -> None:
    """F16: an HTML page is no picture because its server says so, nor is one picture another."""
    content = SAMPLES[kind]
    found = recognise(declared, content)
    if declared == kind:
        assert found == kind
    elif found is not None:  # a file format that is used for both
        assert {declared, kind} <= {"audio/mp4", "video/mp4"}, "told apart by their server alone"
    for wrong in ("text/html", "image/svg+xml", "application/javascript", "image/webp"):
        assert recognise(wrong, content) is None


@pytest.mark.parametrize(
    "content",
    [
        b"<html></html>", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"<?xml version='1.0'?>",
        b"  <script>", b"MZ" + bytes(90), b"\x7fELF", b"#!/bin/sh", b"", b"\x89PN", bytes(100),
    ],
)  # fmt: skip
def test_what_is_no_medium_never_is(content: bytes) -> None:
    for declared in (*SAMPLES, "", "application/octet-stream", "text/html", "image/svg+xml"):
        found = recognise(declared, content)
        assert found is None or (found == "text/csv" and content in (b"", b"#!/bin/sh"))


def test_names_that_servers_use() -> None:
    assert recognise("image/jpg", JPEG) == "image/jpeg"
    assert recognise("audio/mp3", SAMPLES["audio/mpeg"]) == "audio/mpeg"
    assert recognise("audio/mp4", SAMPLES["video/mp4"]) == "audio/mp4", "the server knows better"
    assert recognise("text/x-vcard", b"\xef\xbb\xbfbegin:vcard\nN:x\nend:vcard") == "text/x-vcard"
    assert recognise("text/vcard", VCARD + b"\0") is None, "a text has no zero bytes"


@given(st.text(max_size=40), st.binary(max_size=200))
def test_nothing_makes_it_raise(declared: str, content: bytes) -> None:
    found = recognise(declared, content)
    assert found is None or found in {name for kind in FORMATS for name in kind.names}


def test_sizes() -> None:
    """C-7: 5 MB for what phones show well, 500 KB for the rest."""
    assert {size_max(kind) for kind in ("image/jpeg", "image/png", "image/gif")} == {IMAGE_MAX}
    rest = SAMPLES.keys() - {"image/jpeg", "image/png", "image/gif"}
    assert {size_max(kind) for kind in rest} == {OTHER_MAX}
    assert (IMAGE_MAX, OTHER_MAX) == (5_242_880, 512_000)


def test_the_name_of_a_file_is_ours() -> None:
    medium = Medium("ME" + "0" * 32, 1, 1, 0, "audio/mp4", 1, "name", 1, 0)
    assert file_name(medium) == f"ME{'0' * 32}.m4a"


def test_links_stand_below_the_text() -> None:
    assert as_link("Look", ["https://a/1", "https://a/2"]) == "Look\nhttps://a/1\nhttps://a/2"
    assert as_link("", ["https://a/1"]) == "https://a/1"


@pytest.mark.parametrize(
    ("from_", "to", "takes"),
    [
        ("+15005550006", "+14155550101", True), ("+15005550006", "+16135550101", True),
        ("+15005550006", "+447911123456", False), ("+15005550006", "+13405550101", False),
        ("12345", "+14155550101", True), ("Hushwire", "+14155550101", False),
    ],
)  # fmt: skip
def test_who_takes_mms(from_: str, to: str, takes: bool) -> None:
    """R16, R17: phones in the US and Canada, from numbers."""
    assert takes_mms(from_, to) is takes


def test_holds() -> None:
    """R16 to R18."""
    assert kind_of(Private("+14155550101"), inbound=False) == "mms"
    assert kind_of(Private("+447911123456"), inbound=False) == "link"
    assert kind_of(Private("+447911123456"), inbound=True) == "inbound"
    assert kind_of(None, inbound=False) == "mms"
    assert hold_ms("mms", DEFAULTS) == 900_000
    assert hold_ms("link", DEFAULTS) == 604_800_000
    assert hold_ms("inbound", DEFAULTS) == 86_400_000
