"""A command's connection to a server: whose account, where, and HTTP to it.

What the server refuses becomes an exit code with one sentence: credentials 78, nobody there or
too busy 75, everything else 1 with Twilio's code and text.
"""

import json
import os
import ssl
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click
import httpx
import msgspec
from msgspec import Struct

from hushwire import __version__
from hushwire.cli.exits import Configuration, Failed, TryLater
from hushwire.private import Private
from hushwire.settings import Settings

PAGE_SIZE_MAX: Final = 1000
_TIMEOUT_S: Final = 30.0
_VARIABLES: Final = ("HUSHWIRE_URL", "HUSHWIRE_ACCOUNT_SID", "HUSHWIRE_AUTH_TOKEN")
_LOOPBACK: Final = ("all://127.0.0.1", "all://localhost", "all://[::1]")

Record = dict[str, Any]  # a resource as the API shows it

data_option = click.option(
    "--data", metavar="DIR", help="Read DIR/credentials.json instead of HUSHWIRE_URL and its kin"
)
json_option = click.option("--json", "as_json", is_flag=True, help="JSON instead of a table")


class Credentials(Struct, frozen=True):
    """Where the server is, and who asks."""

    url: str
    account_sid: str
    auth_token: Private
    source: str  # where they come from, in words


def find_credentials(data: str | None, environ: Mapping[str, str]) -> Credentials:
    """From the flag's directory, else from the environment, else from the default directory.

    Raises Configuration with the cure.
    """
    if data is None and environ.get(_VARIABLES[0]):
        missing = [name for name in _VARIABLES if not environ.get(name)]
        if missing:
            raise Configuration(f"HUSHWIRE_URL is set, but not {' and '.join(missing)}: set all")
        url, sid, token = (environ[name] for name in _VARIABLES)
        return Credentials(url.rstrip("/"), sid, Private(token), "the environment")
    path = Path(data or environ.get("HUSHWIRE_DATA") or Settings().data) / "credentials.json"
    try:
        kept = json.loads(path.read_bytes())
        url, sid, token = kept["url"], kept["account_sid"], kept["auth_token"]
    except OSError as error:
        raise Configuration(
            f"{path} cannot be read ({error.strerror}): start `hushwire up` here, give its "
            f"directory with --data, or set {', '.join(_VARIABLES)}"
        ) from None
    except (ValueError, KeyError, TypeError):
        raise Configuration(f"{path} is damaged: the next start of the server writes it") from None
    return Credentials(url.rstrip("/"), sid, Private(token), str(path))


class Connection:
    """One account on one server. Answers are JSON objects as the API has them."""

    def __init__(self, credentials: Credentials) -> None:
        self.account_sid = credentials.account_sid
        self._credentials = credentials
        self._http = httpx.Client(
            auth=(credentials.account_sid, credentials.auth_token.reveal()),
            timeout=_TIMEOUT_S,
            headers={"User-Agent": f"hushwire/{__version__}", "Accept": "application/json"},
            mounts=dict.fromkeys(_LOOPBACK),  # this machine is not asked for by way of a proxy
        )

    def close(self) -> None:
        self._http.close()

    def get(self, path: str, **query: str) -> Record:
        """`path` of the account in Twilio's 2010 API, such as `/Messages.json`."""
        return self._ask("GET", self.account(path), query=query)

    def post(self, path: str, **form: str) -> Record:
        return self._ask("POST", self.account(path), form=form)

    def post_json(self, path: str, content: Mapping[str, object]) -> Record:
        """POST to `path`, from the root."""
        return self._ask("POST", path, content=content)

    def put_json(self, path: str, content: Mapping[str, object]) -> Record:
        """PUT to `path`, from the root."""
        return self._ask("PUT", path, content=content)

    def delete(self, path: str) -> None:
        self._ask("DELETE", self.account(path))

    def pages(self, path: str, key: str, limit: int, query: Mapping[str, str]) -> Iterator[Record]:
        """The first `limit` records of a list, page after page. `path` is from the root."""
        size = str(min(limit, PAGE_SIZE_MAX))
        page = self._ask("GET", path, query={**query, "PageSize": size})
        while True:
            for record in page[key]:
                yield record
                limit -= 1
                if not limit:
                    return
            if not page["next_page_uri"]:
                return
            page = self._ask("GET", page["next_page_uri"])

    def account(self, path: str) -> str:
        return f"/2010-04-01/Accounts/{self.account_sid}{path}"

    def ask(self, path: str) -> Record:
        """GET `path`, from the root."""
        return self._ask("GET", path)

    @contextmanager
    def lines(self, path: str, silence_s: float) -> Generator[Iterator[str]]:
        """The lines of an answer that goes on, as they come; TryLater after `silence_s` of none."""
        timeout = httpx.Timeout(_TIMEOUT_S, read=silence_s)
        with self._errors(), self._http.stream("GET", self._url(path), timeout=timeout) as answer:
            if answer.status_code != 200:
                answer.read()
                self._refuse(answer)
            yield answer.iter_lines()

    def _ask(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None, content: Mapping[str, object] | None = None,
    ) -> Record:  # fmt: skip
        with self._errors():
            answer = self._http.request(
                method, self._url(path), params=query or None, data=form, json=content
            )
        if answer.status_code >= 300:
            self._refuse(answer)
        return _record(answer)

    def _url(self, path: str) -> str:
        return self._credentials.url + path

    @contextmanager
    def _errors(self) -> Generator[None]:
        url = self._credentials.url
        try:
            yield
        except (httpx.InvalidURL, httpx.UnsupportedProtocol):
            raise Configuration(
                f"{self._credentials.source} has a URL that is none: it needs http:// or https://, "
                "a host, and perhaps a port"
            ) from None
        except httpx.TransportError as error:
            if _is_untrusted(error):
                raise Configuration(
                    f"{url} cannot be trusted: name the file with its certificate in SSL_CERT_FILE"
                ) from None
            raise TryLater(
                f"no answer from {url}, which comes from {self._credentials.source}: start the "
                "server (`hushwire up`) or correct the URL"
            ) from None

    def _refuse(self, answer: httpx.Response) -> None:
        """Raise what the answer means."""
        problem = _record(answer)
        code = problem.get("code", f"HTTP {answer.status_code}")
        text = f"{problem.get('message', 'no answer of the API').rstrip('.')} ({code})"
        if answer.status_code == 401:
            raise Configuration(
                f"{text}: the server does not take the credentials of {self._credentials.source}; "
                "use the account SID and token in the credentials.json of its data directory"
            )
        if answer.status_code in (429, 503):
            raise TryLater(text)
        raise Failed(text)


def _is_untrusted(error: BaseException) -> bool:
    """Was it the certificate? httpx wraps what happened, and hides it (`from None`)."""
    reason: BaseException | None = error
    while reason is not None:
        if isinstance(reason, ssl.SSLCertVerificationError):
            return True
        reason = reason.__cause__ or reason.__context__
    return False


@contextmanager
def connect(data: str | None) -> Generator[Connection]:
    """The connection that `--data`, the environment or the default directory names."""
    connection = Connection(find_credentials(data, os.environ))
    try:
        yield connection
    finally:
        connection.close()


def _record(answer: httpx.Response) -> Record:
    if not answer.content:
        return {}
    try:
        return msgspec.json.decode(answer.content, type=Record)
    except msgspec.DecodeError:
        raise Failed(
            f"HTTP {answer.status_code} that is not Hushwire's: is the URL of the connection right?"
        ) from None
