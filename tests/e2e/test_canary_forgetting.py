"""An account that has everything forgotten: canaries go in by every way, and nothing is left.

While its messages live they are found nowhere in clear, and when the last hold is over not even
with root key, vault, database and backups in hand (F17). Then keys: of one that was destroyed,
or wrapped anew, no file has its 48 bytes any more.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from canary_forgetting import ON, Forgetting
from canary_plants import answers, nobody
from canary_search import Canaries, Hit
from canary_settings import Around
from canary_watch import FOLDERS, Watch
from key_images import keys_of, media_keys, wrapped_keys
from promise_checker import check_keys
from real_process import FORM, Process
from seized import Seized

from harness import Receiver, wait_for
from keeping_rig import run

DAY = 86_400
WAYS_MIN = 100


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    watch = Watch(tmp_path)
    yield watch
    watch.close()


@pytest.fixture
def own(watch: Watch) -> Iterator[Forgetting]:
    """The account's traffic."""
    receiver = Receiver(lambda callback: answers(callback.path))
    forgetting = Forgetting(watch.server, watch.canaries, receiver)
    yield forgetting
    forgetting.close()
    receiver.close()


def test_nothing_is_left_of_an_account_that_forgets(
    watch: Watch, own: Forgetting, tmp_path: Path
) -> None:
    """R2, R3, R8, R10, R16 to R18, R25 to R29; section 7: with everything that Twilio asks to
    switch off."""
    server, around = watch.server, Around(own)
    live(watch, own, around)
    kept = own.send("kept", ContentRetention="retain", AddressRetention="retain")
    wanted = [v.encode() for k, v in own.canaries.planted.items() if not k.startswith("kept")]
    lifts = around.hold()
    own.settle()
    assert found(watch, around) == [], "while they live"
    before = watch.back_up()
    with Process(restored(watch, before, tmp_path / "before")) as past:
        page = past.request("GET", f"{past.messages_path}?PageSize=1000")[2]
        assert sum(value in page for value in wanted) > 50, "it was there to be forgotten"

    around.rotate()
    assert found(watch, around) == [], "after every key was wrapped anew"
    server.advance(8 * DAY)  # past the longest hold, and the days of the backup
    held = {own.sids["out blocked"], own.sids["out silent"]}
    wait_for(lambda: own.is_forgotten({kept}))
    with_keys = {sid for sid, keys in keys_of(server.data, held).items() if any(keys)}
    assert with_keys == held, "they are withheld, and their keys live"
    for path in lifts:
        assert server.json("POST", path)[0] == 200
    rest = own.messages().keys() - {kept}
    wait_for(lambda: not any(map(any, keys_of(server.data, rest).values())))
    wait_for(lambda: media_keys(server.data) == set())
    after = watch.back_up()
    assert found(watch, around) == [], "after it was forgotten"
    assert server.stop() == 0
    assert found(watch, around) == [], "after the stop"

    still = {own.canaries.planted[f"kept: {part}"].encode() for part in ("body", "to")}
    assert opened(server.data, [*wanted, *still]) == still, "the reader reads what is retained"
    assert opened(restored(watch, after, tmp_path / "after"), [*wanted, *still]) == still
    assert "destroyed" in refused(watch, before, tmp_path / "late"), "the key of that backup"
    assert opened(beside(server.data, before, tmp_path / "beside"), wanted) == set()
    check_keys(server.data)


def live(watch: Watch, own: Forgetting, around: Around) -> None:
    """All traffic there is, in three lives, one for each policy of webhooks by GET."""
    server = watch.server
    for policy in ("warn", "post", "thin"):
        server.settings["HUSHWIRE_GET_WEBHOOKS"] = policy
        server.start()
        if policy == "warn":
            own.switch_on()
        own.by_get(policy)
        if policy != "thin":
            assert server.stop() == 0
    own.services()
    own.outbound()
    around.set_up()
    own.inbound()
    around.follow()
    around.reveal()
    around.look()
    around.redeliver()
    around.wrong()
    assert len(own.canaries.ways() | own.settings.ways()) >= WAYS_MIN


def found(watch: Watch, around: Around) -> list[Hit]:
    """What is anywhere in clear; names of accounts and keys may be in a database."""
    named = [hit for hit in watch.sweep(around.names) if "hushwire.db" not in hit.place]
    return [*watch.sweep(), *watch.sweep(around.own.settings), *named]


def opened(data: Path, wanted: list[bytes]) -> set[bytes]:
    """What of it can be read by whoever holds all that is there."""
    return {value for value, places in Seized(data).where(*wanted).items() if places}


def restored(watch: Watch, backup: Path, into: Path) -> Path:
    """A backup with its vault, as a machine of its own."""
    code, said = restore(watch, backup, into)
    assert code == 0, said
    return into


def refused(watch: Watch, backup: Path, into: Path) -> str:
    """Why it cannot be restored."""
    code, said = restore(watch, backup, into)
    assert code != 0
    return said


def restore(watch: Watch, backup: Path, into: Path) -> tuple[int, str]:
    """Exit code, and what was said; the root key comes from elsewhere."""
    into.mkdir()
    shutil.copy(watch.server.data / "root.key", into / "root.key")
    settings = {k: v for k, v in watch.settings.items() if k != "HUSHWIRE_VAULT_COPY"}
    code, _, said = run("restore", backup, "--into", into, **settings)
    return code, said


def beside(data: Path, backup: Path, into: Path) -> Path:
    """The old database and media with all the keys there are."""
    shutil.copytree(data / "vault", into / "vault")
    for path in (data / "root.key", backup / "hushwire.db"):
        shutil.copy(path, into / path.name)
    if (backup / "media").is_dir():
        shutil.copytree(backup / "media", into / "media")
    return into


# Keys -------------------------------------------------------------------------------------


def test_a_destroyed_key_is_in_no_file(watch: Watch, own: Forgetting) -> None:
    """Redacted, deleted, forgotten by rule, expired, wrapped anew: where it was, and its copy."""
    with watch.server as server:
        for label in ("redacted", "deleted", "expired", "kept"):
            own.send(label)
        own.send("rule", ContentRetention="discard", AddressRetention="obfuscate")
        own.picture("picture", ContentRetention="discard", AddressRetention="retain")
        wait_for(lambda: {m["status"] for m in own.messages().values()} == {"delivered"})
        references = keys_of(server.data, own.sids.values())
        images = recorded(server.data / "vault", own.sids, references)
        (medium,) = media_keys(server.data)
        images.key("picture: medium", wrapped_keys(server.data / "vault")[medium])
        every = {*images_of(own.sids), "picture: medium"}
        seen = watch.sweep(images)
        assert {Path(hit.place).parent.name for hit in seen} == {"vault", "copy"}, "where they live"
        assert len(seen) == 2 * len(every)
        watch.back_up()
        assert len(watch.sweep(images)) == len(seen), "in a backup they are sealed again"
        images.key("root", (server.data / "root.key").read_bytes())

        path = server.message_path(own.sids["redacted"])
        assert server.request("POST", path, b"Body=", FORM)[0] == 200
        assert server.request("DELETE", server.message_path(own.sids["deleted"]))[0] == 204
        gone = {"redacted: content", "deleted: content", "deleted: address"}
        assert labels(watch, images).isdisjoint(gone)
        server.advance(7 * 3_600)
        wait_for(lambda: own.messages()[own.sids["rule"]]["body"] == "")
        wait_for(lambda: media_keys(server.data) == set())
        gone |= {"rule: content", "rule: address", "picture: content", "picture: medium"}
        assert labels(watch, images) == {*every, "root"} - gone
        around = Around(own)
        path = f"{around.ours}/retention"
        assert server.json("PATCH", path, {"body_days": 1})[0] == 200
        server.advance(25 * 3_600)
        wait_for(lambda: own.messages()[own.sids["expired"]]["body"] == "")
        left = {f"{label}: address" for label in ("redacted", "expired", "kept", "picture")}
        assert labels(watch, images) == {*left, "root"}
        around.rotate()
        assert labels(watch, images) == set(), "the keys live, wrapped anew"
        to = f"+{own.canaries.planted['kept: to']}"
        assert own.messages()[own.sids["kept"]]["to"] == to
        watch.back_up()
        assert server.stop() == 0
    assert labels(watch, images) == set()
    check_keys(watch.server.data)


def recorded(
    vault: Path, sids: dict[str, str], references: dict[str, tuple[int | None, int | None]]
) -> Canaries:
    """The keys of these messages, as they lie in the vault now."""
    images, found = Canaries(), wrapped_keys(vault)
    for label, sid in sids.items():
        for part, reference in zip(("content", "address"), references[sid], strict=True):
            assert reference is not None
            images.key(f"{label}: {part}", found[reference])
    return images


def images_of(sids: dict[str, str]) -> Iterator[str]:
    for label in sids:
        yield from (f"{label}: content", f"{label}: address")


def labels(watch: Watch, images: Canaries) -> set[str]:
    """Which of them are still in some file."""
    return {hit.label for hit in watch.sweep(images)}


# Positive control ---------------------------------------------------------------------------


def test_a_leak_in_any_place_is_found(watch: Watch) -> None:
    """Of every class: data, log, metrics, backup, copy, keys, temporary and current directory,
    the environment of the process."""
    for folder in FOLDERS:
        watch.folders[folder].mkdir(exist_ok=True)
        leak = watch.canaries.text(folder)
        (watch.folders[folder] / "below").mkdir()
        (watch.folders[folder] / "below" / "leak").write_text(f"... {leak} ...")
    watch.server.settings["LEAK"] = watch.canaries.text("environment")
    with watch.server as server:
        assert server.json("PUT", f"/hushwire/v1/accounts/{server.sid}/privacy", ON)[0] == 200
        # A SID may be logged, a metric has its name: what is written there is read.
        callback = quote(f"{nobody()}/#rc=0", safe="").encode()
        watch.canaries.secret("line", server.sent(b"&StatusCallback=" + callback))
        watch.canaries.secret("metrics", "hushwire_queue_size")
        wait_for(
            lambda: str(server.log) in {hit.place for hit in watch.sweep() if hit.label == "line"}
        )
        backup = watch.back_up()
        watch.canaries.secret("backup", '"policy": "7d"')
        hits = watch.sweep()
    seen = {(hit.label, hit.place) for hit in hits}
    leaks = {(name, str(watch.folders[name] / "below" / "leak")) for name in FOLDERS}
    others = {
        ("line", str(server.log)), ("metrics", "/metrics"),
        ("backup", str(backup / "manifest.json")), ("environment", "/proc/…/environ"),
    }  # fmt: skip
    # The environment is not shown to who is not root: just as well.
    assert (leaks | others) - seen <= {("environment", "/proc/…/environ")}
