"""Lookups v2: what the numbering plans tell of a number. Nothing is stored or asked elsewhere."""

from collections.abc import Callable
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from hushwire.api.door import Door, answer
from hushwire.domain.lookup import Lookup, is_region, look_up
from hushwire.errors import Refusal

PERMISSION: Final = "twilio/lookups/phone-numbers/read"

LINE_TYPE: Final = "line_type_intelligence"
SERVED: Final = frozenset({"validation", LINE_TYPE})
# Packages that need a carrier's or a registry's data: null in every answer, refused when asked.
NOT_SERVED: Final = (
    "caller_name",
    "sim_swap",
    "call_forwarding",
    "line_status",
    "identity_match",
    "reassigned_number",
    "sms_pumping_risk",
    "phone_number_quality_score",
    "pre_fill",
)


class Lookups:
    """Twilio's PhoneNumber resource; `base` gives scheme and host of links in an answer."""

    def __init__(self, door: Door, base: Callable[[Request], str]) -> None:
        self._door = door
        self._base = base

    def routes(self) -> list[Route]:
        return [Route("/v2/PhoneNumbers/{phone_number}", self.fetch, methods=["GET"])]

    async def fetch(self, request: Request) -> Response:
        """A number, valid or not: what is no number is an answer, too, and not an error."""
        self._door.caller(request, PERMISSION)
        fields = _fields(",".join(request.query_params.getlist("Fields")))
        region = request.query_params.get("CountryCode", "").upper() or "US"
        if not is_region(region):
            raise Refusal("invalid_parameter", parameter="CountryCode")
        found = look_up(request.path_params["phone_number"], region)
        return answer(200, lookup_json(found, fields, self._base(request)))


def lookup_json(found: Lookup, fields: frozenset[str], base: str) -> dict[str, object]:
    """A lookup as Twilio shows it; the line type only of a valid number, when it was asked for."""
    phone = found.phone.reveal()
    line = {
        "mobile_country_code": None,
        "mobile_network_code": None,
        "carrier_name": None,
        "type": found.line_type,
        "error_code": None,
    }
    return {
        "calling_country_code": found.calling_code,
        "country_code": found.country,
        "phone_number": phone,
        "national_format": found.national.reveal() if found.national is not None else None,
        "valid": found.valid,
        "validation_errors": found.errors,
        **dict.fromkeys(NOT_SERVED),
        LINE_TYPE: line if found.valid and LINE_TYPE in fields else None,
        "url": f"{base}/v2/PhoneNumbers/{quote(phone, safe='+')}",
    }


def _fields(text: str) -> frozenset[str]:
    """The packages of `Fields=`. Raises Refusal for one that is not served, or is none."""
    fields = frozenset(part.strip() for part in text.split(",")) - {""}
    for field in fields - SERVED:
        if field in NOT_SERVED:
            raise Refusal("lookup_package_not_enabled", package=field)
        raise Refusal("invalid_parameter", parameter="Fields")
    return fields
