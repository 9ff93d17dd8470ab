"""What tests of actions share: running one over HTTP, and what a refusal must look like."""

import json
from base64 import b64encode
from typing import Any

from harness import RunningServer
from tenants import Tenant
from wire_checks import MORE_INFO

ACTIONS = "/hushwire/v1/actions"
KEYS = {"code", "message", "more_info", "status", "field"}
Told = tuple[int, dict[str, Any]]


def act(server: RunningServer, name: str, given: object = None, **more: object) -> Told:
    """Run an action as the first account."""
    return server.json("POST", f"{ACTIONS}/{name}", {"input": given or {}, **more})


def as_caller(who: Tenant, name: str, given: object, **more: object) -> Told:
    """Run an action as somebody else."""
    basic = b64encode(f"{who.user}:{who.password}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/json"}
    body = json.dumps({"input": given, **more}).encode()
    found = who.server.request("POST", f"{ACTIONS}/{name}", body, headers, auth=False)
    return found[0], json.loads(found[2])


def refused(answer: Told, status: int, code: int) -> dict[str, Any]:
    """The problem of an answer: Twilio's four keys and the field, no others."""
    got, problem = answer
    assert (got, problem["status"], problem["code"]) == (status, status, code), problem
    assert set(problem) == KEYS
    assert problem["more_info"] == f"{MORE_INFO}{code}"
    return problem
