"""Reading one XML file: a tree of Elements, with the rows of networks as arrays.

The parser is expat. Entities are refused altogether, so nothing can be included or blown up by a document type. Long
runs of connections, inputs and instances never become Elements: they are read from the bytes (see ``rows``), and the
parser sees a placeholder in their place.
"""

from __future__ import annotations

import mmap
import secrets
from bisect import bisect_right
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.parsers import expat

from ..element import Element
from ..errors import DocumentError
from .rows import MINIMUM, START, Block, Unlike, pieces, read_run, run_end

MAX_DEPTH = 200
ROW_TAGS = frozenset(
    "connectionWD connection electricalConnection electricalConnectionInstance electricalConnectionInstanceW "
    "continuousConnection continuousConnectionInstance continuousConnectionInstanceW input inputW instance".split()
)
ROW_PARENTS = frozenset("population projection electricalProjection continuousProjection inputList".split())
_KEEP_SOURCE = frozenset({"notes", "annotation"})
_FEED = 1 << 20


@dataclass
class Rows:
    """What stood inside one element of a network: blocks read as arrays, and single rows as Elements, in order."""

    parts: list[Block | list[Element]] = field(default_factory=list)

    def add(self, row: Element) -> None:
        """Add a row that was read as an Element."""
        if not self.parts or isinstance(self.parts[-1], Block):
            self.parts.append([])
        last = self.parts[-1]
        assert isinstance(last, list)
        last.append(row)


@dataclass
class Tree:
    """A parsed file: its root, the rows by the identity of the element they stood in, and top-level comments."""

    path: Path
    root: Element
    rows: dict[int, Rows]


class _Restart(Exception):
    """Rows stood where the parser does not see elements (a comment, CDATA): read everything element by element."""


def read_tree(path: Path, shown: str | None = None) -> Tree:
    """Parse a file. ``shown`` is the name used in places and errors.

    Raises DocumentError, with the line, for XML that is not well-formed, is truncated, is nested deeper than MAX_DEPTH
    or declares entities.
    """
    shown = shown or str(path)
    try:
        if path.stat().st_size == 0:
            raise DocumentError("the file is empty; expected a NeuroML or LEMS document", file=shown)
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                return _Parser(path, shown, data, True).run()
            except _Restart:
                return _Parser(path, shown, data, False).run()
    except OSError as error:
        raise DocumentError(f"cannot be read: {error.strerror}", file=shown) from None


def read_text(data: bytes, path: Path, shown: str) -> Tree:
    """Parse the text of a document that stands inside another file. Raises DocumentError as read_tree does."""
    return _Parser(path, shown, data, False).run()


class _Parser:
    def __init__(self, path: Path, shown: str, data: mmap.mmap | bytes, fast: bool) -> None:
        self.path, self.shown, self.data, self.fast = path, shown, data, fast
        self.mark = "x" + secrets.token_hex(8)
        self.queue: list[tuple[Block, int]] = []
        self.taken = 0
        self.removed = 0  # lines that the parser has not seen
        self.stack: list[Element] = []
        self.starts: list[int] = []
        self.rows: dict[int, Rows] = {}
        self.root: Element | None = None
        self.fed: list[int] = [0]  # offsets in what the parser saw ...
        self.file: list[int] = [0]  # ... and where they are in the file
        self.total = 0
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self.doctype
        parser.StartElementHandler = self.start
        parser.EndElementHandler = self.end
        parser.CharacterDataHandler = self.text
        parser.CommentHandler = self.comment
        parser.EntityDeclHandler = self.entity
        parser.UnparsedEntityDeclHandler = self.entity
        parser.ExternalEntityRefHandler = self.entity  # type: ignore[assignment]
        self.parser = parser

    # feeding -------------------------------------------------------------------------------------------------------

    def run(self) -> Tree:
        data, position, size = self.data, 0, len(self.data)
        try:
            while position < size:
                match = START.search(data, position) if self.fast else None
                if match is None:
                    self.feed(position, size)
                    break
                begin, tag = match.start(), match.group(1)
                end = run_end(data, begin, tag)
                if end - begin < MINIMUM:
                    self.feed(position, end)
                    position = end
                    continue
                self.feed(position, begin)
                for first, last in pieces(data, begin, end, tag):
                    self.run_of_rows(first, last)
                    self.forget(last)
                position = end
            self.parser.Parse(b"", True)
        except expat.ExpatError as error:
            line = error.lineno + self.removed
            why = expat.errors.messages.get(error.code, "not well-formed")
            truncated = why in ("no element found", "unclosed token", "unclosed CDATA section")
            if truncated or (self.stack and error.offset == 0):
                why += "; the file seems to be cut short"
            raise DocumentError(f"this is not well-formed XML: {why}", file=self.shown, line=line) from None
        except (LookupError, ValueError) as error:
            raise DocumentError(f"the XML cannot be decoded: {error}", file=self.shown, line=1) from None
        if len(self.queue) != self.taken:
            raise _Restart
        assert self.root is not None
        return Tree(self.path, self.root, self.rows)

    def feed(self, begin: int, end: int) -> None:
        while begin < end:
            stop = min(begin + _FEED, end)
            self.fed.append(self.total)
            self.file.append(begin)
            self.total += stop - begin
            self.parser.Parse(self.data[begin:stop], False)
            begin = stop

    def forget(self, position: int) -> None:
        """Give back the memory of pages that have been read (where the system can)."""
        if isinstance(self.data, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
            page = mmap.PAGESIZE
            self.data.madvise(mmap.MADV_DONTNEED, 0, position // page * page)

    def run_of_rows(self, begin: int, end: int) -> None:
        chunk = self.data[begin:end]
        try:
            block = read_run(chunk, 0)
        except Unlike:
            self.feed(begin, end)
            return
        self.queue.append((block, chunk.count(b"\n")))
        text = f"<{self.mark}/>".encode()
        self.fed.append(self.total)
        self.file.append(begin)
        self.total += len(text)
        self.parser.Parse(text, False)

    def offset(self, seen: int) -> int:
        """The place in the file of an offset in what the parser saw."""
        at = bisect_right(self.fed, seen) - 1
        return self.file[at] + seen - self.fed[at]

    # handlers ------------------------------------------------------------------------------------------------------

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        line = self.parser.CurrentLineNumber + self.removed
        if tag == self.mark:
            block, lines = self.queue[self.taken]
            self.taken += 1
            self.removed += lines
            if not self.stack or self.stack[-1].tag not in ROW_PARENTS:
                raise _Restart
            owner = self.stack[-1]
            self.rows.setdefault(id(owner), Rows()).parts.append(Block(block.tag, block.count, block.columns, line))
            return
        local = tag.rpartition(":")[2]
        element = Element(local, attributes, file=self.shown, line=line)
        if len(self.stack) >= MAX_DEPTH:
            raise DocumentError(f"elements are nested deeper than {MAX_DEPTH} levels", file=self.shown, line=line)
        if self.stack:
            parent = self.stack[-1]
            if local in ROW_TAGS and parent.tag in ROW_PARENTS:
                self.rows.setdefault(id(parent), Rows()).add(element)
            else:
                parent.children.append(element)
        else:
            self.root = element
        self.stack.append(element)
        self.starts.append(self.parser.CurrentByteIndex if local in _KEEP_SOURCE or ":" in tag else -1)

    def end(self, tag: str) -> None:
        if tag == self.mark:
            return
        element, begin = self.stack.pop(), self.starts.pop()
        if begin >= 0:
            first = self.offset(begin)
            close = _tag_end(self.data, first)
            if self.data[close - 1 : close] != b"/":  # not self-closing: up to the end of its end tag
                close = self.data.find(b">", self.offset(self.parser.CurrentByteIndex))
            element.raw = self.data[first : close + 1].decode("utf-8", "replace")

    def text(self, data: str) -> None:
        if self.stack and data.strip():
            self.stack[-1].text += data
        if self.fast and self.mark in data:
            raise _Restart

    def comment(self, data: str) -> None:
        if self.fast and self.mark in data:
            raise _Restart

    def doctype(self, name: str, system: str | None, public: str | None, internal: int) -> None:
        if system is not None or public is not None:
            raise DocumentError(
                "the document refers to an external document type, which no NeuroML or LEMS file needs; remove the "
                "DOCTYPE", file=self.shown, line=self.parser.CurrentLineNumber + self.removed,
            )  # fmt: skip

    def entity(self, *_: Any) -> None:
        raise DocumentError(
            "the document declares an entity, which no NeuroML or LEMS file needs; remove the DOCTYPE",
            file=self.shown, line=self.parser.CurrentLineNumber + self.removed,
        )  # fmt: skip


def _tag_end(data: Any, start: int) -> int:
    """Where a start tag ends, quoted text passed over."""
    quote = b""
    position = start
    while position < len(data):
        byte = data[position : position + 1]
        if quote:
            if byte == quote:
                quote = b""
        elif byte in (b'"', b"'"):
            quote = byte
        elif byte == b">":
            return position
        position += 1
    return position
