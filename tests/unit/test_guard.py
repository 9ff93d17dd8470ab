"""The URL guard: what is refused by its text, by its address, and after a lookup."""

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

import pytest

from hushwire.outbound import Checked, Guard
from hushwire.outbound.url import Url, parse_url

PUBLIC = "93.184.215.14"

BY_TEXT = [
    # schemes
    *[(u, "scheme") for u in (
        "", "/", "example.com", "example.com/p", "//example.com/p", "ftp://example.com/p",
        "gopher://127.0.0.1:25/_HELO", "file:///etc/passwd", "dict://127.0.0.1:11211/",
        "ldap://127.0.0.1/", "jar:http://example.com/!/", "javascript:alert(1)",
        "data:text/html,x", "ws://example.com/p", "http:/example.com/p", "http:example.com/p",
        "http//example.com/p", "unix:///var/run/docker.sock", "httpx://example.com/p",
    )],
    # characters
    *[(u, "characters") for u in (
        "http://example.com/p q", " http://example.com/p", "http://example.com/p\r\nX: y",
        "http://example.com/p\n", "http://example.com/\x00", "http://exa\tmple.com/p",
        "http://example.com/é", "http://①②⑦.⓪.⓪.①/p", "http://127。0。0。1/p",
        "http://exämple.com/p", "http://example.com/\x7f", "http://ｌocalhost/p",
        "http://example.com/?q=😀", "http://[::1%\u00a0]/p",
    )],
    # hosts
    *[(u, "host") for u in (
        "http://", "http:///p", "http://:80/p", "http://@/p", "https://?q", "https://#f",
        "http://exa_mple.com/p", "https://_dmarc.example.com/p", "http://-a.com/p",
        "http://a-.com/p", "http://a..com/p", "http://.com/p", "http://example.com./p",
        "http://127.0.0.1./p", "http://" + "a" * 64 + ".com/p", "http://" + "a." * 127 + "com/p",
        "http://127.1/p", "http://127.0.1/p", "http://2130706433/p", "http://0x7f000001/p",
        "http://0x7f.0.0.1/p", "http://0x7f.1/p", "http://0177.0.0.1/p", "http://017700000001/p",
        "http://127.0.0.01/p", "http://127.0.0.1.1/p", "http://256.0.0.1/p", "http://0/p",
        "http://0x0/p", "http://a.0x1/p", "http://1.2.3.4.5/p", "http://0x/p",
        "http://[::1/p", "http://::1/p", "http://[]/p", "http://[::1]x/p", "http://[fe80::1%25eth0]/p",
        "http://[::ffff:127.0.0.1.2]/p", "http://[1::2::3]/p", "http://[v1.x]/p",
        "http://a@b@example.com/p", "http://example.com\\@127.0.0.1/p", "http://example.com\\p",
        "http://example.com%2f@127.0.0.1:x/p", "http://exam%70le.com/p", "http://ex!ample.com/p",
        "http://example.com:8o/p", "http://example.com:/p", "http://example.com:-1/p",
        "http://example.com:+80/p", "http://example.com:80:80/p", "http://(example.com)/p",
    )],
    # ports
    *[(f"http://example.com:{p}/p", "port") for p in (
        0, 1, 22, 23, 25, 53, 110, 143, 445, 587, 993, 1023, 65536, 99999, 100000, 10**20, "080",
    )],
    # paths
    *[(u, "path") for u in (
        "https://example.com", "https://example.com?q=1", "http://example.com#f",
        "http://u:p@example.com?/a", "http://@8.8.8.8",
    )],
    # lengths
    ("https://example.com/" + "p" * 3981, "length"),
    # addresses
    *[(f"http://{h}/p", "address") for h in (
        "localhost", "LOCALHOST", "a.localhost", "127.0.0.1", "127.255.255.254", "0.0.0.0",
        "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "169.254.1.1", "169.254.169.254",
        "169.254.170.2", "168.63.129.16", "172.16.0.1", "172.31.255.255", "192.0.0.1",
        "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1",
        "203.0.113.1", "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255",
        "[::]", "[::1]", "[0:0:0:0:0:0:0:1]", "[::127.0.0.1]", "[::7f00:1]", "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]", "[::ffff:10.0.0.1]", "[::ffff:169.254.169.254]", "[::FFFF:A9FE:A9FE]",
        "[64:ff9b::127.0.0.1]", "[64:ff9b::a00:1]", "[64:ff9b::169.254.169.254]",
        "[64:ff9b:1::8.8.8.8]", "[64:ff9b:1::1]", "[2002:7f00:1::]", "[2002:a00:1::1]",
        "[2002:a9fe:a9fe::]", "[2001::1]", "[2001:0:4136:e378:8000:63bf:3fff:fdd2]", "[2001:10::1]",
        "[2001:db8::1]", "[3fff::1]", "[100::1]", "[5f00::1]", "[fc00::1]", "[fd00:ec2::254]",
        "[fd12:3456::1]", "[fe80::1]", "[fec0::1]", "[feff::1]", "[ff02::1]", "[ff0e::1]",
        "[4000::1]", "[::ffff:0:7f00:1]", "user:pass@127.0.0.1", "127.0.0.1:8080", "[::1]:8080",
        "example.com@127.0.0.1", "64:ff9b::1@[::1]",
    )],
]  # fmt: skip

FINE = [
    "http://example.com/", "https://example.com/p?q=1#rc=2", "HTTPS://EXAMPLE.com/p",
    "https://user:p%40ss@example.com/p", "https://@example.com/p", "https://example.com:443/p", "http://example.com:80/p",
    "https://example.com:8443/p", "https://example.com:65535/p", "http://8.8.8.8/p",
    "http://[2606:4700:4700::1111]/p", "http://[2606:4700:4700::1111]:8080/p",
    "http://[64:ff9b::8.8.8.8]/p", "http://[::ffff:8.8.8.8]/p", "http://xn--exmple-cua.com/p",
    "http://a/p", "http://1.com/p", "http://localhost.example.com/p", "http://1e100.net/p",
    "https://example.com/?a=%E2%82%AC&b=|^", "https://example.com/" + "p" * 3980,
    "https://example.com/@user:1/p", "https://example.com/a\\b", "https://example.com/?http://[::1]",
]  # fmt: skip


def test_the_table_is_as_long_as_promised() -> None:
    assert len({url for url, _ in BY_TEXT}) >= 160


@pytest.mark.parametrize(("url", "reason"), BY_TEXT)
def test_refused_by_its_text(url: str, reason: str) -> None:
    assert Guard(False).check_syntax(url) == reason


@pytest.mark.parametrize("url", FINE)
def test_accepted(url: str) -> None:
    assert Guard(False).check_syntax(url) is None


@pytest.mark.parametrize("host", ["localhost", "a.localhost", "127.0.0.1", "127.9.9.9", "[::1]"])
def test_loopback_is_a_switch(host: str) -> None:
    assert Guard(True).check_syntax(f"http://{host}:5000/p") is None
    assert Guard(False).check_syntax(f"http://{host}:5000/p") == "address"


@pytest.mark.parametrize("ip", ["0.0.0.0", "::", "10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"])
def test_loopback_opens_nothing_else(ip: str) -> None:
    assert not Guard(True).allowed(ip_address(ip))


def test_the_operator_opens_networks_but_never_metadata() -> None:
    guard = Guard(False, [IPv4Network("10.1.0.0/16"), IPv4Network("169.254.0.0/16"),
                          IPv6Network("fd00::/8")])  # fmt: skip
    assert guard.check_syntax("http://10.1.2.3/p") is None
    assert guard.check_syntax("http://[fd00::1]/p") is None
    assert guard.allowed(ip_address("::ffff:10.1.2.3"))
    assert guard.check_syntax("http://10.2.0.1/p") == "address"
    assert guard.check_syntax("http://169.254.169.254/p") == "address"
    assert guard.check_syntax("http://[fd00:ec2::254]/p") == "address"
    assert not guard.allowed(ip_address("::ffff:169.254.169.254"))
    assert guard.may_be_own(ip_address("10.1.2.3"))
    assert not guard.may_be_own(ip_address(PUBLIC))


def test_metadata_is_refused_inside_any_embedding() -> None:
    for ip in ("64:ff9b::168.63.129.16", "::168.63.129.16", "2002:a83f:8110::1"):
        assert not Guard(False).allowed(ip_address(ip))


def test_a_zone_is_refused() -> None:
    assert not Guard(False, [IPv6Network("fe80::/10")]).allowed(ip_address("fe80::1%eth0"))


def test_parts() -> None:
    parts = parse_url("HTTPS://us%40er:pw@Example.COM:8443/a/b?x=/?y#rc=2")
    assert parts == Url(
        "https", "example.com", 8443, "Example.COM:8443", "/a/b?x=/?y", "us%40er:pw"
    )
    assert isinstance(parts, Url)
    assert parts.text() == "https://Example.COM:8443/a/b?x=/?y"
    assert parse_url("http://[2001:DB8::1]/p?") == Url(
        "http", "2001:db8::1", 80, "[2001:DB8::1]", "/p", None
    )


class Names:
    """A resolver whose answers a test sets, and that counts what it is asked."""

    def __init__(self, *answers: Sequence[str] | OSError) -> None:
        self.answers = list(answers)
        self.asked = 0
        self.now_s = 0.0

    async def lookup(self, host: str, port: int) -> Sequence[str]:
        self.asked += 1
        await asyncio.sleep(0)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, OSError):
            raise answer
        return answer

    def guard(self) -> Guard:
        return Guard(False, lookup=self.lookup, monotonic_s=lambda: self.now_s)


def test_every_address_must_pass() -> None:
    async def resolve(*ips: str) -> object:
        return await Names(ips).guard().resolve("example.com", 80)

    assert asyncio.run(resolve(PUBLIC, "2606:4700::1", PUBLIC)) == [
        Checked(socket.AF_INET, PUBLIC),
        Checked(socket.AF_INET6, "2606:4700::1"),
    ]
    for bad in ("127.0.0.1", "10.0.0.1", "::1", "fe80::1%eth0", "64:ff9b::7f00:1", "0.0.0.0"):
        assert asyncio.run(resolve(PUBLIC, bad)) == "address"
        assert asyncio.run(resolve(bad)) == "address"
    assert asyncio.run(resolve()) == "resolve"
    assert asyncio.run(resolve("nonsense")) == "resolve"


def test_answers_are_kept_thirty_seconds_and_failures_two() -> None:
    names = Names([PUBLIC], ["127.0.0.1"], socket.gaierror(-2, "unknown"), [PUBLIC])
    guard = names.guard()

    async def main() -> None:
        assert guard.known("example.com") is None
        first = await guard.resolve("example.com", 80)
        names.now_s = 29.0
        assert await guard.resolve("example.com", 80) is first is guard.known("example.com")
        assert names.asked == 1
        names.now_s = 31.0  # the name was bound again, to an address inside
        assert guard.known("example.com") is None
        assert await guard.resolve("example.com", 80) == "address"
        names.now_s = 32.0
        assert await guard.resolve("example.com", 80) == "address"
        names.now_s = 34.0
        assert await guard.resolve("example.com", 80) == "resolve"
        names.now_s = 37.0
        assert await guard.resolve("example.com", 80) == first

    asyncio.run(main())
    assert names.asked == 4


def test_posts_to_one_name_share_a_lookup_and_survive_a_cancelled_one() -> None:
    names = Names([PUBLIC])
    guard = names.guard()

    async def main() -> None:
        tasks = [asyncio.create_task(guard.resolve("example.com", 80)) for _ in range(8)]
        await asyncio.sleep(0)
        tasks[0].cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert isinstance(done[0], asyncio.CancelledError)
        assert done[1:] == [[Checked(socket.AF_INET, PUBLIC)]] * 7

    asyncio.run(main())
    assert names.asked == 1


def test_the_cache_is_bounded() -> None:
    names = Names([PUBLIC])
    guard = names.guard()

    async def main() -> None:
        for i in range(600):
            await guard.resolve(f"h{i}.example.com", 80)
        assert guard.known("h0.example.com") is None
        assert guard.known("h599.example.com") is not None
        assert sum(guard.known(f"h{i}.example.com") is not None for i in range(600)) == 512

    asyncio.run(main())


def test_literals_and_bad_hosts_never_reach_the_resolver() -> None:
    names = Names([PUBLIC])
    guard = names.guard()

    async def main() -> None:
        assert await guard.resolve("8.8.8.8", 80) == [Checked(socket.AF_INET, "8.8.8.8")]
        assert await guard.resolve("127.0.0.1", 80) == "address"
        assert await guard.resolve("0x7f000001", 80) == "host"
        assert await guard.resolve("127.1", 80) == "host"

    asyncio.run(main())
    assert names.asked == 0


def test_the_system_resolver_is_asked_for_names() -> None:
    async def main() -> None:
        assert await Guard(False).resolve("localhost", 80) == "address"
        found = await Guard(True).resolve("localhost", 80)
        assert isinstance(found, list)
        assert {address.ip for address in found} <= {"127.0.0.1", "::1"}

    asyncio.run(main())
