"""The generated parts of the reference, each made from the tables that the server runs on."""

import asyncio
import re
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from importlib.resources import files
from io import StringIO
from pathlib import Path
from typing import Final, get_args

import click
from msgspec import inspect
from prometheus_client.core import Metric

from hushwire.api import parameters, support
from hushwire.assemble import Server
from hushwire.carriers.simulator import ERROR_CODES, NO_SHORT_CODES_ERROR, Behaviour
from hushwire.cli.main import COMMANDS, cli
from hushwire.domain import magic
from hushwire.domain.alert_table import KINDS
from hushwire.domain.message import (
    CALLED_BACK,
    EXPIRED_ERROR,
    FINAL,
    TABLE,
    UNKNOWN_ERROR,
    FactName,
    Status,
)
from hushwire.domain.scan import RULES
from hushwire.domain.stream import TYPES
from hushwire.domain.usage import CATEGORIES, TOTAL
from hushwire.errors import DELIVERY_TEXTS, PROBLEMS
from hushwire.observe import Journal
from hushwire.outbound.answer import FailureKind
from hushwire.settings import Networks, Settings, describe

WIDTH: Final = 88  # of the commands' help
SOURCE: Final = Path(str(files("hushwire")))
_PAGE: Final = re.compile(r"\b([a-z-]+\.md)\b")


def _table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; what names another page becomes a link to it."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join(
        "| " + " | ".join(_PAGE.sub(r"[\1](\1)", cell.replace("|", "\\|")) for cell in line) + " |"
        for line in lines
    )


def _code(text: object) -> str:
    return f"`{text}`" if text != "" else ""


# Settings and commands ----------------------------------------------------------------------


def settings() -> str:
    plain = Settings()
    rows = describe(plain, dict.fromkeys(Settings.__struct_fields__, "default"))
    fields = {field.name: field.type for field in inspect.type_info(Settings).fields}  # type: ignore[union-attr]
    flags = _flags_of_up()
    return _table(
        ("setting", "value", "default", "flag of `up`", "what it is"),
        (
            (_code(row.name), _kind(fields[row.name], row.unit), _default(row.value),
             _code(flags.get(row.name, "")), row.help)
            for row in rows
        ),
    )  # fmt: skip


def _default(value: object) -> str:
    if value in (None, "", []):
        return "–"
    return _code(str(value).lower() if isinstance(value, bool) else value)


def _kind(kind: inspect.Type, unit: str) -> str:
    """What may be given, in words."""
    match kind:
        case inspect.Metadata(type=inner):
            return _kind(inner, unit)
        case inspect.UnionType(types=types):
            return _kind(next(t for t in types if not isinstance(t, inspect.NoneType)), unit)
        case inspect.BoolType():
            return "true or false"
        case inspect.LiteralType(values=values):
            return ", ".join(map(_code, values))
        case inspect.IntType(ge=low, le=high):
            limits = f" {low:,} to {high:,}" if high is not None else f" from {low:,}"
            return f"number{limits}" + (f" ({unit})" if unit else "")
        case inspect.CustomType(cls=cls):
            return {Networks: "networks (CIDR), by comma", Path: "path"}.get(cls, "secret")
        case _:
            return "text"


def _flags_of_up() -> dict[str, str]:
    with click.Context(cli) as context:
        up = cli.get_command(context, "up")
    assert up is not None
    return {
        str(option.name): " ".join((*option.opts, *option.secondary_opts))
        for option in up.params
        if isinstance(option, click.Option)
    }


def commands() -> str:
    parts = [_help(cli, "hushwire")]
    with click.Context(cli) as context:
        for name in COMMANDS:
            command = cli.get_command(context, name)
            assert command is not None
            parts += _command(command, f"hushwire {name}", "##")
    return "\n\n".join(parts)


def _command(command: click.Command, name: str, level: str) -> list[str]:
    """A command's help under its heading, and those of its own commands one level below."""
    parts = [f"{level} {name}\n\n{_help(command, name)}"]
    if isinstance(command, click.Group):
        for verb, below in command.commands.items():
            parts += _command(below, f"{name} {verb}", f"{level}#")
    return parts


def _help(command: click.Command, name: str) -> str:
    context = click.Context(command, info_name=name, terminal_width=WIDTH, max_content_width=WIDTH)
    context.help_option_names = ["-h", "--help"]
    text = "\n".join(line.rstrip() for line in command.get_help(context).splitlines())
    return f"```text\n{text}\n```"


# Errors -------------------------------------------------------------------------------------


def errors() -> str:
    text = SOURCE.joinpath("errors.toml").read_text(encoding="utf-8")
    now = _answered_now()
    parts: list[str] = []
    for title, section in re.findall(r"^# --- (.+?) -+$\n(.*?)(?=^# ---|\Z)", text, re.M | re.S):
        problems = [PROBLEMS[name] for name in re.findall(r"^\[(\w+)\]$", section, re.M)]
        rows = (
            (str(p.code), str(p.status), _code(p.message), p.when, "now" if p.name in now else "")
            for p in problems
        )
        heading = ("code", "HTTP", "message", "answered when", "")
        parts.append(f"### {title}\n\n{_table(heading, rows)}")
    assert sum(part.count("\n| ") - 2 for part in parts) == len(PROBLEMS)
    return "\n\n".join(parts)


def _answered_now() -> set[str]:
    """The problems that doors and actions name; the others wait for what they belong to."""
    places = (SOURCE / "api", SOURCE / "actions")
    source = "".join(p.read_text(encoding="utf-8") for place in places for p in place.glob("*.py"))
    named = {name for name in PROBLEMS if f'"{name}"' in source}
    return {*named, *magic.TO.values(), *magic.FROM.values()}


def delivery() -> str:
    now = {*ERROR_CODES.values(), EXPIRED_ERROR, UNKNOWN_ERROR}
    rows = (
        (str(code), text, "now" if code in now else "") for code, text in DELIVERY_TEXTS.items()
    )
    return _table(("code", "text", ""), rows)


# Messages -----------------------------------------------------------------------------------

MEANINGS: Final[dict[Status, str]] = {
    Status.ACCEPTED: "of a Messaging Service, on disk; waits for its sender",
    Status.SCHEDULED: "of a Messaging Service, on disk; waits for its time",
    Status.CANCELED: "it was canceled while it was scheduled",
    Status.QUEUED: "on disk; waits for its turn",
    Status.SENDING: "being handed to the carrier, or waits to be handed over again",
    Status.SENT: "the carrier took it; its receipt is awaited for an hour",
    Status.DELIVERED: "the phone confirmed it",
    Status.UNDELIVERED: "the receipt says no, or it is unknown whether the carrier had it (30008)",
    Status.FAILED: "it never left: refused by the carrier, or its validity period ended (30036)",
    Status.READ: "the channel says that it was read",
    Status.RECEIVED: "a phone sent it to us",
}
FACTS: Final[dict[FactName, str]] = {
    "chosen": "its sender was chosen",
    "canceled": "its customer canceled it",
    "fetched": "its media were fetched",
    "read": "a receipt: it was read",
    "attempted": "it is marked as on its way to the carrier",
    "postponed": "the carrier says: not now",
    "doubted": "whether the carrier has it is unknown: the server died meanwhile",
    "handed": "the carrier took it",
    "refused": "the carrier will not take it",
    "expired": "its validity period ended",
    "delivered": "a receipt: it arrived",
    "undelivered": "a receipt: it did not arrive",
    "wait_ended": "no receipt came in an hour",
    "rerouted": "a short code could not deliver it: a long code is to try",
}


def status_diagram() -> str:
    edges: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
    for before, facts in TABLE.items():
        for fact, after in facts.items():
            edges[before, after].append(fact)
    lines = [f"    [*] --> {Status.QUEUED}: create", f"    [*] --> {Status.RECEIVED}: from a phone"]
    lines += [f"    {a} --> {b}: {', '.join(facts)}" for (a, b), facts in edges.items()]
    lines += [f"    {status} --> [*]" for status in Status if status in FINAL]
    return "\n".join(("```mermaid", "stateDiagram-v2", *lines, "```"))


def statuses() -> str:
    assert MEANINGS.keys() == set(Status)
    yes = {True: "yes", False: ""}
    rows = (
        (_code(status), MEANINGS[status], yes[status in CALLED_BACK],
         "after the hour" if status is Status.SENT else yes[status in FINAL])
        for status in Status
    )  # fmt: skip
    return _table(("status", "meaning", "called back", "may be deleted"), rows)


def facts() -> str:
    assert FACTS.keys() == set(get_args(FactName))
    return _table(("fact", "what happened"), ((_code(name), text) for name, text in FACTS.items()))


# Support ------------------------------------------------------------------------------------


def operations() -> str:
    rows = (
        (_code(o.method), _code(o.path.removeprefix("/2010-04-01")), o.what,
         "**served**" if o.served else "not yet")
        for o in support.OPERATIONS
    )  # fmt: skip
    return _table(("method", "path", "operation", ""), rows)


def _honoured(rows: dict[str, str]) -> str:
    return _table(("honoured", "what it does"), ((_code(n), text) for n, text in rows.items()))


def create_parameters() -> str:
    refused = (
        (_code(name), _answer(problem), support.CREATE_REFUSED[name])
        for name, problem in parameters.REFUSED.items()
    )
    idle = ((_code(name), why) for name, why in parameters.WITHOUT_EFFECT.items())
    return "\n\n".join((
        _honoured(support.CREATE_HONOURED),
        _table(("accepted without effect", "why"), idle),
        _table(("refused", "with", "why"), refused),
    ))  # fmt: skip


def wrong_values() -> str:
    rows: list[tuple[str, ...]] = []
    for name, parameter in parameters.PARAMETERS.items():
        problem = PROBLEMS[parameter.wrong]
        texts = (text.replace("{parameter}", name) for text in (problem.message, problem.when))
        if name != "PersistentAction":  # which takes anything
            message, when = texts
            rows.append((_code(name), _answer(parameter.wrong), _code(message), when))
    return _table(("parameter", "answer", "", "when"), rows)


def combinations() -> str:
    def named(names: Iterable[str]) -> str:
        return ", ".join(_code(name) for name in sorted(names))

    rows = (
        (named(c.given), named(c.without), _answer(c.problem), _code(PROBLEMS[c.problem].message))
        for c in parameters.COMBINATIONS
    )
    return _table(("given", "without any of", "answer", ""), rows)


def unserved() -> str:
    rows = (
        (_code(path.removeprefix("/2010-04-01")), why) for path, why in support.UNSERVED.items()
    )
    return _table(("path", "why"), rows)


def update_parameters() -> str:
    return _honoured(support.UPDATE_HONOURED)


def list_parameters() -> str:
    return _honoured(support.LIST_HONOURED)


def _answer(problem: str) -> str:
    return f"{PROBLEMS[problem].code} (HTTP {PROBLEMS[problem].status})"


def properties() -> str:
    rows = ((_code(name), text or "always null") for name, text in support.PROPERTIES.items())
    return _table(("property", "what it holds"), rows)


# Sandbox ------------------------------------------------------------------------------------


def behaviours() -> str:
    ends = {
        Behaviour.DELIVER: "`delivered`; every phone does this unless told otherwise",
        Behaviour.SLOW: "`delivered`, 30 s later",
        Behaviour.SILENT: "`sent`: no receipt ever comes",
        Behaviour.NO_SHORT_CODES: "from a short code: `undelivered`, "
        f"{NO_SHORT_CODES_ERROR} {DELIVERY_TEXTS[NO_SHORT_CODES_ERROR]}; else `delivered`",
    }
    for behaviour, code in ERROR_CODES.items():
        ends[behaviour] = f"`undelivered`, {code} {DELIVERY_TEXTS[code]}"
    return _table(("behaviour", "a message ends as"), ((_code(b), ends[b]) for b in Behaviour))


def magic_numbers() -> str:
    rows = [
        (name, _code(number), _answer(problem), _code(PROBLEMS[problem].message))
        for name, numbers in (("To", magic.TO), ("From", magic.FROM))
        for number, problem in numbers.items()
    ]
    rows.append(("From", _code(magic.FROM_OK), "201", "the number you own"))
    return _table(("as", "number", "answer", ""), rows)


# Metrics ------------------------------------------------------------------------------------

LABELS: Final = {
    ("messages_refused", "code"): "Twilio's code, as in errors.md",
    ("status", "status"): "a status, as in messages.md",
    ("callbacks", "result"): "`answered` (2xx), `status` (any other answer), `withdrawn` (the body "
    "was forgotten first), `given_up` (no attempt is left), or why there was no answer: "
    + ", ".join(map(_code, get_args(FailureKind))),
    ("receipts", "result"): "`applied`, `repeated` (late or twice: changes nothing), `unknown` (no "
    "such message)",
    ("queue_size", "queue"): "`accept`, `dispatch`, `callback`, `inbound`",
}


def metrics() -> str:
    rows: list[tuple[str, ...]] = []
    for family in asyncio.run(_families()):
        labels = [label for label in family.samples[0].labels if label != "le"]
        name = family.name.removeprefix("hushwire_")
        what = "; ".join([family.documentation, *(f"{n}: {LABELS[name, n]}" for n in labels)])
        suffix = "_total" if family.type == "counter" else ""
        shown = family.name + suffix + (f"{{{','.join(labels)}}}" if labels else "")
        rows.append((_code(shown), family.type, what))
    return _table(("metric", "type", "what it counts"), rows)


async def _families() -> list[Metric]:
    """Every family that a running server exposes, each with at least one sample."""
    with tempfile.TemporaryDirectory() as directory:
        journal = Journal(StringIO())
        server = Server(Settings(data=Path(directory), vault_slots_per_file=1024), journal)
        await server.open()
        for counter in vars(journal.metrics).values():
            if isinstance(counter, defaultdict):
                counter["x"] += 1
        found = list(journal.metrics.families())
        await server.close()
        return found


# Monitoring ---------------------------------------------------------------------------------


def alerts() -> str:
    rows = ((str(code), level, title) for code, (level, title) in sorted(KINDS.items()))
    return _table(("code", "level", "title"), rows)


def scan_rules() -> str:
    rows = (
        (
            name, str(rule.code or "hint"),
            " and ".join(
                word for word, on in (("bodies", rule.body), ("numbers", rule.numbers)) if on
            ),
            ", ".join(_code(profile) for profile in sorted(rule.profiles)),
            rule.why, rule.cure,
        )
        for name, rule in RULES.items()
    )  # fmt: skip
    headings = ("what", "code", "with redaction of", "profile", "because", "cure")
    return _table(headings, rows)


def usage_categories() -> str:
    def how(category: str) -> str:
        if category == TOTAL:
            return "the sum of all prices"
        return "counted" if category.endswith("code") else "a sum"

    rows = ((_code(name), what, how(name)) for name, what in CATEGORIES.items())
    return _table(("category", "is", "how"), rows)


def event_types() -> str:
    rows = ((_code(kind.name), _code(kind.schema), kind.what) for kind in TYPES.values())
    return _table(("type", "schema", "when"), rows)


BLOCKS: Final[dict[str, Callable[[], str]]] = {
    "settings": settings,
    "commands": commands,
    "errors": errors,
    "delivery codes": delivery,
    "status diagram": status_diagram,
    "statuses": statuses,
    "facts": facts,
    "operations": operations,
    "unserved": unserved,
    "create parameters": create_parameters,
    "wrong values": wrong_values,
    "combinations": combinations,
    "update parameters": update_parameters,
    "list parameters": list_parameters,
    "properties": properties,
    "behaviours": behaviours,
    "magic numbers": magic_numbers,
    "metrics": metrics,
    "alerts": alerts,
    "scan rules": scan_rules,
    "usage categories": usage_categories,
    "event types": event_types,
}
