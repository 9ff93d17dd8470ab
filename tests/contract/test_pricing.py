"""Prices by a table of rates, MaxPrice, and landlines: what the operator's settings say.

The server is this module's own, with settings of its own.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

import hushwire
from harness import RunningServer, wait_for
from hushwire.testing.server import ServerFailed
from wire_checks import assert_refused, create, fresh_phone, get, messages, post, until

RATES = """# ours
destination,sender,direction,unit,price,currency
*,*,outbound,segment,0.05,EUR
US,*,outbound,segment,0.0075,EUR
GB,*,outbound,segment,0,EUR
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    folder = tmp_path_factory.mktemp("prices")
    rates = folder / "rates.csv"
    rates.write_text(RATES)
    settings = {
        "HUSHWIRE_RATES": str(rates), "HUSHWIRE_MAX_PRICE": "honoured",
        "HUSHWIRE_LANDLINES": "refused",
    }  # fmt: skip
    with RunningServer(folder / "data", **settings) as running:
        yield running


def test_a_price_is_known_once_the_carrier_took_it(server: RunningServer) -> None:
    """5.2, G-17, G-25: a text with five places, negative; the currency of the table."""
    made = create(server, Body="x" * 161)
    assert (made["price"], made["price_unit"]) == (None, "EUR")
    done = until(server, made["sid"], "delivered")
    assert (done["price"], done["price_unit"]) == ("-0.01500", "EUR")
    free = create(server, To="+447700900161")
    assert until(server, free["sid"], "delivered")["price"] == "0.00000"


def test_what_never_left_costs_nothing(server: RunningServer) -> None:
    phone = fresh_phone()
    server.behave(phone, "blocked")
    blocked = until(server, create(server, To=phone)["sid"], "undelivered")
    assert blocked["price"] == "-0.00750", "the carrier took it"
    dear = until(server, create(server, MaxPrice="0.0074")["sid"], "failed")
    assert dear["price"] is None


def test_what_is_dearer_than_its_max_price_fails(server: RunningServer) -> None:
    """T-21, T-22, C-3: queued whatever its price, and then not sent: 30010."""
    made = create(server, MaxPrice="0.0074")
    assert made["status"] == "queued"
    failed = until(server, made["sid"], "failed")
    assert failed["error_code"] == 30010
    assert server.screen(made["to"]) == []
    equal = create(server, MaxPrice="0.0075")
    assert until(server, equal["sid"], "delivered")["price"] == "-0.00750"
    form = {"To": fresh_phone(), "From": server.number, "Body": "x"}
    for wrong in ("0", "-1", "cheap"):
        assert_refused(post(server, {**form, "MaxPrice": wrong}), 400, 21627)


def test_usage_says_what_it_cost(server: RunningServer) -> None:
    def cost() -> float:
        path = f"/2010-04-01/Accounts/{server.sid}/Usage/Records.json?Category=sms-outbound"
        (record,) = get(server, path)["usage_records"]
        return float(record["price"])

    before = cost()
    until(server, create(server, To="+393331234567")["sid"], "delivered")
    wait_for(lambda: abs(cost() - before - 0.05) < 0.000_01)


def test_a_landline_is_refused_where_it_is_certain(server: RunningServer) -> None:
    """21635; North American numbers are never certain."""
    form = {"To": "+442079460123", "From": server.number, "Body": "x"}
    assert_refused(post(server, form), 400, 21635)
    assert create(server, To="+12025550177")["status"] == "queued"
    assert create(server, To="+447700900162")["status"] == "queued"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "is not a file"),
        ("nonsense", "the first line must be"),
        ("destination,sender,direction,unit,price,currency\nUS,*,outbound,segment,-1,USD\n",
         "line 2"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_used_is_told_at_the_start(
    tmp_path: Path, text: str | None, says: str
) -> None:
    rates = tmp_path / "rates.csv"
    if text is not None:
        rates.write_text(text)
    with pytest.raises(ServerFailed, match=says) as failed:
        RunningServer(tmp_path / "data", HUSHWIRE_RATES=str(rates)).start()
    assert "exit 78" in str(failed.value)


def test_the_table_that_is_shipped_can_be_used(tmp_path: Path) -> None:
    shipped = Path(hushwire.__file__).with_name("rates.csv")
    with RunningServer(tmp_path / "data", HUSHWIRE_RATES=str(shipped)) as running:
        made = create(running)
        wait_for(lambda: get(running, messages(running, made["sid"]))["price"] == "-0.01000")
