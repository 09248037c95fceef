"""Somas that branch, which MorphIO refuses or takes for one line: the longest line of soma points stays, the others
become sections."""

from __future__ import annotations

SOMA = 1
_SPARE = range(19, 4, -1)  # the types that MorphIO leaves to the user


def unbranched(text: str) -> tuple[str, int] | None:
    """An SWC file in which the soma is one line, and the type that its side branches have got instead of 1.

    None if it is one, or three points as NeuroMorpho.Org writes a sphere; or if no type is left. Each side branch
    begins with a copy of the point that it leaves, so that no length is lost. Lines stay where they were; copies come
    at the end.
    """
    lines = text.splitlines()
    rows: dict[str, tuple[int, list[str]]] = {}
    for number, line in enumerate(lines):
        words = line.split("#")[0].split()
        if len(words) >= 7 and words[0] not in rows:
            rows[words[0]] = (number, words)
    types = {words[1] for _, words in rows.values()}
    spare = next((code for code in _SPARE if str(code) not in types), None)
    soma = {id for id, (_, words) in rows.items() if words[1] == str(SOMA)}
    below: dict[str, list[str]] = {}
    for id in soma:
        parent = rows[id][1][6]
        if parent in soma and parent != id:
            below.setdefault(parent, []).append(id)
    if all(len(children) < 2 for children in below.values()) or len(soma) == 3 or spare is None:
        return None
    depth = _depths(soma, below)
    side: list[str] = []
    for children in below.values():
        children.sort(key=lambda id: (-depth[id], rows[id][0]))
        side += children[1:]
    fresh = max((int(id) for id in rows if id.isdigit()), default=0)
    for id in side:
        number, words = rows[id]
        fresh += 1
        start = rows[words[6]][1]
        lines.append(" ".join([str(fresh), str(spare), *start[2:6], words[6]]))
        words[6] = str(fresh)
        reached, waiting = set(), [id]
        while waiting:
            here = waiting.pop()
            if here not in reached:
                reached.add(here)
                waiting += below.get(here, [])[:1]  # what follows in line; branches of the branch are in ``side``
        for here in reached:
            rows[here][1][1] = str(spare)
            lines[rows[here][0]] = " ".join(rows[here][1])
    return "\n".join(lines) + "\n", spare


def _depths(soma: set[str], below: dict[str, list[str]]) -> dict[str, int]:
    """How many soma points follow each in its longest line; points in a circle count as ends."""
    depth: dict[str, int] = {}
    for root in soma:
        stack, open_ = [root], set()
        while stack:
            here = stack[-1]
            left = [id for id in below.get(here, []) if id not in depth and id not in open_]
            if here not in depth and left and here not in open_:
                open_.add(here)
                stack += left
                continue
            depth.setdefault(here, 1 + max((depth.get(id, 0) for id in below.get(here, [])), default=0))
            stack.pop()
    return depth
