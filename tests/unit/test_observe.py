"""The journal writes known fields in known shapes only; the metrics render what was counted."""

import asyncio
import logging
import sys
import threading
import warnings
from io import StringIO

import pytest
from msgspec import json
from prometheus_client.parser import text_string_to_metric_families

from hushwire.observe import Histogram, Journal, Metrics, install_exception_hook, route_logging
from hushwire.private import Private

SECRET = "hunter2 +14155550123 https://example.com/?token=1"
SID = "SM" + "0123456789abcdef" * 2


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


class Seconds:
    def __init__(self) -> None:
        self.at = 1_763_683_200.25

    def __call__(self) -> float:
        return self.at


def journal(level="debug", stream=None, now=None) -> tuple[Journal, StringIO]:
    stream = StringIO() if stream is None else stream
    return Journal(stream, level, now=now or Seconds()), stream


def lines(stream: StringIO) -> list[dict[str, object]]:
    return [json.decode(line) for line in stream.getvalue().splitlines()]


@pytest.fixture
def hooks():
    """Keeps what the hooks replace, and puts it back."""
    root = logging.getLogger()
    kept = (sys.excepthook, threading.excepthook, sys.unraisablehook, logging.raiseExceptions)
    handlers, level = root.handlers[:], root.level
    yield
    sys.excepthook, threading.excepthook, sys.unraisablehook, logging.raiseExceptions = kept
    logging.captureWarnings(False)
    root.handlers[:] = handlers
    root.setLevel(level)


def caught(text: str) -> BaseException:
    with pytest.raises(ValueError) as info:
        int(text)  # the error's text repeats it
    return info.value


def test_a_line_is_one_json_object() -> None:
    log, stream = journal()
    log.callback_failed(SID, "timeout_read", 2, retry_ms=5000)
    assert lines(stream) == [
        {
            "at": "2025-11-21T00:00:00.250Z", "level": "info", "event": "callback_failed",
            "message": SID, "reason": "timeout_read", "attempt": 2, "retry_ms": 5000,
        }
    ]  # fmt: skip


def test_a_line_for_a_terminal_is_plain() -> None:
    log, stream = journal(stream=Terminal())
    log.disk_low(12, 256)
    expected = "00:00:00.250 warning disk_low free_mb=12 reserve_mb=256\n"
    assert stream.getvalue() == expected


def test_lines_below_the_level_are_not_written() -> None:
    log, stream = journal(level="warning")
    log.carrier_up("simulator")
    log.carrier_down("simulator", "connect")
    assert [line["event"] for line in lines(stream)] == ["carrier_down"]


def test_unknown_fields_are_refused() -> None:
    log, stream = journal()
    with pytest.raises(TypeError):
        log.carrier_up("simulator", body=SECRET)  # type: ignore[call-arg]
    log._write("error", "carrier_up", carrier="simulator", body=SECRET, to="+14155550123")
    assert lines(stream)[0].keys() == {"at", "level", "event", "carrier"}
    assert log.metrics.withheld == 2


def test_a_private_value_shows_only_its_length() -> None:
    log, stream = journal()
    log.carrier_down("simulator", Private(SECRET))  # type: ignore[arg-type]
    assert lines(stream)[0]["reason"] == f"<private {len(SECRET)}>"
    assert "hunter2" not in stream.getvalue()


@pytest.mark.parametrize(
    "value", [SECRET, "+14155550123", "14155550123", "a b", "x\ny", "token=1", "ABC", b"x", 1, ""]
)
def test_text_in_place_of_a_word_is_withheld(value) -> None:
    log, stream = journal()
    log.carrier_down("simulator", value)
    assert "reason" not in lines(stream)[0]
    assert log.metrics.withheld == 1


@pytest.mark.parametrize("value", [14155550123, "5", "14155550123", SECRET, 1e22])
def test_a_phone_number_in_place_of_a_count_is_withheld(value) -> None:
    log, stream = journal()
    log.overloaded("backlog", value)
    assert "waiting" not in lines(stream)[0]


def test_an_error_shows_its_type_and_places_but_not_its_text() -> None:
    log, stream = journal()
    log.defect(caught(SECRET))
    log.storage_failed("commit", caught(SECRET))
    for line in lines(stream):
        assert line["error"] == "ValueError"
        assert str(line["where"]).startswith("test_observe.py:")
    assert "hunter2" not in stream.getvalue()


def test_a_flood_is_cut_and_counted() -> None:
    now = Seconds()
    log, stream = journal(now=now)
    for _ in range(50):
        log.overloaded("backlog", 1)
    log.carrier_up("simulator")
    now.at += 1
    log.overloaded("backlog", 2)
    events = [line["event"] for line in lines(stream)]
    assert events == ["overloaded"] * 20 + ["carrier_up", "overloaded"]
    assert lines(stream)[-1]["suppressed"] == 30
    assert log.metrics.suppressed == 30


def test_a_stream_that_is_gone_stops_nothing() -> None:
    log, stream = journal()
    stream.close()
    log.carrier_up("simulator")


def test_libraries_are_logged_without_their_text(hooks) -> None:
    log, stream = journal()
    route_logging(log)
    logging.getLogger("uvicorn.error").error("body %s", SECRET)
    logging.getLogger("some.library").warning(SECRET)
    logging.getLogger("some.library").info(SECRET)
    try:
        int(SECRET)
    except ValueError:
        logging.getLogger("asyncio").exception(SECRET)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(SECRET, stacklevel=1)
    seen = [(line["logger"], line["level"], line.get("error")) for line in lines(stream)]
    assert seen == [
        ("uvicorn.error", "error", None),
        ("some.library", "warning", None),
        ("asyncio", "error", "ValueError"),
        ("py.warnings", "warning", None),
    ]
    assert "hunter2" not in stream.getvalue()
    assert log.metrics.withheld == 0


def test_an_error_in_a_loop_callback_is_logged_without_its_text(hooks) -> None:
    log, stream = journal()
    route_logging(log)

    async def fail() -> None:
        asyncio.get_running_loop().call_soon(caught_later)
        await asyncio.sleep(0)

    def caught_later() -> None:
        raise ValueError(SECRET)

    asyncio.run(fail())
    assert [line["error"] for line in lines(stream)] == ["ValueError"]
    assert "hunter2" not in stream.getvalue()


def test_what_nobody_catches_ends_in_the_journal(hooks) -> None:
    log, stream = journal()
    install_exception_hook(log)
    error = caught(SECRET)
    sys.excepthook(ValueError, error, error.__traceback__)
    sys.excepthook(KeyboardInterrupt, KeyboardInterrupt(), None)
    thread = threading.Thread(target=lambda: caught_in_thread())
    thread.start()
    thread.join()
    assert [line["error"] for line in lines(stream)] == ["ValueError", "KeyError"]
    assert "hunter2" not in stream.getvalue()


def caught_in_thread() -> None:
    raise KeyError(SECRET)


def samples(metrics: Metrics) -> dict[tuple[str, str], float]:
    text = metrics.render().decode()
    return {
        (sample.name, ",".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_counters_gauges_and_queues_are_rendered() -> None:
    metrics = Metrics()
    metrics.accepted += 3
    metrics.refused[21211] += 2
    metrics.status["delivered"] += 1
    metrics.callbacks["timeout_read"] += 1
    metrics.queue("dispatch", lambda: 7)
    metrics.gauge("vault_slots_live", "Keys in use", lambda: 5)
    metrics.gauge("disk_free_bytes", "Free", lambda: None)
    found = samples(metrics)
    assert found["hushwire_messages_accepted_total", ""] == 3
    assert found["hushwire_messages_refused_total", "21211"] == 2
    assert found["hushwire_status_total", "delivered"] == 1
    assert found["hushwire_callbacks_total", "timeout_read"] == 1
    assert found["hushwire_queue_size", "dispatch"] == 7
    assert found["hushwire_vault_slots_live", ""] == 5
    assert not any(name == "hushwire_disk_free_bytes" for name, _ in found)


def test_a_histogram_counts_at_or_below_each_bound() -> None:
    histogram = Histogram((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 9.0):
        histogram.observe(value)
    assert histogram.cumulative() == [("1.0", 2), ("2.0", 3), ("+Inf", 4)]
    metrics = Metrics()
    metrics.commit_rows.observe(32)
    found = samples(metrics)
    assert found["hushwire_commit_batch_rows_bucket", "32.0"] == 1
    assert found["hushwire_commit_batch_rows_bucket", "16.0"] == 0
    assert found["hushwire_commit_batch_rows_sum", ""] == 32
