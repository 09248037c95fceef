"""Mechanisms compiled into a library that NEURON loads, kept in the user's cache under a hash of what went in.

The cache is $NMLBRIDGE_CACHE, or $XDG_CACHE_HOME/nmlbridge, or ~/.cache/nmlbridge. In it ``neuron/<hash>/`` holds one
library, and ``neuron/objects/`` the compiled sources, found again by each mechanism in them: a model of which one
mechanism changed compiles that one alone. Everything is made in a temporary folder and moved into place when it is
whole, so two processes can build at once; a lock that the system drops with its holder makes the second one wait and
find the work done.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

from ...errors import SimulatorError
from ..program import check_mod_names
from . import stepping, tree
from .coreneuron import core_library
from .toolchain import Toolchain, find_toolchain
from .unity import join
from .vectorise import vectorised

LARGEST = 24  # mechanisms in one source: bounds the compiler's memory (about 20 MB each) and what is lost by a change
PATIENCE = 600.0  # seconds to wait for another process that builds the same library
_LIBRARY = "libnrnmech.so" if sys.platform != "darwin" else "libnrnmech.dylib"

Step = Callable[[float, float], None]  # progress(done, total), in mechanisms


def cache_folder() -> Path:
    """Where compiled mechanisms are kept."""
    if chosen := os.environ.get("NMLBRIDGE_CACHE"):
        return Path(chosen).expanduser().absolute() / "neuron"
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home).expanduser().absolute() / "nmlbridge" / "neuron"


def compile_mods(
    mods: Mapping[str, str], *, coreneuron: bool = False, jobs: int | None = None, progress: Step | None = None
) -> Path | None:
    """The library with these mechanisms (file name -> NMODL text), built unless the cache has it; None for no mods.

    ``jobs`` compilers run at once (the number of usable processors if not given). Raises SimulatorError if there is no
    compiler or no NEURON, or with the compiler's words if a mechanism does not compile; ValueError for a file name that
    may not stand in generated code.
    """
    if not mods:
        return None
    check_mod_names(mods)  # names become part of what is compiled
    tools = find_toolchain()
    key = _key(tools, mods, coreneuron)
    cache = cache_folder()
    library = cache / key / _LIBRARY
    if library.is_file():
        return library
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with _alone(cache / f"{key}.lock"), tempfile.TemporaryDirectory(prefix="build-", dir=cache) as folder:
            if library.is_file():  # another process built it while this one waited
                return library
            step = progress or (lambda done, total: None)
            build = Build(tools, cache, Path(folder), mods, jobs or processors(), step)
            made = build.with_coreneuron() if coreneuron else build.library()
            _publish(made.parent, library.parent)
    except OSError as fault:
        raise SimulatorError(
            f"cannot build mechanisms in {cache}: {fault.strerror or fault}; set $NMLBRIDGE_CACHE to a folder of yours"
        ) from fault
    return library


def compiled(mods: Mapping[str, str], *, coreneuron: bool = False) -> bool:
    """Whether the cache has the library with these mechanisms."""
    return (cache_folder() / _key(find_toolchain(), mods, coreneuron) / _LIBRARY).is_file()


def outstanding(mods: Mapping[str, str]) -> tuple[list[str], int, bool]:
    """What ``compile_mods`` would compile now: mechanisms that the cache lacks, in how many units, and whether the part
    that all libraries share as well."""
    tools, cache = find_toolchain(), cache_folder()
    cache.mkdir(parents=True, exist_ok=True)
    build = Build(tools, cache, cache, mods, processors(), lambda done, total: None)
    missing = build._cached()[1]
    units = len(_batches({name: mods[name] for name in missing}, processors())) if missing else 0
    return missing, units, not build.kept_object("solver", stepping.NEURON).is_file()


def _key(tools: Toolchain, mods: Mapping[str, str], coreneuron: bool) -> str:
    made = ("coreneuron 3", stepping.NEURON, tree.CORE) if coreneuron else ("neuron", stepping.NEURON)
    return _hash(tools.identity, *made, *(f"{n}\n{mods[n]}" for n in sorted(mods)))


class Build:
    """One library in the making, in a folder of its own."""

    def __init__(
        self, tools: Toolchain, cache: Path, folder: Path, mods: Mapping[str, str], jobs: int, progress: Step
    ) -> None:
        self.tools, self.folder, self.mods, self.jobs, self.progress = tools, folder, mods, jobs, progress
        self.objects = cache / "objects"
        self.objects.mkdir(exist_ok=True)
        self.key = _hash(tools.identity)
        self.done = 0
        self.running = Running(tools.environment | {"TMPDIR": str(folder)}, folder)

    def library(self) -> Path:
        """Translate, compile in parallel what the cache lacks, link; the path of the library in this folder."""
        found, missing = self._cached()
        with ThreadPoolExecutor(1) as pool:
            solver = pool.submit(self.kept, "solver", stepping.NEURON, self._object)
            try:
                return self._linked([*found, *self._compiled_all(missing), *solver.result()])
            except SimulatorError:
                if not found or self.running.stopped:
                    raise
        # An object of the cache may hold another mechanism of the same SUFFIX, which is not wanted here.
        return self._linked([*self._compiled_all(list(self.mods)), *solver.result()])

    def kept_object(self, stem: str, text: str) -> Path:
        """Where the cache has such an object, or would have it."""
        return self.objects / f"{stem}-{_hash(self.tools.identity, text)}.o"

    def kept(self, stem: str, text: str, make: Callable[[str, Path, str], None]) -> list[Path]:
        """The object of a source of ours that NEURON can do without, from the cache or put there; none if it fails."""
        kept = self.kept_object(stem, text)
        if not kept.is_file():
            made = self.folder / f"{stem}.o"
            try:
                make(text, made, stem)
            except SimulatorError:
                if self.running.stopped:
                    raise
                return []
            os.replace(made, kept)
        return [kept]

    def _compiled_all(self, names: Sequence[str]) -> list[Path]:
        """The objects of these mechanisms, all compiled now."""
        self.done = len(self.mods) - len(names)
        self.progress(self.done, len(self.mods))
        with ThreadPoolExecutor(self.jobs) as pool:
            try:
                sources = dict(zip(names, pool.map(self._translated, names), strict=True))
                made = pool.map(lambda batch: self._compiled(batch, sources), _batches(sources, self.jobs))
                return [path for paths in made for path in paths]
            except BaseException:
                self.running.stop()
                raise

    def with_coreneuron(self) -> Path:
        """The same, with CoreNEURON's library beside it."""
        made = self.library()
        core_library(self, made.parent)
        return made

    def _identity(self, name: str) -> str:
        return _hash(self.tools.identity, name, self.mods[name])

    def _cached(self) -> tuple[list[Path], list[str]]:
        """Objects of the cache with mechanisms of this library, and the names of the mechanisms that none has.

        An object may hold mechanisms that are not wanted: they are linked but never registered. Two objects must not
        define the same name.
        """
        found: list[Path] = []
        missing, linked = [], dict.fromkeys(self.mods, False)
        for name in sorted(self.mods):
            if linked[name]:
                continue
            try:
                object_name = (self.objects / self._identity(name)).read_text()
                content = (self.objects / f"{object_name}.txt").read_text().split()
            except OSError:
                missing.append(name)
                continue
            held = dict(zip(content[::2], content[1::2], strict=True))
            clash = any(
                linked.get(other) or (other in self.mods and self._identity(other) != identity)
                for other, identity in held.items()
            )
            if clash or not (self.objects / f"{object_name}.o").is_file():
                missing.append(name)
                continue
            found.append(self.objects / f"{object_name}.o")
            linked.update(dict.fromkeys(held, True))
        return found, [name for name in missing if not linked[name]]

    def _translated(self, name: str) -> str:
        """The C++ text of one mechanism."""
        path = self.folder / name
        path.write_text(self.mods[name])
        self.running.run([str(self.tools.translator), name], f"NEURON cannot translate the mechanism {name}")
        return vectorised(path.with_suffix(".cpp").read_text())

    def _compiled(self, names: Sequence[str], sources: Mapping[str, str]) -> list[Path]:
        """The object of one batch of mechanisms, or their objects one by one, put into the cache."""
        label = f"the mechanism {names[0]} does not compile"
        made = self.folder / f"{names[0]}.o"
        text = join([sources[name] for name in names]) if len(names) > 1 else sources[names[0]]
        try:
            if text is None:
                raise SimulatorError("the sources cannot be joined")
            self._object(text, made, label)
        except SimulatorError:
            if len(names) == 1:
                raise
            # one by one: either the culprit is named, or it was the joining
            return [path for name in names for path in self._compiled([name], sources)]
        identities = {name: self._identity(name) for name in names}
        key = _hash(*sorted(identities.values()))
        (self.folder / f"{key}.txt").write_text("".join(f"{name} {id}\n" for name, id in identities.items()))
        os.replace(made, self.objects / f"{key}.o")
        os.replace(self.folder / f"{key}.txt", self.objects / f"{key}.txt")
        for name, identity in identities.items():
            (self.folder / f"{name}.id").write_text(key)
            os.replace(self.folder / f"{name}.id", self.objects / identity)
        with self.running.lock:
            self.done += len(names)
            self.progress(self.done, len(self.mods))
        return [self.objects / f"{key}.o"]

    def _object(self, text: str, made: Path, label: str) -> None:
        source = made.with_suffix(".unit.cpp")
        source.write_text(text)
        headers = f"-I{self.tools.root / 'include'}"
        self.running.run([*self.tools.compiler, *self.tools.flags, headers, "-c", source.name, "-o", str(made)], label)

    def _linked(self, objects: Sequence[Path]) -> Path:
        """The library: the objects, and the function that NEURON calls to have every mechanism registered."""
        stems = [name.removesuffix(".mod") for name in sorted(self.mods)]
        declared = "".join(f'extern "C" void _{stem}_reg(void);\n' for stem in stems)
        called = "".join(f"    _{stem}_reg();\n" for stem in stems)
        registry = self.folder / "registry.cpp"
        registry.write_text(f'{declared}extern "C" void modl_reg(void) {{\n{called}}}\n')
        made = self.folder / "library" / _LIBRARY
        made.parent.mkdir(exist_ok=True)
        # No rpath: the process that loads it has NEURON loaded already, and must not get a second copy from elsewhere.
        names = [f"-Wl,-soname,{_LIBRARY}"]
        if sys.platform == "darwin":
            names = [f"-Wl,-install_name,@rpath/{_LIBRARY}", f"-Wl,-rpath,{self.tools.library.parent}"]
        command = [*self.tools.compiler, "-shared", "-fPIC", "-O1", "-o", str(made), registry.name, *map(str, objects)]
        self.running.run(
            [*command, *names, f"-L{self.tools.library.parent}", "-lnrniv"], "the mechanisms cannot be linked"
        )
        return made


class Running:
    """The compilers that run now, so that all can be stopped when one fails or the user gives up."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self.environment, self.folder, self.lock = dict(environment), folder, Lock()
        self.processes: set[subprocess.Popen[str]] = set()
        self.stopped = False

    def run(self, command: Sequence[str], failure: str) -> None:
        """Run to the end in the folder; SimulatorError with ``failure`` and the lines that matter if it fails."""
        with self.lock:
            if self.stopped:
                raise SimulatorError("stopped")
            try:
                process = subprocess.Popen(
                    command,
                    cwd=self.folder,
                    env=self.environment,
                    text=True,
                    errors="replace",
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                )
            except OSError as fault:
                raise SimulatorError(f"{failure}: '{command[0]}' does not start: {fault.strerror}") from None
            self.processes.add(process)
        try:
            output, _ = process.communicate()
        finally:
            self.processes.discard(process)
        if process.returncode != 0:
            raise SimulatorError(f"{failure}: {relevant(output) or f'{command[0]} ended with {process.returncode}'}")

    def stop(self) -> None:
        """End what runs, and let nothing new start."""
        with self.lock:
            self.stopped = True
            for process in list(self.processes):
                with suppress(OSError):
                    process.kill()


def relevant(output: str, most: int = 6) -> str:
    """The lines of a compiler's output that say what is wrong, joined into one."""
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line).strip() for line in output.splitlines()]
    lines = [line for line in lines if line and not line.startswith(("Translating", "Thread Safe", "Notice:"))]
    telling = [line for line in lines if re.search(r"\berror\b|undefined|Error|illegal|No such", line)]
    return "; ".join((telling or lines)[:most])


def _batches(sources: Mapping[str, str], jobs: int) -> list[list[str]]:
    """The names in batches of about equal length of text, as many as can run at once, none too large."""
    count = max(min(jobs, len(sources)), -(-len(sources) // LARGEST))
    batches: list[list[str]] = [[] for _ in range(count)]
    sizes = [0] * count
    for name in sorted(sources, key=lambda name: (-len(sources[name]), name)):
        smallest = min((i for i in range(count) if len(batches[i]) < LARGEST), key=lambda i: sizes[i])
        batches[smallest].append(name)
        sizes[smallest] += len(sources[name])
    return [sorted(batch) for batch in batches if batch]


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold the lock at ``path``; the system drops it when its holder ends, however it ends.

    After ``PATIENCE`` seconds go on without: the holder hangs, and building twice is harmless.
    """
    with path.open("a") as stream:
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    break
                time.sleep(0.05)
            except OSError:  # a file system without locks
                break
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def _publish(folder: Path, place: Path) -> None:
    """Move a finished folder into place; if another process was first, keep its."""
    try:
        os.rename(folder, place)
    except OSError:
        if not place.is_dir():
            raise
        if not any(place.iterdir()):
            raise
        shutil.rmtree(folder, ignore_errors=True)


def processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _hash(*parts: str) -> str:
    digest = hashlib.sha256()
    for part in parts:
        raw = part.encode()
        digest.update(len(raw).to_bytes(8, "little"))
        digest.update(raw)
    return digest.hexdigest()[:40]
