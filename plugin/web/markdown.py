"""The set-up guides as HTML: the part of Markdown that they are written in, and nothing that could do harm.

Headings, paragraphs, lists, tables, code, bold, italics and bare links. Everything else is shown as it was written;
HTML never passes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from markupsafe import Markup

_FENCE: Final = "```"
_HEADING: Final = re.compile(r"(#{1,6}) +(.+)")
_ITEM: Final = re.compile(r"(?:[-*]|\d{1,3}\.) +")
_LINE_UNDER_HEAD: Final = re.compile(r"\|[\s|:-]+\|")
#: Code stands first: what is between backticks is never anything else.
_INLINE: Final = re.compile(
    r"`(?P<code>[^`]+)`|\*\*(?P<strong>[^*]+)\*\*|\*(?P<em>[^*\s][^*]*)\*|<(?P<link>https?://[^<>\s]+)>"
)


def render_markdown(text: str) -> Markup:
    """The HTML of a guide. A single `#` makes an h1."""
    return Markup("\n").join(_blocks(text.splitlines()))


def _blocks(lines: Sequence[str]) -> Iterator[Markup]:
    at = 0
    while at < len(lines):
        line = lines[at]
        if not line.strip():
            at += 1
        elif line.startswith(_FENCE):
            end = _find(lines, at + 1, lambda one: one.startswith(_FENCE))
            yield Markup("<pre data-copy>{}</pre>").format("\n".join(lines[at + 1 : end]))
            at = end + 1
        elif heading := _HEADING.match(line):
            yield Markup("<h{0}>{1}</h{0}>").format(len(heading[1]), _inline(heading[2]))
            at += 1
        else:
            end, write = _extent(lines, at)
            yield write(lines[at:end])
            at = end


def _extent(lines: Sequence[str], at: int) -> tuple[int, Callable[[Sequence[str]], Markup]]:
    """Where the list, table or paragraph that begins at `at` ends, and what writes it."""
    if lines[at].startswith("|"):
        return _find(lines, at, lambda one: not one.startswith("|")), _table
    if _ITEM.match(lines[at]):
        return _end_of_list(lines, at), _list
    return _find(lines, at + 1, _ends_paragraph), _paragraph


def _find(lines: Sequence[str], start: int, wanted: Callable[[str], object]) -> int:
    return next((at for at in range(start, len(lines)) if wanted(lines[at])), len(lines))


def _ends_paragraph(line: str) -> bool:
    return not line.strip() or line.startswith((_FENCE, "|")) or bool(_ITEM.match(line) or _HEADING.match(line))


def _end_of_list(lines: Sequence[str], start: int) -> int:
    """A list goes on while lines are items, indented, or blank before one of these."""
    end = start
    for at in range(start, len(lines)):
        if _ITEM.match(lines[at]) or lines[at].startswith("  "):
            end = at + 1
        elif lines[at].strip():
            break
    return end


def _paragraph(lines: Sequence[str]) -> Markup:
    return Markup("<p>{}</p>").format(_inline("\n".join(lines)))


def _list(lines: Sequence[str]) -> Markup:
    tag = "ol" if lines[0][0].isdigit() else "ul"
    starts = [at for at, line in enumerate(lines) if _ITEM.match(line)]
    items = [_item(lines[start:end]) for start, end in zip(starts, [*starts[1:], len(lines)], strict=True)]
    return Markup("<{0}>{1}</{0}>").format(tag, Markup("").join(items))


def _item(lines: Sequence[str]) -> Markup:
    mark = _ITEM.match(lines[0])
    width = mark.end() if mark else 0
    inner = [lines[0][width:], *(line[width:] if not line[:width].strip() else line.lstrip() for line in lines[1:])]
    # The first paragraph of an item is its own text; whatever follows is a block inside it.
    end = _find(inner, 1, _ends_paragraph)
    blocks = Markup("").join(_blocks(inner[end:]))
    return Markup("<li>{}{}</li>").format(_inline("\n".join(inner[:end])), blocks)


def _table(lines: Sequence[str]) -> Markup:
    rows = [_cells(line) for line in lines if not _LINE_UNDER_HEAD.fullmatch(line.strip())]
    head = Markup("").join(Markup('<th scope="col">{}</th>').format(cell) for cell in rows[0])
    body = Markup("").join(
        Markup("<tr>{}</tr>").format(Markup("").join(Markup("<td>{}</td>").format(cell) for cell in row))
        for row in rows[1:]
    )
    return Markup('<div class="scroll"><table><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>').format(
        head, body
    )


def _cells(line: str) -> list[Markup]:
    return [_inline(cell.strip()) for cell in line.strip().strip("|").split("|")]


def _inline(text: str) -> Markup:
    html = Markup("")
    written = 0
    for found in _INLINE.finditer(text):
        html += text[written : found.start()]
        html += _marked(found)
        written = found.end()
    return html + text[written:]


def _marked(found: re.Match[str]) -> Markup:
    if link := found["link"]:
        return Markup('<a href="{0}" rel="noreferrer">{0}</a>').format(link)
    if code := found["code"]:
        return Markup("<code>{}</code>").format(code)
    # Bold text may hold code; it holds no bold text, so this ends.
    tag, inner = ("strong", found["strong"]) if found["strong"] else ("em", found["em"])
    return Markup("<{0}>{1}</{0}>").format(tag, _inline(inner))
