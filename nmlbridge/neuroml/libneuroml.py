"""For people who live in libNeuroML: a Network as its objects, and back.

Both ways go through a NeuroML file, so what libNeuroML can hold is carried over as the standard says.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..graph import Network
from ..report import Report


def _neuroml() -> Any:
    try:
        import neuroml.loaders
        import neuroml.writers
    except ImportError:
        raise UsageError("this needs libNeuroML; install it with: pip install libNeuroML") from None
    return neuroml


def to_libneuroml(network: Network, report: Report | None = None) -> Any:
    """The network and its components as a ``neuroml.NeuroMLDocument``; what that cannot hold is noted as a loss.

    Raises UsageError without libNeuroML.
    """
    from .formats import write_xml

    library = _neuroml()
    held = {item.get_data_type() for cls in library.NeuroMLDocument.__mro__ for item in _members(cls)}
    report = report if report is not None else Report()
    for element in network.components:
        if element.tag[:1].upper() + element.tag[1:] not in held:
            report.add("no-libneuroml-class", "loss", f"a libNeuroML document cannot hold a <{element.tag}>",
                       file=element.file or None, line=element.line or None, component=element.get("id"))  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.nml"
        write_xml(network, path)
        return library.loaders.NeuroMLLoader.load(str(path))


def _members(cls: type) -> Any:
    items = cls.__dict__.get("member_data_items_", ())
    return items.values() if isinstance(items, dict) else items


def from_libneuroml(document: Any, report: Report | None = None) -> Network:
    """A ``neuroml.NeuroMLDocument`` (its includes not followed) as a Network. Raises UsageError without libNeuroML."""
    from .document import SourceFile, assemble
    from .formats import as_network
    from .xml_read import read_tree

    library = _neuroml()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.nml"
        library.writers.NeuroMLWriter.write(document, str(path))
        tree = read_tree(path)
        return as_network(assemble(path, [SourceFile(path, tree.root, "neuroml", tree.rows)], report), report)
