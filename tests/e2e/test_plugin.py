"""The pytest plugin, as the tests of a program of somebody else see it: by running them."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit
from xml.etree import ElementTree

APP = """
import os

from twilio.rest import Client


def send_code(to, code, callback=None):
    client = Client(os.environ["TWILIO_ACCOUNT_SID"], os.environ["TWILIO_AUTH_TOKEN"])
    return client.messages.create(
        to=to, from_="+15005550006", body=f"Your code is {code}", status_callback=callback
    ).sid
"""


def run_tests(
    directory: Path, text: str, *flags: str, app: str = APP, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run `text` as a test file beside the app; nothing but the installed plugin helps."""
    (directory / "app.py").write_text(app)
    (directory / "test_app.py").write_text("from app import send_code\n" + text)
    kept = {
        name: value for name, value in os.environ.items()
        if not name.startswith(("HUSHWIRE_", "PYTEST_", "TWILIO_"))
    }  # fmt: skip
    home = directory / "tmp"
    home.mkdir()
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *flags, "test_app.py"],
        cwd=directory, env={**kept, "TMPDIR": str(home), **environment},
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


def test_three_lines_test_an_app_that_knows_nothing_of_us(tmp_path: Path) -> None:
    found = run_tests(tmp_path, '''
def test_the_code_arrives(hushwire):
    hushwire.patch_twilio()
    send_code("+14155550123", "4711")
    assert hushwire.phone("+14155550123").messages[-1].body == "Your code is 4711"

def test_afterwards_nothing_is_patched():
    import os
    from twilio.http.http_client import TwilioHttpClient
    assert "TWILIO_AUTH_TOKEN" not in os.environ
    assert TwilioHttpClient.request.__module__ == "twilio.http.http_client"
''')  # fmt: skip
    assert found.returncode == 0, found.stdout
    assert "2 passed" in found.stdout


def test_what_a_test_can_do(tmp_path: Path) -> None:
    found = run_tests(tmp_path, '''
def test_callbacks_come_signed(hushwire):
    hushwire.patch_twilio()
    sid = send_code("+14155550123", "1", hushwire.callback_url)
    delivered = hushwire.callbacks.wait(status="delivered")
    assert delivered["MessageSid"] == sid
    assert [form["MessageStatus"] for form in hushwire.callbacks] == ["sent", "delivered"]
    assert hushwire.callbacks[-1] == delivered and len(hushwire.callbacks) == 2

def test_a_phone_misbehaves(hushwire):
    hushwire.patch_twilio()
    phone = hushwire.phone("+14155550124")
    phone.behaves("unreachable")
    sid = send_code(phone.number, "2", hushwire.callback_url)
    assert hushwire.wait(sid, "undelivered")["error_code"] == 30003
    assert hushwire.callbacks.wait(sid=sid, status="undelivered")["ErrorCode"] == "30003"
    assert phone.messages == []

def test_a_phone_texts_us(hushwire):
    phone = hushwire.phone("+14155550125")
    sid = phone.send("STOP")
    message = hushwire.client.messages(sid).fetch()
    assert (message.body, message.direction) == ("STOP", "inbound")
    assert "unsubscribed" in phone.messages[0].body

def test_it_is_forgotten(hushwire):
    hushwire.patch_twilio()
    phone = hushwire.phone("+14155550125")
    hushwire.wait(send_code(phone.number, "4"), "delivered")
    assert len(phone.messages) == 1

def test_time_passes(hushwire):
    hushwire.patch_twilio()
    phone = hushwire.phone("+14155550126")
    phone.behaves("slow")
    sid = send_code(phone.number, "3")
    assert hushwire.wait(sid, "sent")["status"] == "sent"
    before = hushwire.clock.now
    assert (hushwire.clock.advance(30) - before).total_seconds() >= 30
    assert hushwire.wait(sid, "delivered")["status"] == "delivered"
    assert hushwire.wait(sid, "sent")["status"] == "delivered"  # it was sent once
''')  # fmt: skip
    assert found.returncode == 0, found.stdout
    assert "5 passed" in found.stdout


def test_tests_do_not_see_each_other(tmp_path: Path) -> None:
    found = run_tests(tmp_path, '''
PHONE = "+14155550123"

def test_first(hushwire):
    hushwire.patch_twilio()
    hushwire.phone(PHONE).behaves("silent")
    send_code(PHONE, "1", hushwire.callback_url)
    hushwire.phone(PHONE).send("Hello")
    assert len(hushwire.client.messages.list()) == 2

def test_second(hushwire):
    assert hushwire.phone(PHONE).messages == []
    assert hushwire.client.messages.list() == []
    assert list(hushwire.callbacks) == []
    hushwire.patch_twilio()
    sid = send_code(PHONE, "2")
    hushwire.wait(sid, "delivered")  # the phone behaves again
    assert [text.body for text in hushwire.phone(PHONE).messages] == ["Your code is 2"]
''')  # fmt: skip
    assert found.returncode == 0, found.stdout


def test_what_a_test_made_is_gone_for_the_next(tmp_path: Path) -> None:
    found = run_tests(tmp_path, '''
from datetime import timedelta

def test_first(hushwire):
    client = hushwire.client
    service = client.messaging.v1.services.create(friendly_name="Shop")
    number = client.incoming_phone_numbers.list()[0]
    client.messaging.v1.services(service.sid).phone_numbers.create(phone_number_sid=number.sid)
    client.applications.create(friendly_name="App")
    client.new_keys.create(friendly_name="Key")
    content = {"language": "en", "types": {"twilio/text": {"body": "Hi"}}}
    assert hushwire._server.ask_json("POST", "/v1/Content", content).status == 201
    sink = client.events.v1.sinks.create(
        description="S", sink_type="webhook",
        sink_configuration={"destination": "http://127.0.0.1:9009/", "method": "post",
                            "batch_events": False},
    )
    client.events.v1.subscriptions.create(
        description="S", sink_sid=sink.sid,
        types=[{"type": "com.twilio.messaging.message.delivered"}],
    )
    sent = client.messages.create(
        to="+14155550123", messaging_service_sid=service.sid, body="x", schedule_type="fixed",
        send_at=hushwire.clock.now + timedelta(hours=1),
    )
    assert sent.status == "scheduled"

def test_second(hushwire):
    client = hushwire.client
    assert client.messages.list() == []
    assert client.messaging.v1.services.list() == []
    assert client.applications.list() == []
    assert client.keys.list() == []
    assert client.content.v1.contents.list() == []
    assert client.events.v1.sinks.list() == client.events.v1.subscriptions.list() == []
''')  # fmt: skip
    assert found.returncode == 0, found.stdout


def test_the_second_test_costs_50_ms_at_most(tmp_path: Path) -> None:
    found = run_tests(tmp_path, '''
import pytest

@pytest.mark.parametrize("code", range(6))
def test_code(hushwire, code):
    hushwire.patch_twilio()
    send_code("+14155550123", code)
    (text,) = hushwire.phone("+14155550123").messages
    assert text.body == f"Your code is {code}"
''', "--junitxml=times.xml")  # fmt: skip
    assert found.returncode == 0, found.stdout
    cases = ElementTree.parse(tmp_path / "times.xml").iter("testcase")
    later = [float(case.attrib["time"]) for case in cases][1:]
    assert min(later) <= 0.05, later  # the least: other things run on this machine, too


def test_a_test_that_fails_is_told_why(tmp_path: Path) -> None:
    found = run_tests(tmp_path, '''
def test_status(hushwire):
    hushwire.patch_twilio()
    hushwire.phone("+14155550123").behaves("blocked")
    hushwire.wait(send_code("+14155550123", "1"), "delivered")

def test_callback(hushwire):
    hushwire.patch_twilio()
    send_code("+14155550123", "1", hushwire.callback_url)
    hushwire.callbacks.wait(status="sent")
    hushwire.callbacks.wait(status="failed", within_s=0.1)

def test_behaviour(hushwire):
    hushwire.phone("+14155550123").behaves("badly")

def test_forged(hushwire):
    import urllib.request
    urllib.request.urlopen(hushwire.callback_url, b"MessageStatus=delivered").close()
    hushwire.callbacks.wait(status="delivered")
''', "--tb=line")  # fmt: skip
    assert found.returncode == 1
    assert "4 failed" in found.stdout
    for why in (
        "the message is undelivered (error 30004), not delivered",
        "no such callback came within 0.1 s, only ['sent'",
        "the sandbox says:",
        "a callback came with a wrong signature",
    ):
        assert why in found.stdout


def test_nothing_is_left_and_the_account_can_be_chosen(tmp_path: Path) -> None:
    sid, token = "AC" + "ab" * 16, "cd" * 16
    found = run_tests(tmp_path, '''
def test_url(hushwire):
    assert hushwire.account_sid == "AC" + "ab" * 16
    open("url.txt", "w").write(hushwire.url)
    hushwire.patch_twilio()
    send_code("+14155550123", "1")
''', HUSHWIRE_ACCOUNT_SID=sid, HUSHWIRE_AUTH_TOKEN=token)  # fmt: skip
    assert found.returncode == 0, found.stdout
    assert list((tmp_path / "tmp").glob("hushwire*")) == []
    url = urlsplit((tmp_path / "url.txt").read_text())
    with socket.socket() as probe:
        assert probe.connect_ex((url.hostname or "", url.port or 0)) != 0


def test_without_twilios_sdk_the_rest_works(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text("import sys\nsys.modules['twilio'] = None\n")
    found = run_tests(tmp_path, '''
def test_inbound(hushwire):
    assert hushwire.phone("+14155550123").send("Hi").startswith("SM")

def test_client(hushwire):
    hushwire.client
''', "--tb=line", app="def send_code(): ...\n")  # fmt: skip
    assert "1 failed, 1 passed" in found.stdout
    assert "pip install twilio" in found.stdout


def test_other_hosts_are_left_alone() -> None:
    from hushwire.testing.sdk import moved

    here = "http://127.0.0.1:8008"
    assert moved("https://api.twilio.com/2010-04-01/A.json?B=%2B1", here) == (
        f"{here}/2010-04-01/A.json?B=%2B1"
    )
    assert moved("https://messaging.dublin.ie1.twilio.com/v1/Services", here) == (
        f"{here}/v1/Services"
    )
    assert moved("https://example.com/twilio.com", here) == "https://example.com/twilio.com"
    assert moved("https://eviltwilio.com/", here) == "https://eviltwilio.com/"
