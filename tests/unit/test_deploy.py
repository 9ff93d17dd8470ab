"""The files of `deploy/` say what is so: of the server, of each other, of this repository."""

import fnmatch
import json
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from hushwire.assemble import DRAIN_S, EXIT_TRY_LATER
from hushwire.serve import CONNECTIONS_MAX
from hushwire.settings import Settings, load

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SERVICE = DEPLOY / "hushwire.service"
CADDYFILE = (DEPLOY / "Caddyfile").read_text()
INSIDE = ("/healthz", "/readyz", "/metrics", "/sandbox")


# The system service -----------------------------------------------------------------------


def service() -> dict[str, list[str]]:
    """The keys of [Service], each with its values in order."""
    found: dict[str, list[str]] = {}
    section = ""
    for line in SERVICE.read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif section == "Service" and line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


def test_the_service_knows_the_exit_codes() -> None:
    """0 is no failure; 75 and a crash start again; 2 and 78 do not."""
    unit = service()
    assert unit["Restart"] == ["on-failure"]
    prevented = unit["RestartPreventExitStatus"][0].split()
    assert set(prevented) == {"2", "78"}
    assert str(EXIT_TRY_LATER) not in prevented


def test_the_service_waits_for_the_drain_and_has_room_for_the_connections() -> None:
    unit = service()
    assert int(unit["TimeoutStopSec"][0]) > 3 * DRAIN_S  # requests, hand-overs, callbacks
    assert unit["KillSignal"] == ["SIGTERM"]
    assert int(unit["LimitNOFILE"][0]) > 2 * CONNECTIONS_MAX


def test_the_service_runs_what_there_is() -> None:
    command = service()["ExecStart"][0].split()
    data = command[command.index("--data") + 1]
    assert data == "/var/lib/" + service()["StateDirectory"][0]
    assert command[:2] == ["/opt/hushwire/.venv/bin/hushwire", "up"]
    said = subprocess.run(
        [sys.executable, "-m", "hushwire", "up", "--help"],
        capture_output=True, text=True, timeout=60, check=True,
    ).stdout  # fmt: skip
    assert all(word in said for word in command if word.startswith("--"))


def test_the_service_gives_up_what_it_does_not_need() -> None:
    unit = service()
    given_up = {
        "CapabilityBoundingSet": "", "AmbientCapabilities": "", "LimitCORE": "0",
        "LockPersonality": "yes", "MemoryDenyWriteExecute": "yes", "MemorySwapMax": "0",
        "NoNewPrivileges": "yes", "PrivateTmp": "yes", "ProtectHome": "yes",
        "ProtectSystem": "strict", "StateDirectoryMode": "0700", "UMask": "0077",
    }  # fmt: skip
    assert {key: unit[key] for key in given_up} == {key: [v] for key, v in given_up.items()}
    assert unit["User"] not in ([], ["root"])
    assert "ProcSubset" not in unit, "dispatch/wire_log.py reads the boot's id in /proc/sys"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="NOT TESTED: no systemd here")
def test_systemd_understands_the_service(tmp_path: Path) -> None:
    """With a command and a user that are on this machine, it finds nothing to say."""
    text = SERVICE.read_text().replace("/opt/hushwire/.venv/bin/hushwire", sys.executable)
    unit = tmp_path / "hushwire.service"
    unit.write_text(re.sub(r"^(User|Group)=.*$", r"\1=daemon", text, flags=re.M))
    found = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    ours = [line for line in found.stderr.splitlines() if "hushwire" in line]
    assert (found.returncode, ours) == (0, []), found.stderr
    unit.write_text(text.replace("ProtectClock=", "ProtectClok="))
    found = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", unit],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert "ProtectClok" in found.stderr, "the positive control"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="NOT TESTED: no systemd here")
def test_systemd_finds_the_service_little_exposed() -> None:
    """1.2 of 10, in systemd 252; what is left is that it has a network."""
    found = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=20", SERVICE],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    if "unrecognized option" in found.stderr:
        pytest.skip("NOT TESTED: this systemd-analyze cannot look at files")
    assert found.returncode == 0, found.stdout


# The image --------------------------------------------------------------------------------


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile as (INSTRUCTION, rest), lines joined."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.M)
    joined = re.sub(r"\s*\\\n\s*", " ", text)
    lines = [line.strip().partition(" ") for line in joined.splitlines() if line.strip()]
    return [(word, rest.strip()) for word, _, rest in lines]


def stages() -> list[list[tuple[str, str]]]:
    found: list[list[tuple[str, str]]] = []
    for word, rest in instructions():
        if word == "FROM":
            found.append([])
        if found:
            found[-1].append((word, rest))
    return found


def environment() -> dict[str, str]:
    """What the image sets in the environment of the server."""
    pairs = [pair for word, rest in stages()[-1] if word == "ENV" for pair in rest.split()]
    return dict(pair.split("=", 1) for pair in pairs)


def only(word: str) -> str:
    (rest,) = [rest for name, rest in stages()[-1] if name == word]
    return rest


def test_the_image_runs_as_nobody_special() -> None:
    """By number, so that a platform can tell; and it is the last word on it."""
    user, _, group = only("USER").partition(":")
    assert int(user) > 1000
    assert int(group) > 1000
    assert any(f"--uid {user} " in rest for word, rest in stages()[-1] if word == "RUN")
    after = [word for word, _ in stages()[-1]]
    assert not {"RUN", "COPY", "ADD"} & set(after[after.index("USER") :])


def test_every_package_of_the_image_is_locked_and_hashed() -> None:
    runs = [rest for stage in stages() for word, rest in stage if word == "RUN"]
    installs = [part for rest in runs for part in rest.split("&&") if "pip install" in part]
    assert len(installs) == 2
    for part in installs:
        assert "--require-hashes" in part or {"--no-deps", "--no-index"} <= set(part.split()), part
    assert "requirements.lock" in installs[0]
    lock = (ROOT / "requirements.lock").read_text()
    names = re.findall(r"^([a-z0-9-]+)==", lock, re.M)
    assert len(names) == lock.count("==")
    assert all("--hash=sha256:" in block for block in re.split(r"\n(?=[a-z])", lock.strip()))
    assert not re.search(r"\b(curl|wget|apt-get|ADD http)\b", (DEPLOY / "Dockerfile").read_text())


def ignored(path: str) -> bool:
    """Is a path of the repository left out of the build, by the last rule that fits?"""
    left_out = False
    for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines():
        rule = line.strip()
        if not rule or rule.startswith("#"):
            continue
        pattern = rule.removeprefix("!").removeprefix("**/")
        parts = path.split("/")
        whole = "**/" in rule
        fits = any(fnmatch.fnmatch(p, pattern) for p in (parts if whole else parts[:1]))
        if fits:
            left_out = not rule.startswith("!")
    return left_out


def copied() -> list[str]:
    """What the image copies of the repository."""
    rests = [rest for stage in stages() for word, rest in stage if word == "COPY"]
    return [source for rest in rests if "--from=" not in rest for source in rest.split()[:-1]]


def test_what_the_image_copies_is_there_and_nothing_else_goes_in() -> None:
    assert set(copied()) == {"requirements.lock", "pyproject.toml", "README.md", "LICENSE", "src"}
    for source in copied():
        assert (ROOT / source).exists(), source
        assert not ignored(source), source
    for path in (".git/config", ".venv/bin/python", "hushwire-data/root.key", "tests/harness.py",
                 "src/hushwire/__pycache__/x.pyc", "src/hushwire.egg-info/PKG-INFO"):  # fmt: skip
        assert ignored(path), path
    assert not ignored("src/hushwire/store/migrations/0001_foundation.sql")


def test_the_package_is_whole_with_only_that(tmp_path: Path) -> None:
    """The image's second step, with the same options, on the same files."""
    for source in copied():
        there, here = ROOT / source, tmp_path / "build" / source
        here.parent.mkdir(exist_ok=True)
        if there.is_dir():
            shutil.copytree(there, here, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(there, here)
    done = subprocess.run(
        [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--no-deps",
         "--no-build-isolation", "--no-index", "--no-compile", "--target", tmp_path / "made", "."],
        cwd=tmp_path / "build", capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    source, made = tmp_path / "build" / "src" / "hushwire", tmp_path / "made" / "hushwire"
    wanted = {str(path.relative_to(source)) for path in source.rglob("*") if path.is_file()}
    assert {str(path.relative_to(made)) for path in made.rglob("*") if path.is_file()} == wanted
    assert (tmp_path / "made" / "bin" / "hushwire").exists()


def test_the_image_keeps_its_data_in_a_volume_and_stops_as_the_server_does() -> None:
    assert only("VOLUME") == environment()["HUSHWIRE_DATA"] == only("WORKDIR")
    assert only("STOPSIGNAL") == "SIGTERM"
    assert json.loads(only("ENTRYPOINT") + "\n") == ["/opt/hushwire/bin/hushwire"]
    assert json.loads(only("CMD")) == ["up"]
    assert only("EXPOSE") == environment()["HUSHWIRE_PORT"]
    assert environment()["PYTHONDONTWRITEBYTECODE"] == "1"
    settings = load({}, environment())
    assert (str(settings.data), settings.host) == ("/var/lib/hushwire", "0.0.0.0")
    made = [rest for word, rest in stages()[-1] if word == "RUN"]
    assert any("--mode 0700 /var/lib/hushwire" in rest for rest in made)


@pytest.fixture
def health() -> Iterator[tuple[int, list[int]]]:
    """A server whose /healthz answers the status that is in the list."""
    status = [200]

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status[0] if self.path == "/healthz" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield server.server_port, status
    server.shutdown()
    server.server_close()


def test_the_health_check_tells_life_from_death(health: tuple[int, list[int]]) -> None:
    port, status = health
    command = json.loads(only("HEALTHCHECK").partition("CMD ")[2])
    assert command[0] == "/opt/hushwire/bin/python"

    def exit_code(port: int) -> int:
        return subprocess.run(
            [sys.executable, *command[1:]], env={"HUSHWIRE_PORT": str(port)},
            capture_output=True, timeout=30, check=False,
        ).returncode  # fmt: skip

    assert exit_code(port) == 0
    status[0] = 503
    assert exit_code(port) == 1
    assert exit_code(1) == 1


def docker(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["docker", *map(str, arguments)], capture_output=True, text=True, timeout=110, check=False
    )


@pytest.mark.skipif(shutil.which("docker") is None, reason="NOT TESTED: no docker here")
def test_docker_builds_the_image() -> None:
    if docker("info").returncode != 0:
        pytest.skip("NOT TESTED: no docker daemon here")
    built = docker("build", "--quiet", "--file", DEPLOY / "Dockerfile", ROOT)
    assert built.returncode == 0, built.stderr
    image = built.stdout.strip()
    shown = docker("run", "--rm", "--read-only", "--cap-drop=ALL", image, "settings", "--json")
    assert shown.returncode == 0, shown.stderr
    assert "/var/lib/hushwire" in shown.stdout


# Containers together ----------------------------------------------------------------------


COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVER: dict[str, Any] = COMPOSE["services"]["hushwire"]
PROXY: dict[str, Any] = COMPOSE["services"]["proxy"]


def bytes_of(size: str) -> int:
    return int(size[:-1]) << {"k": 10, "m": 20, "g": 30}[size[-1]]


@pytest.mark.parametrize("name", sorted(COMPOSE["services"]))
def test_each_container_is_confined(name: str) -> None:
    container = COMPOSE["services"][name]
    assert container["read_only"] is True
    assert container["cap_drop"] == ["ALL"]
    assert container.get("cap_add", []) == (["NET_BIND_SERVICE"] if name == "proxy" else [])
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert container["ulimits"]["core"] == 0
    assert container["pids_limit"] <= 128
    assert bytes_of(container["mem_limit"]) <= 1 << 30
    assert not {"privileged", "pid", "network_mode", "devices"} & container.keys()


def test_the_server_is_reached_through_the_proxy_only() -> None:
    assert "ports" not in SERVER
    assert SERVER["memswap_limit"] == SERVER["mem_limit"], "no swap: keys are in its memory"
    assert SERVER["ulimits"]["nofile"] > 2 * CONNECTIONS_MAX
    assert PROXY["ports"] == ["80:80", "443:443"]
    assert PROXY["depends_on"]["hushwire"]["condition"] == "service_healthy"
    assert "healthcheck" not in SERVER, "the image's own"
    assert int(SERVER["stop_grace_period"].removesuffix("s")) > 3 * DRAIN_S


def test_the_server_believes_the_proxy_and_nobody_else() -> None:
    (subnet,) = [c["subnet"] for c in COMPOSE["networks"]["front"]["ipam"]["config"]]
    proxy, server = (c["networks"]["front"]["ipv4_address"] for c in (PROXY, SERVER))
    assert ip_address(proxy) in ip_network(subnet)
    assert ip_address(server) in ip_network(subnet)
    given = {**SERVER["environment"], "HUSHWIRE_PUBLIC_URL": "https://sms.example.com"}
    assert {name.removeprefix("HUSHWIRE_").lower() for name in given} <= {
        *Settings.__struct_fields__
    }
    settings = load({}, given)
    assert [str(network) for network in settings.trusted_proxies] == [f"{proxy}/32"]
    assert SERVER["environment"]["HUSHWIRE_PUBLIC_URL"].startswith("https://${HUSHWIRE_DOMAIN:?")


def test_the_containers_use_what_there_is() -> None:
    build = SERVER["build"]
    context = (DEPLOY / build["context"]).resolve()
    assert context == ROOT
    assert (context / build["dockerfile"]).exists()
    assert PROXY["environment"]["HUSHWIRE_UPSTREAM"] == "hushwire:" + environment()["HUSHWIRE_PORT"]
    assert re.fullmatch(r"caddy:\d+\.\d+-alpine", PROXY["image"])
    volumes = dict(volume.split(":", 1) for volume in (*SERVER["volumes"], *PROXY["volumes"]))
    assert (DEPLOY / "Caddyfile").exists()
    assert volumes["./Caddyfile"] == "/etc/caddy/Caddyfile:ro"
    assert {name for name in volumes if not name.startswith(".")} == set(COMPOSE["volumes"])
    assert volumes["data"] == environment()["HUSHWIRE_DATA"]


@pytest.mark.skipif(shutil.which("docker") is None, reason="NOT TESTED: no docker here")
def test_compose_understands_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    if docker("compose", "version").returncode != 0:
        pytest.skip("NOT TESTED: no docker compose here")
    monkeypatch.setenv("HUSHWIRE_DOMAIN", "sms.example.com")
    checked = docker("compose", "--file", DEPLOY / "compose.yaml", "config", "--quiet")
    assert checked.returncode == 0, checked.stderr


# The proxy --------------------------------------------------------------------------------


def test_the_proxy_keeps_the_operators_part_inside() -> None:
    (inside,) = re.findall(r"@inside path (.*)", CADDYFILE)
    assert "respond @inside 404" in CADDYFILE
    for path in INSIDE:
        assert any(fnmatch.fnmatch(path, pattern) for pattern in inside.split()), path
    assert any(fnmatch.fnmatch("/sandbox/clock", pattern) for pattern in inside.split())
    open_ = ("/2010-04-01/Accounts/AC/Messages.json", "/hushwire/v1/accounts/AC/tail", "/v1/x")
    for path in open_:
        assert not any(fnmatch.fnmatch(path, pattern) for pattern in inside.split()), path


def test_the_proxy_is_set_up_by_what_compose_gives_it() -> None:
    names = set(re.findall(r"\{\$(\w+)", CADDYFILE))
    assert names == set(PROXY["environment"])
    assert CADDYFILE.count("{") == CADDYFILE.count("}")


@pytest.mark.skipif(shutil.which("caddy") is None, reason="NOT TESTED: no caddy here")
def test_caddy_understands_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUSHWIRE_DOMAIN", "sms.example.com")
    command = ["caddy", "validate", "--adapter", "caddyfile", "--config", DEPLOY / "Caddyfile"]
    found = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert found.returncode == 0, found.stderr
