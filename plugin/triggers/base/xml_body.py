"""XML from strangers: without document types and entities, bounded, and made into the tree that JSON would give."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field
from typing import Any, Final
from xml.parsers import expat

from plugin.errors import Unreadable
from plugin.triggers.base.json_body import MAX_DEPTH, storable

#: How many elements one message may hold.
MAX_ELEMENTS: Final = 50_000

_DECLARED: Final = re.compile(rb"""\A<\?xml[^>]{0,200}?encoding\s*=\s*["']([A-Za-z0-9._-]{1,40})["']""")
#: What else than UTF-8 a message may be written in.
_ENCODINGS: Final = frozenset({"iso-8859-1", "iso-8859-2", "windows-1250", "windows-1252"})


def read_xml(body: bytes) -> dict[str, Any]:
    """The document in `body` as an object of its root's name.

    An element that holds others is an object, one that is repeated a list of them, and any other its text. Prefixes of
    names are left out. Attributes are keys with an `@` in front, beside which the text is called `#text`; what is said
    to be nil is None. Raises Unreadable for what is not XML, and for document types, entities and too much of it.
    """
    body = body.lstrip().removeprefix(codecs.BOM_UTF8).strip()
    tree = _Tree()
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = tree.refuse_doctype
    parser.EntityDeclHandler = tree.refuse_doctype
    parser.StartElementHandler = tree.start
    parser.EndElementHandler = tree.end
    parser.CharacterDataHandler = tree.text
    try:
        # A text is read as it is, whatever the declaration says of its bytes.
        parser.Parse(_decoded(body), True)
    except expat.ExpatError as error:
        fault = expat.errors.messages.get(error.code, "it is not well formed")
        raise Unreadable(f"The body is not XML: line {error.lineno}, column {error.offset + 1}: {fault}.") from None
    except UnicodeError:
        raise Unreadable("The body is not XML: its characters cannot be read.") from None
    document = storable(tree.document())
    return document if isinstance(document, dict) else {}


def _decoded(body: bytes) -> str:
    declared = _DECLARED.match(body)
    name = declared[1].decode().lower() if declared else "utf-8"
    return body.decode(name if name in _ENCODINGS else "utf-8", "replace")


@dataclass
class _Element:
    name: str
    content: dict[str, Any] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    repeated: set[str] = field(default_factory=set)
    is_nil: bool = False

    def value(self) -> Any:
        if self.is_nil:
            return None
        text = "".join(self.texts)
        if not self.content:
            return text
        return self.content | ({"#text": text.strip()} if text.strip() else {})

    def add(self, name: str, value: Any) -> None:
        if name not in self.content:
            self.content[name] = value
        elif name in self.repeated:
            self.content[name].append(value)
        else:
            self.repeated.add(name)
            self.content[name] = [self.content[name], value]


class _Tree:
    """What the parser's events come to."""

    def __init__(self) -> None:
        self._open = [_Element("")]
        self._count = 0

    def document(self) -> dict[str, Any]:
        return self._open[0].content

    def refuse_doctype(self, *_: object) -> None:
        raise Unreadable("The body is XML with a document type, which is never read; let the sender leave it out.")

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > MAX_ELEMENTS:
            raise Unreadable(f"The body is XML with more than {MAX_ELEMENTS} elements.")
        if len(self._open) >= MAX_DEPTH:
            raise Unreadable(f"The body is XML with more than {MAX_DEPTH} levels of nesting.")
        element = _Element(_local(name))
        for key, value in attributes.items():
            if _local(key) == "nil" and value in {"true", "1"}:
                element.is_nil = True
            elif key != "xmlns" and not key.startswith("xmlns:"):
                element.content[f"@{_local(key)}"] = value
        self._open.append(element)

    def end(self, _name: str) -> None:
        element = self._open.pop()
        self._open[-1].add(element.name, element.value())

    def text(self, text: str) -> None:
        self._open[-1].texts.append(text)


def _local(name: str) -> str:
    return name.rpartition(":")[2]
