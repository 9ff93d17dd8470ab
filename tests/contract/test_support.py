"""The support page is true (D11): every line of its tables, held against the running server.

The tables are `hushwire.api.support` and `hushwire.api.parameters`; what Twilio has is in
`tests/facts`. The server is this module's own, because the tests move its clock.
"""

import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

import hushwire
from harness import Receiver, RunningServer, wait_for
from hushwire.api import parameters, support
from hushwire.domain.sid import parse_message_sid
from hushwire.errors import PROBLEMS
from hushwire.store.engine import Database
from hushwire.store.rows import read_row
from picture_host import PictureHost

FACTS = json.loads((Path(__file__).parents[1] / "facts" / "api_v2010_messaging.json").read_text())
MESSAGES = FACTS["paths"]["/2010-04-01/Accounts/{AccountSid}/Messages.json"]
MESSAGE = FACTS["paths"]["/2010-04-01/Accounts/{AccountSid}/Messages/{Sid}.json"]
FORM = "application/x-www-form-urlencoded"
RECOVERY_S = 21_600
PHONE = "+14155550171"

Sample = dict[str, str]
SAMPLES: Sample = {  # a value that Twilio would take, of each parameter that is not honoured
    "Attempt": "2", "FallbackFrom": "+15005550006", "ForceDelivery": "true", "MaxPrice": "0.02",
    "PersistentAction": "geo:37.78,-122.39|Here", "RiskCheck": "disable", "ShortenUrls": "true",
    "TrafficType": "free",
}  # fmt: skip


class Api:
    """Messages over plain HTTP: (status, JSON)."""

    def __init__(self, server: RunningServer) -> None:
        self.server = server
        self.path = f"/2010-04-01/Accounts/{server.sid}/Messages"

    def call(self, method: str, path: str, **form: str) -> tuple[int, dict[str, Any]]:
        body = urlencode(form).encode() if method == "POST" else None
        status, _, answer = self.server.request(method, path, body, {"Content-Type": FORM})
        return status, json.loads(answer) if answer else {}

    def send(self, **form: str) -> tuple[int, dict[str, Any]]:
        given = {"To": PHONE, "From": self.server.number, "Body": "Hello Ada", **form}
        return self.call("POST", f"{self.path}.json", **given)

    def sent(self, **form: str) -> dict[str, Any]:
        status, message = self.send(**form)
        assert status == 201, message
        return message

    def fetch(self, sid: str) -> dict[str, Any]:
        return self.call("GET", f"{self.path}/{sid}.json")[1]

    def finished(self, **form: str) -> dict[str, Any]:
        sid = self.sent(**form)["sid"]
        wait_for(lambda: self.fetch(sid)["status"] in ("delivered", "undelivered"))
        return self.fetch(sid)

    def sids(self, **query: str) -> list[str]:
        status, page = self.call("GET", f"{self.path}.json?{urlencode(query)}")
        assert status == 200, page
        return [message["sid"] for message in page["messages"]]


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    rates = Path(hushwire.__file__).with_name("rates.csv")
    data = tmp_path_factory.mktemp("support") / "data"
    with RunningServer(data, HUSHWIRE_RATES=str(rates)) as running:
        yield Api(running)


@pytest.fixture(scope="module")
def service(api: Api) -> str:
    """The SID of a Messaging Service with a number of its own."""
    status, made = api.call("POST", "/v1/Services", FriendlyName="Support")
    assert status == 201, made
    numbers = f"/2010-04-01/Accounts/{api.server.sid}/IncomingPhoneNumbers.json"
    number = api.call("POST", numbers, AreaCode="415")[1]
    path = f"/v1/Services/{made['sid']}/PhoneNumbers"
    assert api.call("POST", path, PhoneNumberSid=number["sid"])[0] == 201
    return made["sid"]


def names(operation: dict[str, Any]) -> list[str]:
    return [p["name"] for p in operation.get("parameters", ()) if p["in"] == "query"]


def form_names(operation: dict[str, Any]) -> set[str]:
    return set(operation["requestBody"]["content"][FORM]["schema"]["properties"])


def is_unserved(status: int, body: dict[str, Any]) -> bool:
    return (status, body.get("code")) == (404, 20404)


# Complete, and nothing twice ----------------------------------------------------------------


def test_every_operation_of_twilio_is_listed_once() -> None:
    methods = ("get", "post", "put", "delete")
    facts = {(m.upper(), path) for path, o in FACTS["paths"].items() for m in o if m in methods}
    listed = [(operation.method, operation.path) for operation in support.OPERATIONS]
    assert facts <= set(listed)
    assert len(listed) == len(set(listed))


def test_every_parameter_of_a_create_is_in_exactly_one_table() -> None:
    tables = [*parameters.HONOURED, *parameters.WITHOUT_EFFECT, *parameters.REFUSED]
    assert len(tables) == len(set(tables))
    assert set(tables) == form_names(MESSAGES["post"]) | {"Tags"}  # W11: in use, but in no schema
    assert support.CREATE_HONOURED.keys() == set(parameters.HONOURED)
    assert support.CREATE_REFUSED.keys() == parameters.REFUSED.keys()


def test_every_parameter_of_update_and_list_is_in_exactly_one_table() -> None:
    assert sorted(support.UPDATE_HONOURED) == sorted(form_names(MESSAGE["post"]))
    assert list(support.LIST_HONOURED) == names(MESSAGES["get"])


# Operations ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "operation",
    support.OPERATIONS,
    ids=lambda o: f"{o.method} {o.path.removeprefix('/2010-04-01')}",
)
def test_served_is_routed_and_not_yet_is_404_20404(api: Api, operation: support.Operation) -> None:
    """A method that no resource has is answered with those that this one has."""
    path = operation.path.replace("{AccountSid}", api.server.sid)
    path = re.sub(r"\{\w+\}", "SM" + "0" * 32, path)
    status, headers, body = api.server.request("PATCH", path, b"")
    if operation.served:
        assert (status, json.loads(body)["code"]) == (405, 20004)
        assert operation.method in headers["allow"].split(", ")
    else:
        assert is_unserved(*api.call(operation.method, path))


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("path", support.UNSERVED, ids=str)
def test_what_is_not_served_is_404_20404(api: Api, path: str, method: str) -> None:
    assert is_unserved(*api.call(method, path.replace("{AccountSid}", api.server.sid), Body="x"))


# Create -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "problem"), parameters.REFUSED.items())
def test_what_is_refused_is_refused_with_that_code(
    api: Api, service: str, name: str, problem: str
) -> None:
    wanted = PROBLEMS[problem]
    more = {"From": "", "MessagingServiceSid": service} if name == "FallbackFrom" else {}
    status, body = api.send(**{name: SAMPLES[name], **more})
    assert (status, body["code"]) == (wanted.status, wanted.code)


@pytest.mark.parametrize("name", [n for n in parameters.REFUSED if SAMPLES[n] == "true"])
def test_a_refused_switch_that_is_off_is_accepted(api: Api, name: str) -> None:
    assert "`false` is accepted" in support.CREATE_REFUSED[name]
    assert api.send(**{name: "false"})[0] == 201


@pytest.mark.parametrize("name", parameters.WITHOUT_EFFECT)
def test_what_has_no_effect_is_accepted_and_changes_nothing(api: Api, name: str) -> None:
    plain, given = api.sent(), api.sent(**{name: SAMPLES[name]})
    for varying in ("sid", "uri", "subresource_uris", "date_created", "date_updated"):
        del plain[varying], given[varying]
    assert given == plain


def to(api: Api) -> None:
    api.sent(To="+14155550172", Body="To Grace")
    wait_for(lambda: [t["body"] for t in api.server.screen("+14155550172")] == ["To Grace"])


def from_(api: Api) -> None:
    assert api.sent()["from"] == api.server.number
    assert api.send(From="+14155550199")[1]["code"] == 21606


def body(api: Api) -> None:
    message = api.finished(To="+14155550173", Body="x" * 161)
    assert (message["body"], message["num_segments"]) == ("x" * 161, "2")
    assert api.send(Body="x" * 1600)[0] == 201
    assert api.send(Body="x" * 1601)[1]["code"] == 21617


def status_callback(api: Api) -> None:
    receiver = Receiver()
    try:
        sid = api.sent(StatusCallback=receiver.url("/told"))["sid"]
        assert {c.form["MessageSid"] for c in receiver.wait(2)} == {sid}
    finally:
        receiver.close()


def validity_period(api: Api) -> None:
    sid = api.sent(ValidityPeriod="60")["sid"]
    ident = parse_message_sid(sid)
    assert ident is not None
    db = Database(api.server.data / "hushwire.db", readonly=True)
    (row,) = map(read_row, db.rows("messages_by_keys", f"[{ident.key}]"))
    db.close()
    assert 60_000 - 1_000 <= row.expires_ms - (row.key >> 16) <= 60_000
    for wrong in ("0", "36001", "soon"):
        assert api.send(ValidityPeriod=wrong)[1]["code"] == 21624


def smart_encoded(api: Api) -> None:
    text = "“Hello” – " + "x" * 80
    assert (api.sent(Body=text)["body"], api.sent(Body=text)["num_segments"]) == (text, "2")
    smart = api.sent(Body=text, SmartEncoded="true")
    assert (smart["body"], smart["num_segments"]) == ('"Hello" - ' + "x" * 80, "1")


def content_retention(api: Api) -> None:
    kept = api.finished(ContentRetention="retain")
    gone = api.finished(ContentRetention="discard")
    assert gone["body"] == "Hello Ada"
    api.server.advance(RECOVERY_S)
    assert (api.fetch(kept["sid"])["body"], api.fetch(gone["sid"])["body"]) == ("Hello Ada", "")
    assert api.fetch(gone["sid"])["to"] == PHONE


def address_retention(api: Api) -> None:
    kept = api.finished(AddressRetention="retain")
    gone = api.finished(AddressRetention="obfuscate")
    api.server.advance(RECOVERY_S)
    assert api.fetch(kept["sid"])["to"] == PHONE
    assert api.fetch(gone["sid"])["to"] == "+1415555XXXX"
    assert api.fetch(gone["sid"])["body"] == "Hello Ada"


def provide_feedback(api: Api) -> None:
    outcomes: list[object] = []
    for form in ({}, {"ProvideFeedback": "true"}):
        sid = api.sent(**form)["sid"]
        path = f"/hushwire/v1/accounts/{api.server.sid}/messages/{sid}/history"
        outcomes.append(api.call("GET", path)[1]["feedback"])
    assert outcomes == [None, "unconfirmed"]


def tags(api: Api) -> None:
    assert api.sent(Tags='{"campaign": "spring"}')["tags"] == {"campaign": "spring"}


def messaging_service_sid(api: Api) -> None:
    """W11: and `From=MG…` is the same."""
    sid = api.call("POST", "/v1/Services", FriendlyName="Empty")[1]["sid"]
    for form in ({"From": "", "MessagingServiceSid": sid}, {"From": sid}):
        made = api.sent(**form)
        assert (made["status"], made["messaging_service_sid"]) == ("accepted", sid)
    assert api.send(From="MG" + "0" * 32)[1]["code"] == 21701


def in_20_days(api: Api) -> str:
    now = datetime.fromisoformat(api.server.json("GET", "/sandbox/clock")[1]["now"])
    return (now + timedelta(days=20)).strftime("%Y-%m-%dT%H:%M:%SZ")


def schedule(api: Api) -> None:
    """Both parameters: neither goes without the other."""
    sid = api.call("POST", "/v1/Services", FriendlyName="Empty")[1]["sid"]
    form = {"From": "", "MessagingServiceSid": sid, "ScheduleType": "fixed"}
    form["SendAt"] = in_20_days(api)
    assert api.sent(**form)["status"] == "scheduled"
    assert api.send(**{**form, "SendAt": ""})[1]["code"] == 35111
    assert api.send(**{**form, "ScheduleType": ""})[1]["code"] == 35126


def content(api: Api) -> None:
    """ContentSid, and ContentVariables."""
    types = {"twilio/text": {"body": "Hi {{1}}"}}
    template = {"language": "en", "types": types, "variables": {"1": "you"}}
    status, made = api.server.json("POST", "/v1/Content", template)
    assert status == 201, made
    assert api.sent(ContentSid=made["sid"])["body"] == "Hi you"
    given = {"ContentSid": made["sid"], "ContentVariables": '{"1": "Ada"}'}
    assert api.sent(**given)["body"] == "Hi Ada"
    assert api.send(ContentSid="HX" + "0" * 32)[1]["code"] == 21655
    assert api.send(ContentVariables='{"1": "Ada"}')[1]["code"] == 21654


def application_sid(api: Api) -> None:
    receiver = Receiver()
    try:
        path = f"/2010-04-01/Accounts/{api.server.sid}/Applications.json"
        form = {"FriendlyName": "x", "MessageStatusCallback": receiver.url("/app")}
        made = api.call("POST", path, **form)[1]
        sid = api.sent(ApplicationSid=made["sid"])["sid"]
        assert {c.form["MessageSid"] for c in receiver.wait(2)} == {sid}
        assert api.send(ApplicationSid="AP" + "0" * 32)[1]["code"] == 21420
    finally:
        receiver.close()


def media_url(api: Api) -> None:
    with PictureHost() as host:
        made = api.sent(MediaUrl=host.url("/cat.png"))
        assert (made["sid"][:2], made["num_media"]) == ("MM", "1")
        wait_for(lambda: api.fetch(made["sid"])["status"] == "delivered")
        path = f"{api.path}/{made['sid']}/Media.json"
        (medium,) = api.call("GET", path)[1]["media_list"]
        assert medium["content_type"] == "image/png"
        assert host.asked == ["/cat.png"]


def send_as_mms(api: Api) -> None:
    made = api.sent(SendAsMms="true")
    assert (made["sid"][:2], made["num_media"]) == ("MM", "0")
    assert api.sent(SendAsMms="false")["sid"].startswith("SM")


HONOURED: dict[str, Callable[[Api], None]] = {
    "To": to, "From": from_, "Body": body, "StatusCallback": status_callback,
    "ValidityPeriod": validity_period, "SmartEncoded": smart_encoded,
    "ContentRetention": content_retention, "AddressRetention": address_retention,
    "ProvideFeedback": provide_feedback, "Tags": tags,
    "MessagingServiceSid": messaging_service_sid, "ScheduleType": schedule, "SendAt": schedule,
    "ContentSid": content, "ContentVariables": content, "ApplicationSid": application_sid,
    "MediaUrl": media_url, "SendAsMms": send_as_mms,
}  # fmt: skip


@pytest.mark.parametrize("name", parameters.HONOURED)
def test_what_is_honoured_changes_something(api: Api, name: str) -> None:
    HONOURED[name](api)


# Update and list ----------------------------------------------------------------------------


def test_update_honours_an_empty_body_and_cancels_what_is_scheduled(api: Api, service: str) -> None:
    form = {"From": "", "MessagingServiceSid": service, "ScheduleType": "fixed"}
    later = api.sent(**form, SendAt=in_20_days(api))
    status, canceled = api.call("POST", f"{api.path}/{later['sid']}.json", Status="canceled")
    assert (status, canceled["status"]) == (200, "canceled")
    path = f"{api.path}/{api.finished()['sid']}.json"
    status, refused = api.call("POST", path, Status="canceled")
    assert (status, refused["code"]) == (409, 30409)
    for form in ({"Body": "new"}, {"Body": "", "Status": "canceled"}, {}):
        assert api.call("POST", path, **form)[1]["code"] == 30400
    status, redacted = api.call("POST", path, Body="")
    assert (status, redacted["body"], redacted["to"]) == (200, "", PHONE)


def test_every_parameter_of_a_list_chooses(api: Api) -> None:
    own, phone = api.server.number, "+14155550174"
    first = api.finished(To=phone)["sid"]
    api.server.advance(2 * 86_400)
    last = api.finished(To=phone)
    second, sent = last["sid"], parsedate_to_datetime(last["date_sent"])
    inbound = api.server.json(
        "POST", f"/sandbox/phones/{phone}/messages", {"to": own, "body": "Hi"}
    )[1]["sid"]
    day, before = (str((sent - timedelta(days=n)).date()) for n in (0, 1))
    ours = {"To": phone}
    assert api.sids(**ours) == [second, first]
    chosen: dict[str, tuple[dict[str, str], list[str]]] = {
        "To": ({"To": own}, [inbound]),
        "From": ({"From": phone}, [inbound]),
        "DateSent": ({**ours, "DateSent": day}, [second]),
        "DateSent<": ({**ours, "DateSent<": before}, [first]),
        "DateSent>": ({**ours, "DateSent>": before}, [second]),
        "PageSize": ({**ours, "PageSize": "1"}, [second]),
        "Page": ({**ours, "PageSize": "1", "Page": "1"}, [first]),
    }
    for name, (query, sids) in chosen.items():
        assert api.sids(**query) == sids, name
    page = api.call("GET", f"{api.path}.json?{urlencode(chosen['PageSize'][0])}")[1]
    assert "&PageToken=" in page["next_page_uri"]
    following = api.call("GET", page["next_page_uri"])[1]
    assert [message["sid"] for message in following["messages"]] == [first]
    assert {*chosen, "PageToken"} == support.LIST_HONOURED.keys()


# Properties ---------------------------------------------------------------------------------


def test_properties_are_all_there_and_null_where_the_page_says_so(api: Api, service: str) -> None:
    facts = FACTS["components"]["schemas"]["api.v2010.account.message"]["properties"]
    assert support.PROPERTIES.keys() == facts.keys()
    api.server.behave("+14155550175", "blocked")
    by_service = api.finished(From="", MessagingServiceSid=service)
    seen = [api.sent(), api.finished(), api.finished(To="+14155550175"), by_service]
    assert all(message.keys() == facts.keys() for message in seen)
    filled = {name for message in seen for name in message if message[name] is not None}
    assert filled == {name for name, text in support.PROPERTIES.items() if text is not None}
