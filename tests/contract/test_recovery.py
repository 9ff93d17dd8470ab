"""A recovery hold of nothing: the body goes once the customer is told (D5)."""

from pathlib import Path

from harness import Receiver, RunningServer, wait_for


def test_a_discarded_body_goes_after_its_callbacks(tmp_path: Path, receiver: Receiver) -> None:
    with RunningServer(tmp_path / "data", HUSHWIRE_RECOVERY_S="0") as server:
        messages = server.client().messages
        sent = messages.create(
            to="+14155550190", from_=server.number, body="soon gone",
            content_retention="discard", status_callback=receiver.url(),
        )  # fmt: skip
        told = receiver.wait(2)
        assert [call.form["MessageStatus"] for call in told] == ["sent", "delivered"]
        server.advance(180)
        wait_for(lambda: messages(sent.sid).fetch().body == "")
        quiet = messages.create(
            to="+14155550191", from_=server.number, body="gone at once", content_retention="discard"
        )
        wait_for(lambda: messages(quiet.sid).fetch().body == "")
