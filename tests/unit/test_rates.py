"""What a message costs."""

from decimal import Decimal
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hushwire.domain.rates import (
    RateTable,
    Usage,
    is_too_expensive,
    price,
    read_max_price,
    read_rates,
    shown,
)
from hushwire.errors import Misconfigured, Refusal
from hushwire.private import Private

HEAD = "destination,sender,direction,unit,price,currency\n"
TABLE = read_rates(
    HEAD
    + """
*,*,outbound,segment,0.9,EUR
+1,*,outbound,segment,0.8,EUR
US,*,outbound,segment,0.7,EUR
US,short_code,outbound,segment,0.6,EUR
+1415,*,outbound,segment,0.5,EUR
+1415555,toll_free,outbound,segment,0.4,EUR
US,*,outbound,message,0.3,EUR
*,whatsapp,outbound,message,0.2,EUR
US,*,inbound,segment,0.0075,EUR
"""
)


def cost(phone: str | None, sender: str = "long_code", **more: object) -> str | None:
    usage = Usage(phone and Private(phone), sender, more.pop("direction", "outbound"), **more)  # type: ignore[arg-type] # from tables below
    amount = price(TABLE, usage)
    return None if amount is None else str(amount)


@pytest.mark.parametrize(
    ("phone", "sender", "expected"),
    [
        ("+14155550100", "long_code", "0.5"),  # the longest beginning
        ("+14155550100", "toll_free", "0.4"),
        ("+14155560100", "toll_free", "0.5"),
        ("+14155550100", "short_code", "0.5"),  # the place comes before the sender
        ("+12125550100", "short_code", "0.6"),
        ("+12125550100", "alphanumeric", "0.7"),  # the country before its calling code
        ("+15145550100", "long_code", "0.8"),  # Canada: by its calling code
        ("+447911123456", "long_code", "0.9"),
        ("+80012345678", "long_code", "0.9"),
        (None, "long_code", "0.9"),
        (None, "whatsapp", "0.2"),
        ("+14155550100", "whatsapp", "0.3"),
        (None, "messenger", None),
    ],
)
def test_which_rate(phone: str | None, sender: str, expected: str | None):
    assert cost(phone, sender) == expected


def test_texts_by_the_segment_media_by_the_message():
    assert cost("+12125550100", segments=3) == "2.1"
    assert cost("+12125550100", segments=3, media=True) == "0.3"
    assert cost("+447911123456", media=True) is None
    assert cost("+12125550100", direction="inbound", segments=2) == "0.0150"
    assert cost("+447911123456", direction="inbound") is None


@pytest.mark.parametrize(
    ("amount", "text"),
    [("0.0075", "-0.00750"), ("0.00001", "-0.00001"), ("12", "-12.00000"), ("0", "0.00000")],
)
def test_a_price_as_the_api_shows_it(amount: str, text: str):
    assert shown(Decimal(amount)) == text


def test_max_price():
    assert is_too_expensive(Decimal("0.011"), read_max_price("0.01"))
    assert not is_too_expensive(Decimal("0.010"), read_max_price("0.01"))
    assert not is_too_expensive(None, read_max_price("0.01"))
    assert not is_too_expensive(Decimal(1), None)


@pytest.mark.parametrize("text", ["", "x", "-1", "0", "NaN", "Infinity", "1,5", "sNaN", "0.0.1"])
def test_what_is_no_max_price(text: str):
    with pytest.raises(Refusal) as refused:
        read_max_price(text)
    assert refused.value.problem.code == 21627


# --- The file ------------------------------------------------------------------------------


def test_the_example_is_a_table_and_says_that_it_is_invented():
    text = files("hushwire").joinpath("rates.csv").read_text(encoding="utf-8")
    table = read_rates(text)
    assert "invented" in text.splitlines()[0].lower()
    assert table.currency == "USD"
    for phone, expected in [("+14155550100", "0.01"), ("+447911123456", "0.03"),
                            ("+442079460000", "0.04"), ("+33612345678", "0.05")]:  # fmt: skip
        assert price(table, Usage(Private(phone), "long_code", "outbound")) == Decimal(expected)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "the first line must be"),
        ("US,*,outbound,segment,1,USD", "the first line must be"),
        (HEAD, "there is no line with a price"),
        (HEAD + "# only a comment", "there is no line with a price"),
        (HEAD + "US,*,outbound,segment,1", "line 2: 5 cells instead of 6"),
        (HEAD + "x" * 140_000, "line 2: 0 cells instead of 6"),
        (HEAD + "\n# x\nus,*,outbound,segment,1,USD", "line 4: destination must be"),
        (HEAD + "ZZ,*,outbound,segment,1,USD", "destination is no country"),
        (HEAD + "+0,*,outbound,segment,1,USD", "destination must be"),
        (HEAD + "US,sms,outbound,segment,1,USD", "sender must be one of *, alphanumeric"),
        (HEAD + "US,*,out,segment,1,USD", "direction must be"),
        (HEAD + "US,*,outbound,part,1,USD", "unit must be"),
        (HEAD + "US,*,outbound,segment,-1,USD", "price must be"),
        (HEAD + "US,*,outbound,segment,0.000001,USD", "price must be"),
        (HEAD + "US,*,outbound,segment,1e3,USD", "price must be"),
        (HEAD + "US,*,outbound,segment,1,$", "currency must be"),
        (HEAD + "US,*,outbound,segment,1,USD\nCA,*,outbound,segment,1,EUR", "line 3: another"),
        (HEAD + "US,*,outbound,segment,1,USD\nUS,*,outbound,segment,2,USD", "line 3: the same"),
    ],
)
def test_a_file_that_cannot_be_used_says_where(text: str, fault: str):
    with pytest.raises(Misconfigured) as raised:
        read_rates(text)
    assert fault in str(raised.value)


@settings(deadline=None)
@given(st.text(max_size=120))
def test_any_text_is_a_table_or_misconfigured(text: str):
    for body in (text, HEAD + text):
        try:
            read_rates(body)
        except Misconfigured:
            continue


PREFIXES = st.sampled_from(["*", "US", "CA", "+1", "+14", "+1415", "+14155550100", "+2"])
RATES = st.dictionaries(
    st.tuples(
        PREFIXES, st.sampled_from(["*", "long_code"]), st.just("outbound"), st.just("segment")
    ),
    st.decimals(min_value=0, max_value=9, places=5),
)


@settings(deadline=None)
@given(RATES, st.integers(1, 10))
def test_the_best_line_is_the_longest_that_fits(
    rates: dict[tuple[str, str, str, str], Decimal], n: int
):
    order = ["+14155550100", "+1415", "+14", "US", "+1", "*"]
    best = min(
        (
            (order.index(key[0]), key[1] == "*", rate)
            for key, rate in rates.items()
            if key[0] in order
        ),
        default=None,
    )
    got = price(RateTable("EUR", rates), Usage(Private("+14155550100"), "long_code", "outbound", n))
    assert got == (None if best is None else best[2] * n)
    if got is not None:
        assert Decimal(shown(got)) == -got  # nothing is rounded
