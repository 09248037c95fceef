"""The formats of results: built-ins and entry points of other packages (group ``nmlbridge.results_formats``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from ..errors import DocumentError, UsageError
from ..files import within_memory
from ..registry import record_table, resolve_name
from ..report import Report
from .results import Results

_HEAD = 65536  # bytes that are looked at to tell what a file is


@dataclass(frozen=True)
class ResultsFormat:
    """A format of results: what it is called, how it is told from others, who reads and writes it, what it can carry.

    ``reader`` is (path, report) -> Results, ``writer`` is (results, path, report) -> None, as "module:attribute" or
    the function itself; None where that direction is not there. ``sniff`` is told a path and the first bytes of that
    file (none for a folder). ``features`` are among traces, spikes, populations (the silent cells too), units,
    provenance, several time axes.
    """

    name: str
    title: str
    extensions: tuple[str, ...]
    specification: str
    reader: str | Callable[..., Results] | None = None
    writer: str | Callable[..., None] | None = None
    sniff: Callable[[Path, bytes], bool] = lambda path, head: False
    features: frozenset[str] = frozenset()
    extra: str | None = None

    def read(self, path: str | Path, report: Report | None = None) -> Results:
        """Read ``path``; raises DocumentError for what is no such file, UsageError without the optional package."""
        if self.reader is None:
            raise UsageError(f"{self.title} can be written but not read")
        with within_memory(Path(path)):
            results: Results = resolve_name(self.reader)(Path(path), report if report is not None else Report())
        return results

    def write(self, results: Results, path: str | Path, report: Report | None = None) -> None:
        """Write ``results`` to ``path``; what the format cannot carry is noted in ``report``."""
        if self.writer is None:
            raise UsageError(f"{self.title} can be read but not written")
        resolve_name(self.writer)(results, Path(path), report if report is not None else Report())


_LEMS_RUN = "nmlbridge.neuroml.outputs:read_lems_run"
_HERE = "nmlbridge.results.formats"
_HDF5 = b"\x89HDF\r\n\x1a\n"
_ALL = frozenset({"traces", "spikes", "populations", "units", "provenance"})


def _hdf5_with(group: str) -> Callable[[Path, bytes], bool]:
    """Whether an HDF5 file has something of this name at its top."""

    def sniff(path: Path, head: bytes) -> bool:
        if not head.startswith(_HDF5):
            return False
        import h5py

        try:
            with h5py.File(path, "r") as file:
                return group in file
        except (OSError, RuntimeError):  # the latter is HDF5 on a damaged table of contents
            return False

    return sniff


def _sonata(path: Path, head: bytes) -> bool:
    if path.is_dir():
        return any(_sonata(file, _HDF5) for file in sorted(path.glob("*.h5")))
    return any(_hdf5_with(group)(path, head) for group in ("spikes", "report", "mapping"))


def _is_run(path: Path, head: bytes) -> bool:
    """A manifest that a run has left, or a folder with one."""
    if path.is_dir():
        return any(path.glob("*.run.json"))
    return path.name.endswith(".run.json") and head.lstrip().startswith(b"{")


def _is_xml(head: bytes) -> bool:
    """Whether the text begins as XML does: an NWB file may hold a whole LEMS document as its source."""
    return head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<")


def _is_table(path: Path, head: bytes) -> bool:
    """Rows of numbers, without a header."""
    try:
        words = head.partition(b"\n")[0].replace(b",", b" ").split()
        return bool(words) and all(float(word) == float(word) or True for word in words)
    except ValueError:
        return False


_FORMATS = (
    ResultsFormat(
        name="lems-run",
        title="the output of a LEMS file, found beside it",
        extensions=(),
        specification="https://docs.neuroml.org/Userdocs/LEMS_elements/Simulation.html",
        reader=_LEMS_RUN,
        sniff=lambda path, head: _is_xml(head) and (b"<Lems" in head or b"<LEMS" in head),
        features=frozenset({"traces", "spikes", "populations", "units"}),
    ),
    ResultsFormat(
        name="run",
        title="the folder of a run of nmlbridge",
        extensions=(),
        specification="https://docs.neuroml.org/Userdocs/LEMS_elements/Simulation.html",
        reader=f"{_HERE}.run:read",
        sniff=_is_run,
        features=_ALL,
    ),
    ResultsFormat(
        name="dat",
        title="LEMS output and event files",
        extensions=(".dat", ".spikes"),
        specification="https://docs.neuroml.org/Userdocs/LEMS_elements/Simulation.html",
        reader=f"{_HERE}.dat:read",
        writer=f"{_HERE}.dat:write",
        sniff=lambda path, head: _is_table(path, head) and b"," not in head.partition(b"\n")[0],
        features=_ALL,
    ),
    ResultsFormat(
        name="csv",
        title="comma-separated values",
        extensions=(".csv",),
        specification="https://www.rfc-editor.org/rfc/rfc4180",
        reader=f"{_HERE}.csv:read",
        writer=f"{_HERE}.csv:write",
        sniff=lambda path, head: head.lstrip(b'\xef\xbb\xbf"').lower().startswith((b"time", b"population,")),
        features=frozenset({"traces", "spikes", "units"}),
    ),
    ResultsFormat(
        name="sonata",
        title="SONATA spikes and reports",
        extensions=(".h5", ".sonata"),
        specification="https://github.com/AllenInstitute/sonata/blob/master/docs/SONATA_DEVELOPER_GUIDE.md",
        reader=f"{_HERE}.sonata:read",
        writer=f"{_HERE}.sonata:write",
        sniff=_sonata,
        features=frozenset({"traces", "spikes", "units"}),
    ),
    ResultsFormat(
        name="nwb",
        title="Neurodata Without Borders 2",
        extensions=(".nwb",),
        specification="https://nwb-schema.readthedocs.io",
        reader=f"{_HERE}.nwb:read",
        writer=f"{_HERE}.nwb:write",
        sniff=_hdf5_with("specifications"),
        features=_ALL,
        extra="nwb",
    ),
    ResultsFormat(
        name="nix",
        title="NIX, by way of Neo",
        extensions=(".nix",),
        specification="https://neo.readthedocs.io",
        reader=f"{_HERE}.neo:read",
        writer=f"{_HERE}.neo:write",
        sniff=_hdf5_with("metadata"),
        features=_ALL,
        extra="neo",
    ),
    ResultsFormat(
        name="netpyne",
        title="NetPyNE's saved simulation (JSON)",
        extensions=(".json",),
        specification="http://doc.netpyne.org/user_documentation.html",
        reader=f"{_HERE}.netpyne:read",
        writer=f"{_HERE}.netpyne:write",
        sniff=lambda path, head: head.lstrip().startswith(b"{"),
        features=_ALL,
    ),
    ResultsFormat(
        name="mat",
        title="MATLAB 5",
        extensions=(".mat",),
        specification="https://www.mathworks.com/help/pdf_doc/matlab/matfile_format.pdf",
        reader=f"{_HERE}.mat:read",
        writer=f"{_HERE}.mat:write",
        sniff=lambda path, head: head.startswith(b"MATLAB 5.0"),
        features=_ALL,
        extra="mat",
    ),
)


@cache
def results_formats() -> Mapping[str, ResultsFormat]:
    """All formats of results by name, the built-in ones first."""
    return record_table(ResultsFormat, _FORMATS, "nmlbridge.results_formats")


def _named(name: str) -> ResultsFormat:
    try:
        return results_formats()[name]
    except KeyError:
        raise UsageError(f"there is no format of results '{name}'; there are: {', '.join(results_formats())}") from None


def results_format_to_read(path: str | Path) -> ResultsFormat:
    """The format of an existing file or folder, told by its content. Raises DocumentError if none claims it."""
    path = Path(path)
    try:
        head = b"" if path.is_dir() else _first_bytes(path)
    except OSError as fault:
        why = "there is no such file" if isinstance(fault, FileNotFoundError) else f"cannot be read: {fault.strerror}"
        raise DocumentError(why, file=str(path)) from None
    if head[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05"):
        raise DocumentError("this is a pickle, which can run any code and is never read; save JSON", file=str(path))
    for record in results_formats().values():
        if record.reader is not None and record.sniff(path, head):
            return record
    by_name = [r for r in results_formats().values() if r.reader and path.name.lower().endswith(r.extensions or "\0")]
    if by_name and not head and not path.is_dir():
        return by_name[0]  # an empty file: of events that never happened, if its format says so
    if path.is_dir():
        parts = sorted(path.rglob("*.part"))
        why = (f"the run that wrote here ended early; what it had recorded is in {parts[0].relative_to(path)}" if parts
               else "no run has written here (there is no .run.json, and no .h5 of SONATA results); run a model with "
               "-o and this folder, or name a file of results")  # fmt: skip
        raise DocumentError(why, file=str(path))
    known = ", ".join(r.title for r in results_formats().values() if r.reader)
    raise DocumentError(f"the content is none of: {known}", file=str(path))


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as stream:
        return stream.read(_HEAD)


def results_format_to_write(path: str | Path) -> ResultsFormat:
    """The format that a new file's name asks for. Raises UsageError if there is none."""
    name = Path(path).name.lower()
    for record in results_formats().values():
        if record.writer is not None and name.endswith(record.extensions):
            return record
    known = sorted({e for r in results_formats().values() if r.writer is not None for e in r.extensions})
    raise UsageError(f"'{path}' has none of the extensions of results: {', '.join(known)}; or name the format")


def read_results(
    path: str | Path, *, format: str | None = None, report: Report | None = None, folder: str | Path | None = None
) -> Results:
    """Read a file of results; its content tells the format unless ``format`` names it. All numbers become SI.

    A LEMS file means the output files that it names, in ``folder`` (default: where it lies itself). What could not be
    taken over is noted in ``report``.
    Raises DocumentError for what is no such file, UsageError for an unknown format or a missing optional package.
    """
    record = _named(format) if format is not None else results_format_to_read(path)
    if folder is None:
        return record.read(path, report)
    if record.name != "lems-run":
        raise UsageError(f"a folder of outputs goes with a LEMS file; '{path}' is {record.title}")
    found: Results = resolve_name(_LEMS_RUN)(Path(path), report if report is not None else Report(), Path(folder))
    return found


def write_results(
    results: Results, path: str | Path, *, format: str | None = None, report: Report | None = None
) -> None:
    """Write results to a file; its name tells the format unless ``format`` names it.

    The file appears whole or not at all. What the format cannot carry is noted in ``report``.
    """
    record = _named(format) if format is not None else results_format_to_write(path)
    record.write(results, path, report)
