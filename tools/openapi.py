"""The served API as an OpenAPI 3.0 document, `docs/reference/openapi.json`.

Made from the table of operations (`hushwire.api.support`), from what may be asked of each
(`openapi_calls`) and what it answers (`openapi_schemas`). `make docs` writes it. Servers stand
at each path, as in Twilio's own definition: there are clients that read them only there (W16).
"""

import json
import re
from typing import Any, Final

from openapi_calls import CALLS as OTHER_CALLS
from openapi_calls import FORM, Call, Fields
from openapi_monitoring import (
    MONITORING,
    MONITORING_PAGES,
    MONITORING_RESOURCES,
    PATH_OTHERS,
    PATH_SIDS,
)
from openapi_schemas import PAGES, RESOURCES, TEXT, Schema, ref, sid

from hushwire import __version__
from hushwire.api import support
from hushwire.api.support import ACCOUNT, V2010, Operation
from hushwire.settings import Settings

NAME: Final = "openapi.json"
SCHEME: Final = "accountSid_authToken"  # as Twilio calls it: Basic, of an account or an API key

_PATH_PARAMETER: Final = re.compile(r"\{(\w+)\}")
_SIDS: Final = {  # beginning of a path → what its {Sid} names
    f"{V2010}/Accounts/{{Sid}}": sid("AC"),
    f"{ACCOUNT}/Messages/{{MessageSid}}/Media/": sid("ME"),
    f"{ACCOUNT}/Messages/": sid("SM", "MM"),
    f"{ACCOUNT}/Keys/": sid("SK"),
    f"{ACCOUNT}/SigningKeys/": sid("SK"),
    f"{ACCOUNT}/IncomingPhoneNumbers/": sid("PN"),
    f"{ACCOUNT}/SMS/ShortCodes/": sid("SC"),
    f"{ACCOUNT}/Applications/": sid("AP"),
    "/v1/Keys/": sid("SK"),
    "/v1/Services/{ServiceSid}/PhoneNumbers/": sid("PN"),
    "/v1/Services/{ServiceSid}/ShortCodes/": sid("SC"),
    "/v1/Services/{ServiceSid}/AlphaSenders/": sid("AI"),
    "/v1/Services/": sid("MG"),
    "/v1/Content/": sid("HX"),
    **PATH_SIDS,
}
_OTHERS: Final[Fields] = {
    "AccountSid": sid("AC"),
    "MessageSid": sid("SM", "MM"),
    "ServiceSid": sid("MG"),
    "CountryCode": {"type": "string", "pattern": "^[A-Z]{2}$"},
    "PhoneNumber": TEXT,
    **PATH_OTHERS,
}
CALLS: Final = {**OTHER_CALLS, **MONITORING}
_HEADERS: Final = {"Twilio-Request-Id": {"schema": TEXT, "description": "names the request"}}
_RETRY_AFTER: Final = {
    "Retry-After": {"schema": {"type": "integer"}, "description": "seconds; with 429 and 503"}
}


def document() -> Schema:
    """The whole of it, for the server as it starts with its defaults.

    Raises LookupError for a served operation without a row in `openapi_calls`.
    """
    served = [operation for operation in support.OPERATIONS if operation.served]
    missing = [f"{o.method} {o.path}" for o in served if (o.method, o.path) not in CALLS]
    if missing:
        raise LookupError(f"tools/openapi_calls.py has no row of {', '.join(missing)}")
    defaults = Settings()
    servers = [{"url": f"http://{defaults.host}:{defaults.port}"}]
    paths: Schema = {}
    for operation in served:
        item = paths.setdefault(operation.path, {"servers": servers})
        item[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "Hushwire",
            "version": __version__,
            "description": "What Hushwire serves of Twilio's API. Parameters that are not "
            "listed are ignored; empty ones count as absent.",
            "license": {"name": "Apache-2.0"},
        },
        "security": [{SCHEME: []}],
        "paths": paths,
        "components": {
            "schemas": {
                **RESOURCES,
                **MONITORING_RESOURCES,
                **PAGES,
                **MONITORING_PAGES,
            },
            "responses": {"Refused": _answer("refused", "Error", {**_HEADERS, **_RETRY_AFTER})},
            "securitySchemes": {SCHEME: {"type": "http", "scheme": "basic"}},
        },
    }


def text() -> str:
    """The file."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


def _operation(operation: Operation) -> Schema:
    call = CALLS[operation.method, operation.path]
    parameters = [
        _parameter("path", name, _path_schema(operation.path, name), required=True)
        for name in _PATH_PARAMETER.findall(operation.path)
    ]
    for where, fields in (("query", call.query), ("header", call.headers)):
        parameters += [_parameter(where, name, schema, required=name in call.required)
                       for name, schema in fields.items()]  # fmt: skip
    refused = {"$ref": "#/components/responses/Refused"}
    return {
        "operationId": call.name,
        "summary": operation.what,
        "parameters": parameters,
        **(_body(call) if call.form or call.json else {}),
        "responses": {**_success(call), "4XX": refused, "503": refused},
    }


def _parameter(where: str, name: str, schema: Schema, *, required: bool) -> Schema:
    schema = dict(schema)
    description = schema.pop("description", None)
    return {
        "name": name,
        "in": where,
        **({"required": True} if required else {}),
        **({"description": description} if description else {}),
        "schema": schema,
    }


def _path_schema(path: str, name: str) -> Schema:
    if name != "Sid":
        return _OTHERS[name]
    return next(schema for start, schema in _SIDS.items() if path.startswith(start))


def _body(call: Call) -> dict[str, Any]:
    schema: Schema = {"type": "object", "properties": call.form or call.json}
    if call.required:
        schema["required"] = list(call.required)
    content = {FORM if call.form else "application/json": {"schema": schema}}
    return {"requestBody": {"required": bool(call.required), "content": content}}


def _success(call: Call) -> Schema:
    if call.answer is None:
        return {str(call.status): {"description": "done", "headers": _HEADERS}}
    return {str(call.status): _answer("done", call.answer, _HEADERS)}


def _answer(description: str, schema: str, headers: Schema) -> Schema:
    content = {"*/*" if schema == "File" else "application/json": {"schema": ref(schema)}}
    return {"description": description, "headers": headers, "content": content}
