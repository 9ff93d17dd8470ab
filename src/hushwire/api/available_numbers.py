"""The AvailablePhoneNumber resources: the countries there are numbers of, and the numbers."""

from typing import Final, NamedTuple

from msgspec.structs import asdict
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hushwire.actions.numbers import Numbers, Search
from hushwire.api.door import Door, answer, not_found
from hushwire.api.numbers import KINDS, boolean, path_kind
from hushwire.api.paging import HasSid, Page, page_json, read_asked, read_given
from hushwire.domain import supply
from hushwire.domain.supply import Country, NumberKind, Offer
from hushwire.errors import Refusal

BASE: Final = "/2010-04-01/Accounts/{account_sid}/AvailablePhoneNumbers"
CAPABILITIES: Final = {  # filter → field of Capabilities
    "SmsEnabled": "sms", "MmsEnabled": "mms", "VoiceEnabled": "voice", "FaxEnabled": "fax",
}  # fmt: skip
HONOURED: Final = ("AreaCode", "Contains", *CAPABILITIES)
_NO_PLACE: Final = "where a number is at home is not known"
_NO_ADDRESS: Final = "no number needs an address"
WITHOUT_EFFECT: Final = {
    "Beta": "there are no new kinds of numbers",
    "Distance": _NO_PLACE,
    "ExcludeAllAddressRequired": _NO_ADDRESS,
    "ExcludeForeignAddressRequired": _NO_ADDRESS,
    "ExcludeLocalAddressRequired": _NO_ADDRESS,
    "InLata": _NO_PLACE,
    "InLocality": _NO_PLACE,
    "InPostalCode": _NO_PLACE,
    "InRateCenter": _NO_PLACE,
    "InRegion": _NO_PLACE,
    "NearLatLong": _NO_PLACE,
    "NearNumber": _NO_PLACE,
}
FILTERS: Final = (*HONOURED, *WITHOUT_EFFECT)
_LIST: Final = "twilio/numbers/available-phone-numbers/list"


class _Place(NamedTuple):
    """A country as a record of a list: its ISO code is what page tokens name."""

    sid: str
    country: Country
    created_ms: int = 0


class AvailableNumberResource:
    """Twilio's AvailablePhoneNumbers, spoken to the actions."""

    def __init__(self, numbers: Numbers, door: Door) -> None:
        self._numbers = numbers
        self._door = door

    def routes(self) -> list[Route]:
        return [
            Route(f"{BASE}.json", self.countries),
            Route(f"{BASE}/{{country}}.json", self.country),
            *(Route(f"{BASE}/{{country}}/{kind}.json", self.list) for kind in KINDS),
        ]

    async def countries(self, request: Request) -> Response:
        account = self._door.path_account(request, _LIST)
        asked = read_asked(read_given(request.scope["query_string"]))
        page = asked.of([_Place(place.iso, place) for place in self._numbers.countries()])
        records = [_country_json(place.country, account.sid) for place in page.records]
        return answer(200, page_json(request.scope["path"], asked, page, records, "countries"))

    async def country(self, request: Request) -> Response:
        account = self._door.path_account(request, _LIST)
        for place in self._numbers.countries():
            if place.iso == request.path_params["country"]:
                return answer(200, _country_json(place, account.sid))
        raise not_found(request)

    async def list(self, request: Request) -> Response:
        """One page of numbers, as at Twilio: another question finds others."""
        self._door.path_account(request, _LIST)
        path, given = request.scope["path"], read_given(request.scope["query_string"])
        asked = read_asked(given, FILTERS)
        if asked.token is not None:
            raise Refusal("invalid_page_token")
        search = Search(
            request.path_params["country"], _kind(request),
            given.get("AreaCode"), given.get("Contains"), _capabilities(given),
        )  # fmt: skip
        offers = await self._numbers.search(search, asked.page_size) if asked.page == 0 else ()
        records = [_offer_json(offer) for offer in offers]
        page = Page[HasSid]((), newer=False, older=False)
        return answer(200, page_json(path, asked, page, records, "available_phone_numbers"))


def _kind(request: Request) -> NumberKind:
    """The kind that the path names, which must be one of the country's."""
    kind = path_kind(request.scope["path"])
    place = supply.country(request.path_params["country"])
    if kind is None or place is None or kind not in place.kinds:
        raise not_found(request)
    return kind


def _capabilities(given: dict[str, str]) -> dict[str, bool]:
    wanted = {field: boolean(given, name) for name, field in CAPABILITIES.items()}
    return {field: on for field, on in wanted.items() if on is not None}


def _country_json(country: Country, account_sid: str) -> dict[str, object]:
    path = f"{BASE.format(account_sid=account_sid)}/{country.iso}"
    return {
        "beta": False,
        "country": country.name,
        "country_code": country.iso,
        "subresource_uris": {
            kind: f"{path}/{name}.json" for name, kind in KINDS.items() if kind in country.kinds
        },
        "uri": f"{path}.json",
    }


def _offer_json(offer: Offer) -> dict[str, object]:
    return {
        "address_requirements": "none",
        "beta": False,
        "capabilities": asdict(offer.capabilities),
        "friendly_name": offer.national,
        "iso_country": offer.country,
        "lata": None,
        "latitude": None,
        "locality": offer.locality,
        "longitude": None,
        "phone_number": offer.phone,
        "postal_code": None,
        "rate_center": None,
        "region": offer.region,
    }
