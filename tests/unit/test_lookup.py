"""What the numbering plans tell of a number, and Lookups v2 with real credentials in front."""

import asyncio
from collections.abc import Awaitable, Callable
from hashlib import sha256
from pathlib import Path
from typing import Any, get_args

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from twilio.rest.lookups.v2.phone_number import PhoneNumberInstance

from hushwire.actions.accounts import Accounts
from hushwire.api.auth import Authenticator, peer
from hushwire.api.door import Door
from hushwire.api.lookups import NOT_SERVED, Lookups
from hushwire.clock import Clock, SystemEntropy
from hushwire.domain.account import ApiKey
from hushwire.domain.lookup import LineType, Lookup, ValidationError, is_region, look_up
from hushwire.errors import Refusal
from hushwire.observe import Metrics
from hushwire.private import Private
from hushwire.store.store import Store
from hushwire.vault.slots import Slots

SID, TOKEN = "AC" + "a" * 32, "1" * 32
KEY = "SK" + "b" * 32
BASE = "https://sms.example.com"


# --- What is known -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "region", "phone", "national", "country", "code"),
    [
        ("+14159929960", "US", "+14159929960", "(415) 992-9960", "US", "1"),
        ("(415) 992-9960", "US", "+14159929960", "(415) 992-9960", "US", "1"),
        ("+1 415 992 9960 ext. 5", "US", "+14159929960", "(415) 992-9960", "US", "1"),
        ("020 7183 8750", "GB", "+442071838750", "020 7183 8750", "GB", "44"),
        ("+442071838750", "US", "+442071838750", "020 7183 8750", "GB", "44"),
        ("+14165551234", "US", "+14165551234", "(416) 555-1234", "CA", "1"),
        ("+390612345678", "US", "+390612345678", "06 1234 5678", "IT", "39"),
        ("+80012345678", "US", "+80012345678", "1234 5678", None, "800"),
    ],
)
def test_a_valid_number(
    text: str, region: str, phone: str, national: str, country: str | None, code: str
):
    found = look_up(text, region)
    assert found.valid
    assert found.errors == ()
    assert found.phone == Private(phone)
    assert found.national == Private(national)
    assert (found.country, found.calling_code) == (country, code)


@pytest.mark.parametrize(
    ("text", "error", "phone"),
    [
        ("+1415", "TOO_SHORT", "+1415"),
        ("5550123", "TOO_SHORT", "+15550123"),  # the area code is missing
        ("+390", "TOO_SHORT", "+390"),
        ("+141599299600", "TOO_LONG", "+141599299600"),
        ("9" * 300, "TOO_LONG", "9" * 300),
        ("+15555551234", "INVALID_BUT_POSSIBLE", "+15555551234"),
        ("+999123456", "INVALID_COUNTRY_CODE", "+999123456"),
        ("+8001234567", "TOO_SHORT", "+8001234567"),
        ("+49891", "TOO_SHORT", "+49891"),
        ("+65123456789", "INVALID_LENGTH", "+65123456789"),  # 8 digits there, or 10 and 11
        ("hello", "NOT_A_NUMBER", "hello"),
        ("", "NOT_A_NUMBER", ""),
        ("+", "NOT_A_NUMBER", "+"),
    ],
)
def test_what_is_wrong(text: str, error: ValidationError, phone: str):
    found = look_up(text)
    assert not found.valid
    assert found.errors == (error,)
    assert found.phone == Private(phone)
    assert found.national is found.country is found.calling_code is found.line_type is None


@pytest.mark.parametrize(
    ("number", "line"),
    [
        ("+14159929960", None),  # North America mixes mobiles and landlines
        ("+4915112345678", "mobile"),
        ("+493012345678", "landline"),
        ("+18005551234", "tollFree"),
        ("+19002345678", "premium"),
        ("+49180123456", "sharedCost"),
        ("+445612345678", "nonFixedVoip"),
        ("+447012345678", "personal"),
        ("+447640123456", "pager"),
        ("+445512345678", "uan"),
        ("+15005550006", "personal"),
    ],
)
def test_line_types(number: str, line: LineType | None):
    found = look_up(number)
    assert found.valid
    assert found.line_type == line


def test_our_words_are_twilios():
    known = {value for name, value in vars(PhoneNumberInstance.ValidationError).items()
             if name.isupper()}  # fmt: skip
    assert set(get_args(ValidationError)) == known


def test_a_lookup_shows_no_number():
    found = look_up("+14159929960")
    assert "992" not in f"{found} {found!r}"


@given(st.text(max_size=40))
def test_no_text_is_too_strange(text: str):
    found = look_up(text)
    assert isinstance(found, Lookup)
    if found.valid:
        assert look_up(found.phone.reveal()) == found  # E.164 reads as itself


@pytest.mark.parametrize(
    ("code", "known"),
    [("US", True), ("DE", True), ("ZZ", False), ("us", False), ("001", False), ("", False)],
)
def test_regions(code: str, known: bool):
    assert is_region(code) is known


# --- The API -------------------------------------------------------------------------------

Answer = tuple[int, dict[str, Any]]
Get = Callable[..., Awaitable[Answer]]


def play(folder: Path, scene: Callable[[Get], Awaitable[None]]) -> None:
    """`scene` with a way to ask a real door, its accounts in a store of their own."""

    async def main() -> None:
        root = bytes(32)
        slots = Slots.open(folder / "vault", root, slots_per_file=1024)

        def failed(error: BaseException) -> None:
            raise error

        store = Store(
            folder / "db", slots, root, SystemEntropy(), Metrics(), failed=failed, threaded=False
        )
        account = store.accounts.open(SID, "", Private(TOKEN), None, "An account", 1_000)
        policy = ("/twilio/messaging/messages/*",)
        digest = sha256(b"secret").digest()
        store.accounts.put_key(
            ApiKey(KEY, account.id, None, "restricted", policy, digest, 1_000, 1_000)
        )
        door = Door(Authenticator(Accounts(store), Clock(read=lambda: 1_000), peer))
        app = Starlette(
            routes=Lookups(door, lambda request: BASE).routes(),
            exception_handlers={Refusal: _refused},
        )
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE) as client:

            async def get(number: str, user: str = SID, password: str = TOKEN) -> Answer:
                auth = (user, password) if user else None
                response = await client.get(f"/v2/PhoneNumbers/{number}", auth=auth)
                return response.status_code, response.json()

            await scene(get)
        await store.close()
        slots.close()

    asyncio.run(main())


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return JSONResponse(error.body(), error.problem.status)


def test_fetch(tmp_path: Path) -> None:
    async def scene(get: Get) -> None:
        status, found = await get("+14159929960")
        assert status == 200
        assert found == {
            "calling_country_code": "1",
            "country_code": "US",
            "phone_number": "+14159929960",
            "national_format": "(415) 992-9960",
            "valid": True,
            "validation_errors": [],
            "line_type_intelligence": None,
            "url": f"{BASE}/v2/PhoneNumbers/+14159929960",
            **dict.fromkeys(NOT_SERVED),
        }

    play(tmp_path, scene)


def test_what_is_no_number_is_an_answer(tmp_path: Path) -> None:
    async def scene(get: Get) -> None:
        status, found = await get("call%20me%3F?Fields=line_type_intelligence")
        assert status == 200
        assert found["valid"] is False
        assert found["validation_errors"] == ["NOT_A_NUMBER"]
        assert found["phone_number"] == "call me?"
        assert found["url"] == f"{BASE}/v2/PhoneNumbers/call%20me%3F"
        assert found["line_type_intelligence"] is None

    play(tmp_path, scene)


def test_fields_and_country(tmp_path: Path) -> None:
    async def scene(get: Get) -> None:
        _, found = await get(
            "01511%202345678?CountryCode=de&Fields=validation,%20line_type_intelligence"
        )
        assert found["phone_number"] == "+4915112345678"
        assert found["country_code"] == "DE"
        assert found["line_type_intelligence"] == {
            "mobile_country_code": None,
            "mobile_network_code": None,
            "carrier_name": None,
            "type": "mobile",
            "error_code": None,
        }
        _, found = await get("+14159929960?Fields=&CountryCode=")  # W5: empty is absent
        assert found["valid"] is True
        _, found = await get("+14159929960?Fields=line_type_intelligence")
        assert found["line_type_intelligence"]["type"] is None

    play(tmp_path, scene)


def test_what_is_not_served_is_refused(tmp_path: Path) -> None:
    async def scene(get: Get) -> None:
        for package in NOT_SERVED:
            status, found = await get(f"+14159929960?Fields=validation,{package}")
            assert (status, found["code"]) == (403, 60606)
            assert package in found["message"]
        for query in ("Fields=caller-name", "Fields=Validation", "CountryCode=ZZ"):
            status, found = await get(f"+14159929960?{query}")
            assert (status, found["code"]) == (400, 20422)
            assert query.partition("=")[0] in found["message"]
            assert "415" not in found["message"]

    play(tmp_path, scene)


def test_who_may_ask(tmp_path: Path) -> None:
    async def scene(get: Get) -> None:
        assert (await get("+14159929960", user=""))[1]["code"] == 20003
        assert (await get("+14159929960", password="2" * 32))[0] == 401
        status, found = await get("+14159929960", user=KEY, password="secret")
        assert (status, found["code"]) == (401, 70051)
        assert "twilio/lookups/phone-numbers/read" in found["message"]

    play(tmp_path, scene)
