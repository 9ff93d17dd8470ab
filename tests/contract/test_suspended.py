"""Suspended: what waits is not sent, what comes is not taken."""

import json
from urllib.parse import quote

from harness import RunningServer
from tenants import owner, subaccount

PHONE = "+14155550163"


def test_what_waits_when_its_account_is_suspended_fails(server: RunningServer) -> None:
    """7.1: queued messages fail with 30002, texts from phones are not taken; both end with it."""
    sub = subaccount(server)
    parent = owner(server).at(sub.sid)
    number = sub.made("POST", "IncomingPhoneNumbers.json", 201, AreaCode="628")
    slow = json.dumps({"mps": 0.1}).encode()
    pace = f"/hushwire/v1/accounts/{sub.sid}/numbers/{number['sid']}"
    assert server.request("PATCH", pace, slow, {"Content-Type": "application/json"})[0] == 200
    form = {"To": PHONE, "From": number["phone_number"], "Body": "x"}
    sent = [sub.made("POST", "Messages.json", 201, **form)["sid"] for _ in range(3)]
    parent.made("POST", f"/2010-04-01/Accounts/{sub.sid}.json", Status="suspended")
    server.advance(60)
    found = [parent.made("GET", f"Messages/{sid}.json") for sid in sent]
    assert [(m["status"], m["error_code"]) for m in found[1:]] == [("failed", 30002)] * 2
    text = {"to": number["phone_number"], "body": "Hello"}
    phone = f"/sandbox/phones/{quote(PHONE)}/messages"
    assert server.json("POST", phone, text)[0] == 404
    parent.made("POST", f"/2010-04-01/Accounts/{sub.sid}.json", Status="active")
    assert server.json("POST", phone, text)[0] == 201
