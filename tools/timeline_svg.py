"""Draws a played timeline as SVG: plain text, no library, one file for light and dark.

Across: the moments of the story, in order and not to scale. Down: each part of the message
with its life, then each hold with a stripe for every part that it keeps.
"""

from collections.abc import Iterable
from itertools import groupby
from typing import TYPE_CHECKING, Final
from xml.sax.saxutils import escape

from hushwire.domain.holds import FOREVER, Part
from hushwire.domain.privacy import shown
from hushwire.domain.retention import DAYS

if TYPE_CHECKING:
    from timelines import Bar, Timeline

WIDTH: Final = 800
LEFT: Final = 196  # of the first column
HEAD: Final = 70
ROW: Final = 26
AFTER: Final = 150  # px for what is read afterwards
STRIPE: Final = 5

PARTS: Final[dict[Part, str]] = {
    "content": "text", "address": "numbers", "media": "media",
    "session": "who was contacted",
}  # fmt: skip
READS: Final[dict[Part, str]] = {
    "content": 'reads ""', "address": f"reads {shown('+14155550123', 'last4')}",
    "media": "answers 404", "session": "not listed",
}  # fmt: skip
STYLE: Final = """
.card{fill:#fff;stroke:#d0d7de}.ink{fill:#1f2328}.soft{fill:#59636e}
.grid{stroke:#d1d9e0}.content{fill:#0969da}.address{fill:#1a7f37}.media{fill:#bc4c00}
.session{fill:#8250df}.rest{fill:#afb8c1}
text{font:12px -apple-system,"Segoe UI",Helvetica,Arial,sans-serif}
.small{font-size:11px}.title{font-size:14px;font-weight:600}.end{text-anchor:end}
.mid{text-anchor:middle}.faint{opacity:.3}
@media (prefers-color-scheme:dark){
.card{fill:#0d1117;stroke:#3d444d}.ink{fill:#f0f6fc}.soft{fill:#9198a1}
.grid{stroke:#30363d}.content{fill:#4493f8}.address{fill:#3fb950}.media{fill:#db6d28}
.session{fill:#ab7df8}.rest{fill:#515862}}
"""


def draw(timeline: "Timeline") -> str:
    """The picture, with a title and a description for who does not see it."""
    at = _columns(timeline)
    parts = _parts(timeline)
    rows = [*(_life(timeline, part, at) for part in parts), [*_rest()]]
    send_at_ms = timeline.story.custody.send_at_ms
    rows += [_hold(bar, parts, at, send_at_ms) for bar in timeline.bars]
    height = HEAD + ROW * len(rows) + 12
    name = escape(timeline.story.title)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
        f'width="{WIDTH}" height="{height}" role="img" aria-labelledby="t d">',
        f'<title id="t">{name}</title>',
        f'<desc id="d">{escape(described(timeline))}</desc>',
        f"<style>{STYLE}</style>",
        f'<rect class="card" x=".5" y=".5" width="{WIDTH - 1}" height="{height - 1}" rx="6"/>',
        f'<text class="ink title" x="14" y="24">{name}</text>',
        f'<text class="soft small end" x="{WIDTH - 14}" y="24">not to scale</text>',
        *_grid(timeline, at, height),
    ]
    for number, row in enumerate(rows):
        lines += [f'<g transform="translate(0 {HEAD + ROW * number})">', *row, "</g>"]
    return "\n".join([*lines, "</svg>", ""])


def described(timeline: "Timeline") -> str:
    """The same in words."""
    said: list[str] = []
    for part in _parts(timeline):
        gone_ms = timeline.gone_ms[part]
        keepers = [bar.name for bar in timeline.bars if any(s.part == part for s in bar.spans)]
        what = f"{PARTS[part]}: held by {', '.join(keepers)}; forgotten after {took(gone_ms)}"
        last_ms = timeline.destroyed_ms[part]
        said.append(what if last_ms == gone_ms else f"{what}, its key after {took(last_ms)}")
    return ". ".join(said) + "."


def _parts(timeline: "Timeline") -> list[Part]:
    """The parts that the message has, in the order of rows."""
    return [part for part in PARTS if part in timeline.gone_ms]


def took(ms: int) -> str:
    """A time in words. Beside minutes, seconds do not count."""
    seconds = ms // 1_000
    if seconds < 60:
        return f"{seconds} s"
    found: list[str] = []
    for name, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        count, seconds = divmod(seconds, length)
        if count:
            found.append(f"{count} {name}")
    return " ".join(found)


def _columns(timeline: "Timeline") -> dict[int, float]:
    """The place of each moment, in px."""
    moments = [at_ms for at_ms, _ in groupby(timeline.columns, key=lambda column: column[0])]
    step = (WIDTH - LEFT - AFTER) / (len(moments) - 1)
    return {at_ms: LEFT + step * number for number, at_ms in enumerate(moments)}


def _grid(timeline: "Timeline", at: dict[int, float], height: int) -> Iterable[str]:
    labels = dict(timeline.columns)
    for number, (at_ms, x) in enumerate(at.items()):
        align = "" if number == 0 else " mid"
        what = escape(labels[at_ms])
        yield f'<path class="grid" d="M{x:.0f} {HEAD - 2}V{height - 10}"/>'
        yield f'<text class="soft small{align}" x="{x:.0f}" y="{HEAD - 8}">{took(at_ms)}</text>'
        yield f'<text class="ink small{align}" x="{x:.0f}" y="{HEAD - 22}">{what}</text>'


def _life(timeline: "Timeline", part: Part, at: dict[int, float]) -> list[str]:
    """A part's row: a bar while it lives, then what a read shows."""
    spans = [span for bar in timeline.bars for span in bar.spans if span.part == part]
    begin, end = at[min(span.from_ms for span in spans)], at[timeline.gone_ms[part]]
    found = [
        f'<text class="ink end" x="{LEFT - 12}" y="17">{PARTS[part]}</text>',
        _bar(part, begin, end, 5, 16),
        f'<text class="ink small" x="{end + 8:.0f}" y="17">{escape(READS[part])}</text>',
    ]
    last = at[timeline.destroyed_ms[part]]
    if last > end:  # the key is kept, and nothing opens it
        found.insert(2, _bar(f"{part} faint", end, last, 5, 16))
        found.append(f'<text class="ink small" x="{last + 8:.0f}" y="17">key destroyed</text>')
    return found


def _bar(kind: str, begin: float, end: float, top: float, height: int, why: str = "") -> str:
    """A bar from there to there, all in px. `why`: what is told of it to who points at it."""
    inside = f"<title>{escape(why)}</title>" if why else ""
    return (
        f'<rect class="{kind}" x="{begin:.0f}" y="{top:.0f}" width="{end - begin:.0f}" '
        f'height="{height}" rx="{min(3, height // 2)}">{inside}</rect>'
    )


def _rest() -> Iterable[str]:
    """What is no secret, and stays."""
    end = WIDTH - 68
    yield f'<text class="ink end" x="{LEFT - 12}" y="17">SID, times, status, price</text>'
    yield _bar("rest", LEFT, end, 5, 16)
    yield f'<text class="ink small" x="{end + 6}" y="17">{DAYS} days</text>'


def _cap(bar: "Bar", send_at_ms: int | None) -> str:
    """How long the hold could have lasted, had nothing ended it."""
    if bar.cap_ms == FOREVER:
        return "until it is lifted"
    if send_at_ms is None or bar.began_ms >= send_at_ms:
        return f"{took(bar.cap_ms - bar.began_ms)} at most"
    beyond = bar.cap_ms - send_at_ms
    return f"until SendAt + {took(beyond)}" if beyond else "until SendAt"


def _hold(bar: "Bar", parts: list[Part], at: dict[int, float], send_at_ms: int | None) -> list[str]:
    """A hold's row: its name and cap, a stripe for each part that it keeps."""
    kept = [part for part in parts if any(span.part == part for span in bar.spans)]
    top = (ROW - (STRIPE + 1) * len(kept)) / 2
    found = [
        f'<text class="soft small end" x="{LEFT - 12}" y="17">'
        f"{bar.name}, {_cap(bar, send_at_ms)}</text>"
    ]
    for span in bar.spans:
        y = top + (STRIPE + 1) * kept.index(span.part)
        found.append(_bar(span.part, at[span.from_ms], at[span.until_ms], y, STRIPE, bar.reason))
    return found
