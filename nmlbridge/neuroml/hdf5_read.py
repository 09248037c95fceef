"""Reading NeuroML2 HDF5: the three dialects in use, and what nmlbridge adds.

Old libNeuroML files have positions as four columns without names; the Java writer makes every attribute an array of one
text, the size a text too, and leaves the ids of inputs out; new libNeuroML files name all columns. The rows become
Blocks, and from there on a network is built and checked as one from XML is.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from ..element import Element
from ..errors import DocumentError
from ..report import Report
from .document import SourceFile
from .hdf5_write import DESTINATION, MORE, NAMES, ROWS, SINGLE, SKELETON
from .rows import Block, References
from .xml_read import Rows, read_text

_PREFIXES = ("population_", "projection_", "inputList_", "input_list_")
_PICKLED_NONE = "N."  # what PyTables writes for None
_INSTANCES = {3: ("x", "y", "z"), 4: ("id", "x", "y", "z")}
_INPUTS = {
    3: ("target_cell_id", "segment_id", "fraction_along"),
    4: ("id", "target_cell_id", "segment_id", "fraction_along"),
    5: ("id", "target_cell_id", "segment_id", "fraction_along", "weight"),
}
_PLACED = ("pre_cell_id", "post_cell_id", "pre_segment_id", "post_segment_id", "pre_fraction_along",
           "post_fraction_along")  # fmt: skip
_CONNECTIONS = {2: _PLACED[:2], 6: _PLACED, 7: ("id", *_PLACED), 8: ("id", *_PLACED, "weight")}
_MAX_ELEMENTS = 1 << 34
_BLOCK = 1 << 17  # rows that are read at one time
_CONFIG = "these are {} of SONATA: read the circuit_config.json that lists the file"
_RESULTS = "these are results of SONATA: see nmlbridge results"
_OTHERS = {"nodes": _CONFIG.format("nodes"), "edges": _CONFIG.format("edges"), "spikes": _RESULTS, "report": _RESULTS}


def read_hdf5(path: Path, shown: str, report: Report | None = None) -> SourceFile:
    """Read one file; includes of its top-level XML are left to the caller. ``report`` hears how far it is.

    Raises DocumentError for what is no HDF5, no NeuroML, cut short, or reaches out of the file.
    """
    try:
        with h5py.File(path, "r") as file:
            return Reader(file, path, shown, report or Report()).run()
    except DocumentError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
        if not h5py.is_hdf5(path):
            raise DocumentError("this is not an HDF5 file, or its beginning is lost", file=shown) from None
        why = str(error).split("\n")[0][:160]
        raise DocumentError(f"the HDF5 file cannot be read; it seems to be cut short or damaged ({why})",
                            file=shown) from None  # fmt: skip


class Reader:
    """One open file, and what is in it."""

    def __init__(self, file: h5py.File, path: Path, shown: str, report: Report) -> None:
        self.file, self.path, self.shown, self.report = file, path, shown, report
        self.rows: dict[int, Rows] = {}

    def run(self) -> SourceFile:
        top = self.groups(self.file).get("neuroml")
        if top is None:
            kind = next((hint for group, hint in _OTHERS.items() if group in self.file), "this is not NeuroML2 HDF5")
            raise DocumentError(f"the HDF5 file has no group /neuroml; {kind}", file=self.shown)
        text = self.text(top, "neuroml_top_level")
        if text:
            root = self.parsed(text)
            if root.tag != "neuroml":
                raise DocumentError("neuroml_top_level holds no <neuroml> element", file=self.shown)
        else:
            root = Element("neuroml", {"id": self.text(top, "id") or "unnamed"}, file=self.shown)
        notes = self.text(top, "notes")
        if notes and root.find("notes") is None:
            root.children.insert(0, Element("notes", text=notes, file=self.shown))
        inside = self.groups(top)
        if "network" in inside:
            root.children.append(self.network(inside["network"]))
        more = self.groups(self.file).get(MORE)
        if more is not None:
            root.children += [self.network(group) for _, group in sorted(self.groups(more).items())]
        return SourceFile(self.path, root, "hdf5", self.rows)

    # what an HDF5 file is made of ----------------------------------------------------------------------------------

    def refuse(self, owner: Any, message: str) -> Any:
        raise DocumentError(message, file=self.shown, component=owner.name)

    def members(self, group: Any) -> dict[str, Any]:
        """What stands in a group itself; links to other places are refused."""
        found = {}
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                self.refuse(group, f"'{name[:60]}' is a link; a NeuroML HDF5 file must hold its data itself")
            found[name] = group[name]
        return found

    def groups(self, group: Any) -> dict[str, Any]:
        return {name: item for name, item in self.members(group).items() if isinstance(item, h5py.Group)}

    def text(self, owner: Any, name: str) -> str | None:
        """An attribute as text: bytes, str, or an array of one of them."""
        if name not in owner.attrs:
            return None
        value = owner.attrs[name]
        if isinstance(value, h5py.Empty):
            return None
        if isinstance(value, np.ndarray):
            if value.size == 0:
                return None
            value = value.ravel()[0]
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        value = str(value)
        return None if value == _PICKLED_NONE else value

    def parsed(self, text: str) -> Element:
        """The elements of an attribute that holds XML; they have no lines in the file."""
        root = read_text(text.encode(), self.path, self.shown).root
        for element in root.iter():
            element.line = 0
        return root

    def need(self, owner: Any, name: str) -> str:
        return self.text(owner, name) or self.refuse(owner, f"the attribute '{name}' is missing")

    def dataset(self, group: Any, layouts: dict[int, tuple[str, ...]]) -> tuple[Any, tuple[str | None, ...]] | None:
        """The dataset of a group with the names of its columns, its rows unread; None if there is none."""
        datasets = [item for item in self.members(group).values() if isinstance(item, h5py.Dataset)]
        if not datasets:
            return None
        if len(datasets) > 1:
            self.refuse(group, "there are several tables; expected one")
        data = datasets[0]
        if data.external or data.is_virtual:
            self.refuse(group, "the table's data are in another file; a NeuroML HDF5 file must hold its data itself")
        if data.ndim != 2 or data.dtype.kind not in "fiu" or data.size > _MAX_ELEMENTS:
            self.refuse(group, f"expected a table of numbers (rows, columns), found {data.dtype} of shape {data.shape}")
        width = data.shape[1]
        names: tuple[str | None, ...] = tuple(self.text(data, f"column_{number}") for number in range(width))
        if not any(names):
            if width not in layouts:
                self.refuse(group, f"the table's {width} columns have no names; expected column_0, column_1 ...")
            names = layouts[width]
        return data, names

    def table(self, group: Any, layouts: dict[int, tuple[str, ...]]) -> tuple[dict[str, Any], int] | None:
        """The columns of a group's dataset by name, and how many rows; None if there is none."""
        found = self.dataset(group, layouts)
        if found is None:
            return None
        data, names = found
        count = len(data)
        values = np.empty(data.shape, data.dtype)
        phase = f"read {data.name.rpartition('/')[2]}"
        for start in range(0, count, _BLOCK):
            data.read_direct(values, np.s_[start : start + _BLOCK], np.s_[start : start + _BLOCK])
            self.report.tell(phase, min(start + _BLOCK, count), count)
        return {name: values[:, number] for number, name in enumerate(names) if name}, count

    def table_groups(self) -> Iterator[Any]:
        """The groups of all networks in the file that hold the rows of one population, projection or input list."""
        homes = []
        if "neuroml" in self.file:
            homes += [group for name, group in self.groups(self.file["neuroml"]).items() if name == "network"]
        if MORE in self.file:
            homes += self.groups(self.file[MORE]).values()
        for home in homes:
            yield from (group for name, group in self.groups(home).items() if name.startswith(_PREFIXES))

    def layout(self, group: Any) -> tuple[str, Any, tuple[str | None, ...]]:
        """The kind of such a group, its dataset (None where it has no rows) and the names of the columns."""
        name = group.name.rpartition("/")[2]
        kind, layouts = "inputList", _INPUTS
        if name.startswith("population_"):
            kind, layouts = "population", _INSTANCES
        elif name.startswith("projection_"):
            kind, layouts = self.text(group, "type") or "projection", _CONNECTIONS
        return (kind, *(self.dataset(group, layouts) or (None, ())))

    def whole(self, group: Any, name: str, column: Any) -> Any:
        """A column as int64. Raises DocumentError if it has fractions or is not finite."""
        numbers = np.asarray(column, dtype=np.int64 if column.dtype.kind in "iu" else np.float64)
        if numbers.dtype.kind == "f":
            good = np.isfinite(numbers) & (numbers == np.floor(numbers)) & (np.abs(numbers) < 2.0**53)
            if not good.all():
                self.refuse(group, f"the column {name} has {numbers[~good][0]}; expected whole numbers")
        return numbers.astype(np.int64)

    def decimal(self, group: Any, name: str, column: Any) -> Any:
        """A column as float64. Raises DocumentError if it is not finite."""
        numbers = np.asarray(column, dtype=np.float64)
        if not np.isfinite(numbers).all():
            self.refuse(group, f"the column {name} has a value that is not finite")
        return numbers

    # NeuroML -------------------------------------------------------------------------------------------------------

    def network(self, group: Any) -> Element:
        text = self.text(group, SKELETON)
        element = None
        if text is not None:
            element = self.parsed(text)
            if element.tag != "network":
                self.refuse(group, f"the attribute {SKELETON} holds no <network> element")
        whole = Element("network", {"id": self.need(group, "id")}, file=self.shown)
        temperature = self.text(group, "temperature")
        if temperature:
            whole.attributes |= {"type": "networkWithTemperature", "temperature": temperature}
        notes = self.text(group, "notes")
        if element is not None:
            whole.attributes = element.attributes | whole.attributes
        elif notes:
            whole.children.append(Element("notes", text=notes, file=self.shown))
        parts = {}
        for name, item in sorted(self.groups(group).items(), key=lambda pair: not pair[0].startswith("population_")):
            if name.startswith(_PREFIXES) and self.text(item, SINGLE) is None:
                part = self.part(name, item)
                parts[part.tag, part.get("id")] = part
        for child in element.children if element is not None else ():
            if child.tag not in _ROW_OWNERS:
                whole.children.append(child)
                continue
            stored = parts.pop((child.tag, child.get("id")), None)
            if stored is not None:
                # the standard attributes count, the skeleton adds to them
                child.attributes = child.attributes | stored.attributes
                self.rows[id(child)] = self.rows.pop(id(stored), Rows())
                whole.children.append(child)
        whole.children += parts.values()
        return whole

    def part(self, name: str, group: Any) -> Element:
        if name.startswith("population_"):
            return self.population(group)
        if name.startswith("projection_"):
            return self.projection(group)
        return self.inputs(group)

    def population(self, group: Any) -> Element:
        attributes = {"id": self.need(group, "id"), "component": self.need(group, "component")}
        kind = self.text(group, "type")
        if kind and kind != "population":
            attributes["type"] = kind
        attributes["size"] = self.text(group, "size") or "0"
        element = Element("population", attributes, file=self.shown)
        for name in group.attrs:
            if name.startswith("property:"):
                values = {"tag": name.removeprefix("property:"), "value": self.text(group, name) or ""}
                element.children.append(Element("property", values, file=self.shown))
        found = self.table(group, _INSTANCES)
        if found is not None:
            columns, count = found
            block: dict[str, Any] = {}
            if "id" in columns:
                block["id"] = self.whole(group, "id", columns["id"])
            elif "x" in columns:
                block["id"] = np.arange(count)
            for axis in "xyz":
                if axis in columns:
                    block[axis] = self.decimal(group, axis, columns[axis])
            if "x" in block and not ("y" in block and "z" in block):
                self.refuse(group, "the table has x but not y and z")
            self.put(element, Block("instance", count, block))
        return element

    def put(self, element: Element, block: Block) -> None:
        self.rows[id(element)] = Rows([block] if block.count else [])

    def projection(self, group: Any) -> Element:
        tag = self.text(group, "type") or "projection"
        if tag not in ("projection", "electricalProjection", "continuousProjection"):
            self.refuse(group, f"the type '{tag[:60]}' is no kind of projection")
        pre, post = self.need(group, "presynapticPopulation"), self.need(group, "postsynapticPopulation")
        attributes = {"id": self.need(group, "id"), "presynapticPopulation": pre, "postsynapticPopulation": post}
        names = {"electricalProjection": ("synapse",), "continuousProjection": ("preComponent", "postComponent")}
        if tag == "projection":
            attributes["synapse"] = self.need(group, "synapse")
        element = Element(tag, attributes, file=self.shown)
        found = self.table(group, _CONNECTIONS)
        if found is None:
            return element
        columns, count = found
        block = self.ends(group, columns, (("pre_cell_id", "preCellId", pre), ("post_cell_id", "postCellId", post)))
        for side in ("pre", "post"):
            if f"{side}_segment_id" in columns:
                name = f"{side}_segment_id"
                block[f"{side}SegmentId"] = self.whole(group, name, columns[name])
            if f"{side}_fraction_along" in columns:
                name = f"{side}_fraction_along"
                block[f"{side}FractionAlong"] = self.decimal(group, name, columns[name])
        if "weight" in columns:
            block["weight"] = self.decimal(group, "weight", columns["weight"])
        if "delay" in columns:
            block["delay"] = (self.decimal(group, "delay", columns["delay"]), "ms")
        for name in names.get(tag, ()):
            block[name] = self.named(group, name, columns, count)
        destination = self.text(group, DESTINATION)
        if destination:
            block["destination"] = destination
        self.put(element, Block(self.row_tag(group, tag, block), count, block))
        return element

    def ends(self, group: Any, columns: dict[str, Any], ends: tuple[tuple[str, str, str], ...]) -> dict[str, Any]:
        """The ids of rows, and the cells that they refer to."""
        count = len(next(iter(columns.values()), ()))
        block: dict[str, Any] = {
            "id": self.whole(group, "id", columns["id"]) if "id" in columns else np.arange(count)
        }  # fmt: skip
        for column, attribute, population in ends:
            if column not in columns:
                self.refuse(group, f"the table has no column {column}")
            block[attribute] = References(population, self.whole(group, column, columns[column]))
        return block

    def named(self, group: Any, name: str, columns: dict[str, Any], count: int) -> str | list[str]:
        """The component of all rows, or of each."""
        one = self.need(group, name)
        listed = self.text(group, f"{NAMES}_{name}")
        if listed is None or f"{name}_index" not in columns:
            return one
        values = listed.split("\n")
        index = self.whole(group, f"{name}_index", columns[f"{name}_index"])
        if count and not (0 <= index.min() and index.max() < len(values)):
            self.refuse(group, f"the column {name}_index points outside the {len(values)} names")
        return [values[i] for i in index.tolist()]

    def row_tag(self, group: Any, tag: str, block: dict[str, Any]) -> str:
        stored = self.text(group, ROWS)
        if stored:
            return stored
        if tag == "projection":
            return "connectionWD" if "weight" in block or "delay" in block else "connection"
        return tag.replace("Projection", "ConnectionInstanceW" if "weight" in block else "ConnectionInstance")

    def inputs(self, group: Any) -> Element:
        population = self.need(group, "population")
        attributes = {"id": self.need(group, "id"), "population": population,
                      "component": self.need(group, "component")}  # fmt: skip
        element = Element("inputList", attributes, file=self.shown)
        found = self.table(group, _INPUTS)
        if found is None:
            return element
        columns, count = found
        block = self.ends(group, columns, (("target_cell_id", "target", population),))
        if "segment_id" in columns:
            block["segmentId"] = self.whole(group, "segment_id", columns["segment_id"])
        if "fraction_along" in columns:
            block["fractionAlong"] = self.decimal(group, "fraction_along", columns["fraction_along"])
        if "weight" in columns:
            block["weight"] = self.decimal(group, "weight", columns["weight"])
        block["destination"] = self.text(group, DESTINATION) or "synapses"  # the only one that the schema knows
        self.put(element, Block("inputW" if "weight" in block else "input", count, block))
        return element


_ROW_OWNERS = frozenset({"population", "projection", "electricalProjection", "continuousProjection", "inputList"})
