"""The authorization code flow in a real browser, where there is one: without JavaScript.

Chromium is looked for on the path; HUSHWIRE_TEST_BROWSER names another.
"""

import os
import shutil
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from urllib.parse import parse_qsl, urlsplit

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from harness import RunningServer
from oauth_rig import App, make_app
from tenants import subaccount

NAMES = ("chromium", "chromium-browser", "google-chrome", "chromium-headless-shell")
FOUND = os.environ.get("HUSHWIRE_TEST_BROWSER") or next(filter(None, map(shutil.which, NAMES)), "")
PERSONA = ("messages.read", "messages.list", "accounts.read", "accounts.list")

pytestmark = pytest.mark.skipif(not FOUND, reason="there is no Chromium on this machine")


class Home(HTTPServer):
    """The app's side: it remembers what its callback was brought."""

    def __init__(self) -> None:
        self.brought: list[dict[str, str]] = []
        home = self

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                if parts.path == "/callback":
                    home.brought.append(dict(parse_qsl(parts.query)))
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(b"<title>Home</title><p>Welcome back")

            def log_message(self, format: str, *args: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Answer)

    @property
    def callback(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/callback"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=FOUND, args=["--no-sandbox"] if os.geteuid() == 0 else []
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.set_default_timeout(10_000)
    yield page
    context.close()


@pytest.fixture
def home() -> Iterator[Home]:
    home = Home()
    Thread(target=home.serve_forever, daemon=True).start()
    yield home
    home.shutdown()
    home.server_close()


@pytest.fixture
def app(server: RunningServer, home: Home) -> App:
    tenant = subaccount(server, "In a browser")
    return make_app(tenant, *PERSONA, redirect_uris=[home.callback])


def test_approve(app: App, home: Home, page: Page) -> None:
    """P-3: review, approve, and back with a code that is worth a token."""
    page.goto(app.page(redirect_uri=home.callback))
    assert page.get_by_role("heading", level=1).inner_text() == (
        "Persona asks for access to your account"
    )
    assert page.get_by_role("listitem").count() == 4
    page.get_by_label("Account SID").fill(app.tenant.sid)
    page.get_by_label("Auth Token").fill("0" * 32)
    page.get_by_role("button", name="Approve").click()
    assert "do not open this account" in page.get_by_role("alert").inner_text()
    page.get_by_label("Account SID").fill(app.tenant.sid)
    page.get_by_label("Auth Token").fill(app.tenant.password)
    page.keyboard.press("Enter")
    page.wait_for_url(f"{home.callback}**")
    (told,) = home.brought
    assert told["state"] == "a state"
    assert app.exchange(told["code"], redirect_uri=home.callback)[0] == 200


def test_deny(app: App, home: Home, page: Page) -> None:
    """P-3: nothing is asked for, and nothing stored."""
    page.goto(app.page(redirect_uri=home.callback))
    page.get_by_role("button", name="Deny").click()
    page.wait_for_url(f"{home.callback}**")
    assert [told["error"] for told in home.brought] == ["access_denied"]


def test_the_style_is_applied_and_fits_a_phone(app: App, home: Home, page: Page) -> None:
    """The policy lets through this style, and nothing is wider than a small screen."""
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text))
    page.set_viewport_size({"width": 320, "height": 640})
    page.goto(app.page(redirect_uri=home.callback))
    button = page.get_by_role("button", name="Approve").bounding_box()
    field = page.get_by_label("Auth Token").bounding_box()
    assert button is not None
    assert field is not None
    assert button["height"] >= 44
    assert field["x"] >= 0
    assert field["x"] + field["width"] <= 320
    assert told == []


def test_it_is_not_shown_in_a_frame(app: App, home: Home, page: Page) -> None:
    """Clickjacking: another site gets an empty frame."""
    page.goto(home.callback)
    page.set_content(
        f'<iframe src="{app.page(redirect_uri=home.callback)}"></iframe>'.replace("&", "&amp;")
    )
    frame = page.frames[-1]
    assert frame.get_by_role("button", name="Approve").count() == 0
