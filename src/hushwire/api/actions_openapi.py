"""The actions as an OpenAPI 3.1 document, made from the registry.

3.1, because its schemas are JSON Schema, as those of the registry are.
"""

from collections.abc import Iterable
from typing import Any, Final

import msgspec

from hushwire import __version__
from hushwire.connect.registry import REGISTRY, SCOPES, AnyAction
from hushwire.settings import Settings

PATH: Final = "/hushwire/v1/actions"
Schema = dict[str, Any]

_REF: Final = "#/components/schemas/{name}"
_TEXT: Final[Schema] = {"type": "string"}
_REFUSED: Final[Schema] = {
    "type": "object",
    "required": ["code", "message", "more_info", "status", "field"],
    "properties": {
        "code": {"type": "integer", "description": "Twilio's"},
        "message": {"type": "string", "description": "One sentence: field, value, cure"},
        "more_info": _TEXT,
        "status": {"type": "integer", "description": "HTTP's"},
        "field": {"type": ["string", "null"], "description": "What of the input is to blame"},
    },
}
_KEY: Final[Schema] = {
    "name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 255},
    "description": "A repetition with the same one is the same request",
}  # fmt: skip


def document(url: str | None = None) -> Schema:
    """The whole of it. `url`: of the server; as it starts with its defaults if absent."""
    actions = tuple(REGISTRY)
    defaults = Settings()
    base = url or f"http://{defaults.host}:{defaults.port}"
    references, schemas = _schemas(actions)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Hushwire actions",
            "version": __version__,
            "description": "One POST an action. Without `connection` it runs on this server with "
            "the credentials of the request.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"accountSid_authToken": []}, {"access_token": []}],
        "paths": {
            f"{PATH}/{action.name}": {
                "servers": [{"url": base}],
                "post": _operation(action, references[action.input], references[action.output]),
            }
            for action in actions
        },
        "components": {
            "schemas": {**schemas, "Refused": _REFUSED},
            "securitySchemes": {
                "accountSid_authToken": {"type": "http", "scheme": "basic"},
                "access_token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            },
        },
    }


def _schemas(actions: Iterable[AnyAction]) -> tuple[dict[Any, Schema], Schema]:
    """A reference for each model, and what they refer to."""
    models = list(dict.fromkeys(m for action in actions for m in (action.input, action.output)))
    references, schemas = msgspec.json.schema_components(models, ref_template=_REF)
    return dict(zip(models, references, strict=True)), schemas


def _operation(action: AnyAction, taken: Schema, given: Schema) -> Schema:
    needs = ", ".join(f"`{scope}` ({SCOPES[scope]})" for scope in action.scopes)
    body: Schema = {
        "type": "object",
        "required": ["input"],
        "additionalProperties": False,
        "properties": {
            "input": taken,
            "connection": {"type": "string", "description": "The name of a connection"},
        },
    }
    refused = {"description": "refused", "content": _json({"$ref": _REF.format(name="Refused")})}
    return {
        "operationId": action.name,
        "summary": action.title,
        "description": f"{action.summary} Needs the scopes {needs}.",
        "x-effect": action.effect,
        "x-idempotency": action.idempotency,
        "parameters": [_KEY] if action.idempotency == "key" else [],
        "requestBody": {"required": True, "content": _json(body)},
        "responses": {
            "200": {"description": "done", "content": _json(given)},
            "4XX": refused,
            "5XX": refused,
        },
    }


def _json(schema: Schema) -> Schema:
    return {"application/json": {"schema": schema}}
