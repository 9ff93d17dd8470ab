"""Messages with media: fetched, sealed, shown to the phone and to the customer, forgotten."""

import json
from collections.abc import Iterator
from datetime import datetime
from urllib.parse import urlsplit

import pytest

from harness import Receiver, RunningServer, wait_for
from picture_host import GIF, JPEG, PDF, PNG, VCARD, PictureHost
from s3 import S3
from wire_checks import FORM, assert_refused, create, fresh_phone, get, messages, post, until


@pytest.fixture(scope="module")
def host() -> Iterator[PictureHost]:
    with PictureHost() as host:
        yield host


def media_path(server: RunningServer, sid: str, more: str = ".json") -> str:
    return messages(server, sid).replace(".json", f"/Media{more}")


def bare(url: str) -> str:
    """A URL of ours as path and query."""
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def test_pictures_go_out_and_can_be_read_everywhere(
    server: RunningServer, host: PictureHost
) -> None:
    """T-12, T-14, G-19: several MediaUrl in one create, by Twilio's SDK."""
    to, client = fresh_phone(), server.client()
    urls = [host.url(path) for path in ("/cat.png", "/dog.jpg?size=1", "/wave.gif", "/me.vcf")]
    message = client.messages.create(to=to, from_=server.number, body="Look", media_url=urls)
    assert message.sid is not None
    assert message.sid.startswith("MM")
    assert (message.status, message.num_media, message.num_segments) == ("queued", "4", "1")
    until(server, message.sid, "delivered")
    fetched = message.fetch()
    assert (fetched.num_media, fetched.body, fetched.error_code) == ("4", "Look", None)

    media = client.messages(message.sid).media.list()
    assert [medium.content_type for medium in media] == [
        "image/png", "image/jpeg", "image/gif", "text/vcard",
    ]  # fmt: skip
    first = client.messages(message.sid).media(media[0].sid).fetch()
    assert first.parent_sid == message.sid
    assert first.account_sid == server.sid
    assert isinstance(first.date_created, datetime)
    assert first.uri == media_path(server, message.sid, f"/{first.sid}.json")

    (shown,) = server.screen(to)
    assert shown["body"] == "Look"
    for url, content, medium in zip(
        shown["media_urls"], (PNG, JPEG, GIF, VCARD), media, strict=True
    ):
        assert url.startswith(server.url + first.uri.rpartition("/")[0])
        status, headers, body = server.request("GET", bare(url), auth=False)
        assert (status, body) == (200, content)
        assert headers["content-type"].partition(";")[0] == medium.content_type
        assert int(headers["content-length"]) == len(content)


def test_a_picture_needs_no_text(server: RunningServer, host: PictureHost) -> None:
    """T-11: at least one of Body and MediaUrl."""
    to = fresh_phone()
    made = create(server, To=to, Body=None, MediaUrl=host.url("/cat.png"))
    assert (made["body"], made["num_media"], made["num_segments"]) == ("", "1", "1")
    until(server, made["sid"], "delivered")
    (shown,) = server.screen(to)
    assert (shown["body"], len(shown["media_urls"])) == ("", 1)
    assert_refused(post(server, {"To": to, "From": server.number}), 400, 21602)


def test_the_file_is_served_to_whom_it_may(server: RunningServer, host: PictureHost) -> None:
    """D14: by a link of ours, or with credentials; never as something a browser would run."""
    to = fresh_phone()
    sid = create(server, To=to, MediaUrl=host.url("/terms.pdf"))["sid"]
    until(server, sid, "delivered")
    (medium,) = get(server, media_path(server, sid))["media_list"]
    path = media_path(server, sid, f"/{medium['sid']}")
    status, headers, body = server.request("GET", path)
    assert (status, body) == (200, PDF)
    assert headers["content-type"] == "application/pdf"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-disposition"] == f'attachment; filename="{medium["sid"]}.pdf"'
    assert headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert headers["cache-control"] == "private, no-store"
    status, headers, body = server.request("HEAD", path)
    assert (status, body, headers["content-length"]) == (200, b"", str(len(PDF)))

    link = bare(server.screen(to)[0]["media_urls"][0])
    assert server.request("GET", link, auth=False)[2] == PDF
    other = create(server, To=fresh_phone(), MediaUrl=host.url("/cat.png"))["sid"]
    until(server, other, "delivered")
    (theirs,) = get(server, media_path(server, other))["media_list"]
    for wrong in (
        path, link.replace("Signature=", "Signature=0"), link[:-1], f"{path}?Signature=",
        link.replace("Expires=1", "Expires=2"), link.replace("Expires=", "Expires=%D9%A1"),
        link.replace(sid, other).replace(medium["sid"], theirs["sid"]),
    ):  # fmt: skip
        assert_refused(server.request("GET", wrong, auth=False), 401, 20003)
    assert_refused(server.request("GET", link.replace(sid, other), auth=False), 404, 20404)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/nothing-here.png", 11200),
        ("/gone.png", 11200),
        ("/cut.png", 11200),
        ("/gzip.png", 11200),
        ("/empty.png", 11200),
        ("/page.png", 12300),
        ("/page.html", 12300),
        ("/picture.svg", 12300),
        ("/lie.jpg", 12300),
        ("/too-large.png", 11751),
        ("/too-large.pdf", 11751),
        ("/endless.png", 11751),
    ],
)
def test_what_cannot_be_had_fails_the_message(
    server: RunningServer, host: PictureHost, receiver: Receiver, path: str, code: int
) -> None:
    """T-13, 5.7: with the message, not silently; and nothing of it is sent or kept."""
    to = fresh_phone()
    form = [
        ("To", to), ("From", server.number), ("Body", "Look"), ("StatusCallback", receiver.url()),
        ("MediaUrl", host.url("/cat.png")), ("MediaUrl", host.url(path)),
    ]  # fmt: skip
    status, _, body = post(server, form)
    assert status == 201
    sid = json.loads(body)["sid"]
    failed = until(server, sid, "failed")
    assert (failed["error_code"], failed["num_media"]) == (code, "2")
    assert failed["error_message"]
    (callback,) = receiver.wait(1)
    assert (callback.form["MessageStatus"], callback.form["ErrorCode"]) == ("failed", str(code))
    assert get(server, media_path(server, sid))["media_list"] == []
    assert server.screen(to) == []


def test_a_server_that_is_down_for_a_moment_is_asked_again(
    server: RunningServer, host: PictureHost
) -> None:
    def recovers(request: object) -> None:
        host.bad.pop("/flaky.png")
        host.files["/flaky.png"] = ("image/png", PNG)
        request.answer(503, "text/plain", b"later")  # type: ignore[attr-defined]

    host.bad["/flaky.png"] = recovers
    sid = create(server, MediaUrl=host.url("/flaky.png"))["sid"]
    until(server, sid, "delivered")


@pytest.mark.parametrize("path", ["/largest.png", "/largest.pdf", "/unnamed"])
def test_what_is_just_within_the_limits_goes(
    server: RunningServer, host: PictureHost, path: str
) -> None:
    """T-13: 5,242,880 bytes of an image pass; 500 KB of another type (C-7)."""
    to = fresh_phone()
    until(server, create(server, To=to, MediaUrl=host.url(path))["sid"], "delivered")
    link = bare(server.screen(to)[0]["media_urls"][0])
    status, _, body = server.request("GET", link, auth=False)
    assert (status, body) == (200, host.files[path][1])


def test_all_media_together_have_a_limit(server: RunningServer, host: PictureHost) -> None:
    """5.1: 5 MB a message."""
    halves = [("MediaUrl", host.url("/half.png"))] * 2
    form = [("To", fresh_phone()), ("From", server.number), *halves]
    until(server, json.loads(post(server, form)[2])["sid"], "delivered")
    form.append(("MediaUrl", host.url("/cat.png")))
    failed = until(server, json.loads(post(server, form)[2])["sid"], "failed")
    assert failed["error_code"] == 11751


def test_media_urls_are_checked_at_once(server: RunningServer, host: PictureHost) -> None:
    """T-14, W6: at most ten; each a URL of its own; none that can never be fetched."""
    form = {"To": fresh_phone(), "From": server.number, "Body": "Look"}
    eleven = [*form.items(), *[("MediaUrl", host.url(f"/{n}.png")) for n in range(11)]]
    assert_refused(post(server, eleven), 400, 21623)
    for wrong in (
        '["https://example.com/a.png","https://example.com/b.png"]', "ftp://example.com/a.png",
        "example.com/a.png", "http://169.254.169.254/latest/meta-data", "http://10.0.0.1/a.png",
        "http://[fd00::1]/a.png", "http://2130706433/a.png",
    ):  # fmt: skip
        assert_refused(post(server, {**form, "MediaUrl": wrong}), 400, 21620)


def test_a_redirect_leads_on_but_not_inward(server: RunningServer, host: PictureHost) -> None:
    """F13: every redirect goes through the guard."""
    host.redirect("/moved.png", host.url("/cat.png"))
    until(server, create(server, MediaUrl=host.url("/moved.png"))["sid"], "delivered")
    for target in ("http://169.254.169.254/cat.png", "http://10.255.255.1/cat.png", "file:///etc"):
        host.redirect("/inward.png", target)
        failed = until(server, create(server, MediaUrl=host.url("/inward.png"))["sid"], "failed")
        assert failed["error_code"] == 11200


def test_a_slow_server_holds_up_nobody_else(server: RunningServer, host: PictureHost) -> None:
    host.released.clear()
    silent = [create(server, MediaUrl=host.url("/silent.png"))["sid"] for _ in range(6)]
    with PictureHost() as other:
        until(server, create(server, MediaUrl=other.url("/cat.png"))["sid"], "delivered")
    host.released.set()
    for sid in silent:
        until(server, sid, "failed")
    host.released.clear()


def test_who_cannot_take_media_gets_links(server: RunningServer, host: PictureHost) -> None:
    """Outside the US and Canada a text with a link to each (R17)."""
    to = "+447911123456"
    for text, lines in (("Look", 3), (None, 2)):
        form = [("To", to), ("From", server.number), *([("Body", text)] if text else [])]
        form += [("MediaUrl", host.url("/cat.png")), ("MediaUrl", host.url("/dog.jpg"))]
        made = json.loads(post(server, form)[2])
        assert made["num_media"] == "2"
        assert until(server, made["sid"], "delivered")["body"] == (text or "")
        shown = server.screen(to)[0]
        assert shown["media_urls"] == []
        *before, first, second = shown["body"].split("\n")
        assert before == ([text] if text else [])
        assert len(before) + 2 == lines
        assert server.request("GET", bare(first), auth=False)[2] == PNG
        assert server.request("GET", bare(second), auth=False)[2] == JPEG


def test_sent_as_mms_a_text_is_one_segment(server: RunningServer) -> None:
    made = create(server, SendAsMms="true", Body="long " * 100)
    assert made["sid"].startswith("MM")
    assert (made["num_media"], made["num_segments"]) == ("0", "1")
    assert until(server, made["sid"], "delivered")["num_segments"] == "1"
    assert create(server, SendAsMms="false")["sid"].startswith("SM")


def test_a_medium_is_deleted_alone(server: RunningServer, host: PictureHost) -> None:
    """5.4: redacting the text leaves the media, deleting a medium leaves the rest."""
    form = [("To", fresh_phone()), ("From", server.number), ("Body", "Look")]
    form += [("MediaUrl", host.url(path)) for path in ("/cat.png", "/dog.jpg")]
    sid = json.loads(post(server, form)[2])["sid"]
    until(server, sid, "delivered")
    media = server.client().messages(sid).media.list()
    assert server.client().messages(sid).media(str(media[0].sid)).delete()
    left = get(server, media_path(server, sid))["media_list"]
    assert [medium["sid"] for medium in left] == [media[1].sid]
    for more in (".json", ""):
        gone = media_path(server, sid, f"/{media[0].sid}{more}")
        assert_refused(server.request("GET", gone), 404, 20404)
        assert_refused(server.request("DELETE", gone), 404, 20404)
    assert get(server, messages(server, sid))["num_media"] == "2", "it had two"
    assert server.request("POST", messages(server, sid), b"Body=", FORM)[0] == 200
    assert len(get(server, media_path(server, sid))["media_list"]) == 1


def test_media_go_with_their_message(
    host: PictureHost, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """5.4: DELETE of the message deletes its media; their objects go too."""
    data = tmp_path_factory.mktemp("media") / "data"
    with RunningServer(data) as server:
        sid = create(server, MediaUrl=host.url("/cat.png"))["sid"]
        assert_refused(server.request("DELETE", messages(server, sid)), 409, 20009)
        until(server, sid, "delivered")
        link = get(server, media_path(server, sid))["media_list"][0]["uri"].removesuffix(".json")
        objects = [path for path in (data / "media").rglob("*") if path.is_file()]
        assert len(objects) == 2, "one, and what tells the place"
        assert server.request("DELETE", messages(server, sid))[0] == 204
        assert_refused(server.request("GET", link), 404, 20404)
        wait_for(lambda: sum(path.is_file() for path in (data / "media").rglob("*")) == 1)


def test_discarded_media_are_forgotten_when_their_hold_ends(
    host: PictureHost, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """R16, R17, RC-5: 15 minutes after the hand-over to the US, elsewhere seven days."""
    with RunningServer(tmp_path_factory.mktemp("media") / "data") as server:
        picture = {"MediaUrl": host.url("/cat.png")}
        mms = create(server, ContentRetention="discard", **picture)["sid"]
        link = create(server, To="+447911123456", ContentRetention="discard", **picture)["sid"]
        kept = create(server, **picture)["sid"]
        sids = (mms, link, kept)
        for sid in sids:
            until(server, sid, "delivered")

        def there() -> list[int]:
            return [len(get(server, media_path(server, sid))["media_list"]) for sid in sids]

        server.advance(14 * 60)
        assert there() == [1, 1, 1]
        server.advance(2 * 60)
        assert there() == [0, 1, 1]
        server.advance(6 * 86_400)
        assert there() == [0, 1, 1]
        server.advance(2 * 86_400)
        assert there() == [0, 0, 1]


def test_a_link_ends(host: PictureHost, tmp_path_factory: pytest.TempPathFactory) -> None:
    """D14: after seven days only credentials open it; they open it as long as it is there."""
    with RunningServer(tmp_path_factory.mktemp("media") / "data") as server:
        to = fresh_phone()
        until(server, create(server, To=to, MediaUrl=host.url("/cat.png"))["sid"], "delivered")
        link = bare(server.screen(to)[0]["media_urls"][0])
        server.advance(7 * 86_400 - 60)
        assert server.request("GET", link, auth=False)[0] == 200
        server.advance(120)
        assert_refused(server.request("GET", link, auth=False), 401, 20003)
        assert server.request("GET", link)[2] == PNG


@pytest.mark.parametrize(("access", "opens"), [("public", 200), ("basic", 401)])
def test_other_kinds_of_access(
    host: PictureHost, tmp_path_factory: pytest.TempPathFactory, access: str, opens: int
) -> None:
    """D14: public as at Twilio, or with credentials only; the URL bears no signature."""
    data = tmp_path_factory.mktemp("media") / "data"
    with RunningServer(data, HUSHWIRE_MEDIA_ACCESS=access) as server:
        to = fresh_phone()
        until(server, create(server, To=to, MediaUrl=host.url("/cat.png"))["sid"], "delivered")
        url = server.screen(to)[0]["media_urls"][0]
        assert "?" not in url
        assert server.request("GET", bare(url), auth=False)[0] == opens
        assert server.request("GET", bare(url))[2] == PNG
        listed = url.rpartition("/")[0] + ".json"
        assert_refused(server.request("GET", bare(listed), auth=False), 401, 20003)


def test_a_phone_sends_pictures(
    server: RunningServer, host: PictureHost, receiver: Receiver
) -> None:
    """6.1: a Message with media, and a webhook that says where to get them."""
    number = server.client().incoming_phone_numbers.list(phone_number=server.number)[0]
    number.update(sms_url=receiver.url("/in"))
    try:
        sid = _text(server, host, "/cat.png", "/terms.pdf", body="From me")
        (webhook,) = receiver.wait(1)
    finally:
        number.update(sms_url="")
    assert sid.startswith("MM")
    form = webhook.form
    assert (form["MessageSid"], form["Body"], form["NumMedia"]) == (sid, "From me", "2")
    assert [form[f"MediaContentType{n}"] for n in (0, 1)] == ["image/png", "application/pdf"]
    for n, content in enumerate((PNG, PDF)):
        assert f"/Messages/{sid}/Media/ME" in form[f"MediaUrl{n}"]
        assert server.request("GET", bare(form[f"MediaUrl{n}"]), auth=False)[2] == content
    message = server.client().messages(sid).fetch()
    assert (message.direction, message.num_media) == ("inbound", "2")
    assert [medium.content_type for medium in message.media.list()] == [
        "image/png", "application/pdf",
    ]  # fmt: skip


def test_a_picture_comes_without_a_text(server: RunningServer, host: PictureHost) -> None:
    sid = _text(server, host, "/wave.gif")
    assert get(server, messages(server, sid))["body"] == ""
    path = media_path(server, sid)
    (medium,) = get(server, path)["media_list"]
    assert server.request("GET", medium["uri"].removesuffix(".json"))[2] == GIF
    assert server.request("DELETE", messages(server, sid))[0] == 204
    assert_refused(server.request("GET", path), 404, 20404)


@pytest.mark.parametrize("path", ["/page.png", "/too-large.png", "/nothing"])
def test_what_a_phone_cannot_send(server: RunningServer, host: PictureHost, path: str) -> None:
    before = get(server, f"{messages(server)}?PageSize=1")["messages"][0]["sid"]
    sent = {"to": server.number, "body": "", "media_urls": [host.url("/cat.png"), host.url(path)]}
    status, answer = server.json("POST", f"/sandbox/phones/{fresh_phone()}/messages", sent)
    assert (status, answer["code"]) == (400, 21620)
    assert get(server, f"{messages(server)}?PageSize=1")["messages"][0]["sid"] == before


def _text(server: RunningServer, host: PictureHost, *paths: str, body: str = "") -> str:
    """The SID of a message with pictures that a phone sends to our number."""
    sent = {"to": server.number, "body": body, "media_urls": [host.url(path) for path in paths]}
    status, answer = server.json("POST", f"/sandbox/phones/{fresh_phone()}/messages", sent)
    assert status == 201, answer
    return str(answer["sid"])


def test_a_bucket_is_as_good_as_a_folder(
    host: PictureHost, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The same through S3: sent, read, deleted; and the objects are where they were told to be."""
    with S3() as s3:
        settings = {
            "HUSHWIRE_MEDIA_URL": s3.url("tests"), "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }  # fmt: skip
        data = tmp_path_factory.mktemp("bucket") / "data"
        with RunningServer(data, **settings) as server:
            to = fresh_phone()
            sid = create(server, To=to, MediaUrl=host.url("/largest.png"))["sid"]
            until(server, sid, "delivered")
            link = bare(server.screen(to)[0]["media_urls"][0])
            assert server.request("GET", link, auth=False)[2] == host.files["/largest.png"][1]
            assert not (data / "media").exists()
        with RunningServer(data, **settings) as server:
            assert server.request("GET", link, auth=False)[0] == 200, "after a restart"
            assert server.request("DELETE", messages(server, sid))[0] == 204
            assert_refused(server.request("GET", link), 404, 20404)
        assert server.stop() == 0


def test_a_bucket_that_is_away_is_waited_for(
    host: PictureHost, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The message waits; what is read meanwhile is answered 503, and the log says what it was."""
    with S3() as s3:
        settings = {
            "HUSHWIRE_MEDIA_URL": s3.url("tests"), "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }  # fmt: skip
        data = tmp_path_factory.mktemp("bucket") / "data"
        with RunningServer(data, **settings) as server:
            sid = create(server, MediaUrl=host.url("/cat.png"))["sid"]
            until(server, sid, "delivered")
            (medium,) = get(server, media_path(server, sid))["media_list"]
            s3.stop()
            file = medium["uri"].removesuffix(".json")
            status, headers, _ = server.request("GET", file)
            assert (status, headers["retry-after"]) == (503, "5")
            waiting = create(server, MediaUrl=host.url("/cat.png"))["sid"]
            wait_for(lambda: "obstore" in server.log.read_text())
            assert get(server, messages(server, waiting))["status"] == "queued"
            assert server.request("DELETE", messages(server, sid))[0] == 204, "its key is gone"
            assert_refused(server.request("GET", file), 404, 20404)
