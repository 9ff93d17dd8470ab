"""XML from outside: what is read, and that nothing in it costs much or reaches anything."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hushwire.domain.markup import (
    ATTRIBUTES_MAX,
    DEPTH_MAX,
    ELEMENTS_MAX,
    Element,
    Unreadable,
    read_xml,
)

LAUGHS = '<!ENTITY a0 "ha">' + "".join(
    f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 40)
)


def root(body: bytes | str) -> Element:
    read = read_xml(body.encode() if isinstance(body, str) else body)
    assert isinstance(read, Element), read
    return read


def test_a_tree():
    tree = root('<a x="1">\n  one <b> two </b> three<b/>\n</a>')
    assert (tree.name, tree.attributes, tree.line) == ("a", {"x": "1"}, 1)
    assert tree.own_text() == "one  three"
    assert [(b.name, b.own_text(), b.line) for b in tree.children] == [
        ("b", "two", 2),
        ("b", "", 2),
    ]


def test_the_five_entities_references_and_cdata():
    tree = root("<a>&amp;&lt;&gt;&quot;&apos;&#233;&#x1F600;<![CDATA[<!DOCTYPE &x;]]></a>")
    assert tree.own_text() == "&<>\"'é\U0001f600<!DOCTYPE &x;"


@pytest.mark.parametrize(
    "body",
    [
        "",
        "text",
        "<a>",
        "<a></b>",
        "<a/><a/>",
        "<a x='1' x='2'/>",
        "<a>&nbsp;</a>",  # no entities but the five
        "<a>\x00</a>",
        "\n<?xml version='1.0'?><a/>",  # nothing may stand before it
        b"<a>\xff</a>",
        b"<?xml version='1.0' encoding='rot13'?><a/>",
        b"<?xml version='1.0' encoding='utf-16'?><a/>",
        b"<?xml version='1.0' encoding='UTF-7'?><a>+ADw-</a>",
    ],
)
def test_what_is_not_well_formed(body: bytes | str):
    read = read_xml(body.encode() if isinstance(body, str) else body)
    assert isinstance(read, Unreadable)
    assert not read.version


def test_another_version_of_xml():
    assert read_xml(b"<?xml version='1.1'?><a/>") == Unreadable(1, version=True)


@pytest.mark.parametrize(
    "doctype",
    [
        "<!DOCTYPE a>",
        "<!DOCTYPE a SYSTEM 'file:///etc/passwd'>",
        "<!DOCTYPE a PUBLIC '-//W3C//DTD XHTML 1.0//EN' 'http://192.0.2.1/x.dtd'>",
        "<!DOCTYPE a [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>",
        "<!DOCTYPE a [<!ENTITY % x SYSTEM 'http://192.0.2.1/'> %x;]>",
        f"<!DOCTYPE a [{LAUGHS}]>",
        f"<!DOCTYPE a [<!ENTITY x '{'h' * 20_000}'>]>",
    ],
)
def test_a_document_type_declaration_is_refused_where_it_stands(doctype: str):
    document = f"<?xml version='1.0'?>\n\n{doctype}<a b='&x;'>{'&x;&a39;' * 2_000}</a>"
    started = time.perf_counter()
    assert read_xml(document.encode()) == Unreadable(3)
    assert time.perf_counter() - started < 1  # it would be 10^39 laughs


@pytest.mark.parametrize("extra", [0, 1])
def test_depth_elements_and_attributes_are_bounded(extra: int):
    depth, elements, attributes = DEPTH_MAX + extra, ELEMENTS_MAX + extra, ATTRIBUTES_MAX + extra
    for document in (
        "<a>" * depth + "</a>" * depth,
        "<a>" + "<b/>" * (elements - 1) + "</a>",
        "<a " + " ".join(f"x{n}=''" for n in range(attributes)) + "/>",
    ):
        assert isinstance(read_xml(document.encode()), Unreadable if extra else Element)


@pytest.mark.parametrize(
    "document",
    [
        b"<a>" * 21_000,
        b"<" * 65_000,
        b"<a>" + b"&" * 65_000,
        b"<a " + b" ".join(b"x%d=''" % n for n in range(7_000)) + b"/>",
        b"<a>" + b"<!--" * 16_000,
        b"<?xml version='1.0' " + b"encoding " * 7_000,
        b"<a x='" + b"&#65;" * 12_000 + b"'/>",
    ],
)
def test_no_document_takes_long(document: bytes):
    started = time.perf_counter()
    read_xml(document)
    assert time.perf_counter() - started < 1


@pytest.mark.parametrize("codec", ["utf-8", "latin-1", "utf-16", "cp1252"])
def test_the_transport_says_the_charset(codec: str):
    body = "<?xml version='1.0' encoding='us-ascii'?><a>é</a>".encode(codec)
    read = read_xml(body, codec)
    assert isinstance(read, Element)
    assert read.own_text() == "é"


@pytest.mark.parametrize("declared", ["ISO-8859-1", "latin1", "windows-1252"])
def test_else_the_document_says_it(declared: str):
    body = f"<?xml version='1.0' encoding='{declared}'?><a>é</a>".encode("latin-1")
    assert root(body).own_text() == "é"


@pytest.mark.parametrize("start", [b"\xef\xbb\xbf", b""])
def test_utf_8_unless_it_says_so(start: bytes):
    assert root(start + "<?xml version='1.0' encoding='utf-8'?><a>é</a>".encode()).own_text() == "é"
    assert root("\ufeff<a>é</a>".encode("utf-16-le")).own_text() == "é"


@settings(deadline=None)
@given(
    st.binary() | st.text(alphabet="<>/!?[]-&;#x'\"= aDOCTYPEN%\u00e9\x00\n").map(str.encode),
    st.sampled_from([None, "utf-8", "ascii", "latin-1", "cp1252", "utf-16", "utf-16-le"]),
)
def test_never_raises(body: bytes, codec: str | None):
    assert isinstance(read_xml(body, codec), Element | Unreadable)
