"""What the contract tests of the v1 APIs share: Twilio's definitions, and the shapes of answers."""

import json
import re
from pathlib import Path
from typing import Any

from twilio.rest import Client

from tenants import Tenant
from wire_checks import shape

_FACTS = Path(__file__).parent / "facts"
_TYPES: dict[str, type] = {
    "string": str, "integer": int, "boolean": bool, "array": list, "object": dict,
}  # fmt: skip
_FORMATS = {
    "date-time": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z"),  # SDKs read no fraction (1.2)
    "uri": re.compile(r"https?://\S+\Z"),
    "phone-number": re.compile(r"\+[1-9]\d{6,14}\Z"),
}
_VARIABLE = [
    (re.compile(r"\b(MG|PN|SC|AI|AP|HX)[0-9a-f]{32}"), r"<\1>"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z"), "<iso>"),
    (re.compile(r"\Ahttp://127\.0\.0\.1:\d+"), "<base>"),
]


class Facts:
    """One of Twilio's definitions, by the name of its file."""

    def __init__(self, name: str) -> None:
        self._whole: dict[str, Any] = json.loads((_FACTS / f"{name}.json").read_text("utf-8"))
        self.paths: dict[str, Any] = self._whole["paths"]
        self.schemas: dict[str, Any] = self._whole["components"]["schemas"]

    def operations(self) -> set[tuple[str, str]]:
        methods = ("get", "post", "put", "delete")
        return {(m.upper(), path) for path, o in self.paths.items() for m in o if m in methods}

    def form(self, path: str) -> set[str]:
        """The parameters of the POST of that path."""
        content = self.paths[path]["post"]["requestBody"]["content"]
        return set(content["application/x-www-form-urlencoded"]["schema"]["properties"])

    def answers(self, path: str, status: str, value: Any, method: str = "get") -> None:
        """Is `value` what that operation answers: all properties and no other, their types?"""
        found = self.paths[path][method]["responses"][status]["content"]["application/json"]
        self.check(found["schema"], value)

    def check(self, schema: dict[str, Any], value: Any, where: str = "answer") -> None:
        if "$ref" in schema:
            schema = self.schemas[schema["$ref"].rpartition("/")[2]]
        if value is None:
            assert schema.get("nullable"), where
            return
        assert type(value) is _TYPES[schema["type"]], where
        if "enum" in schema:
            assert value in schema["enum"], where
        if "pattern" in schema:
            assert re.search(schema["pattern"], value), where
        if schema.get("format") in _FORMATS:
            assert _FORMATS[schema["format"]].match(value), where
        if schema.get("format") == "uri-map":
            assert value, where
            assert all(_FORMATS["uri"].match(uri) for uri in value.values()), where
        if "properties" in schema:
            assert set(value) == set(schema["properties"]), where
            for name, part in schema["properties"].items():
                self.check(part, value[name], f"{where}.{name}")
        for item in value if isinstance(value, list) else ():
            self.check(schema["items"], item, f"{where}[]")


def shown(value: Any) -> Any:
    """An answer without what differs each time."""
    if isinstance(value, dict):
        return {key: shown(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shown(item) for item in value]
    value = shape(value)
    if isinstance(value, str):
        for pattern, name in _VARIABLE:
            value = pattern.sub(name, value)
    return value


def golden(name: str) -> dict[str, Any]:
    """The answers of a resource as they were written down."""
    path = Path(__file__).parent / "contract" / "golden" / f"{name}.json"
    return json.loads(path.read_text("utf-8"))


def sdk(tenant: Tenant) -> Client:
    """The official SDK, with the products of messaging pointed at the server."""
    client = tenant.sdk()
    for product in (client.messaging, client.content):
        product.base_url = tenant.server.url
    return client
