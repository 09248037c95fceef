"""CoreNEURON: what it cannot run, and the library of mechanisms in the form that it loads.

NEURON builds the network, hands it over at the start of the simulation, and gets spikes, recorded values and the final
state back. Mechanisms exist twice for that, translated by ``nocmodl`` for NEURON and by ``nmodl`` for CoreNEURON. The
command ``nrnivmodl -coreneuron`` compiles each mechanism by itself, each with the same headers, and those of NEURON
again in each build. Here they are compiled together, NEURON's own once, and ``exp`` is as in the other library.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import SimulatorError, UnsupportedError
from ..program import Program
from . import tree
from .plastic import MECHANISM
from .ranks import Placement
from .shares import hasty
from .stepping import KNOWN
from .vectorise import EACH, EXP

if TYPE_CHECKING:
    from .compile import Build

LIBRARY = "libcorenrnmech.so" if sys.platform != "darwin" else "libcorenrnmech.dylib"
BUILT_IN = ("exp2syn", "expsyn", "hh", "netstim", "passive", "pattern", "stim", "svclmp")
"""The files of NEURON's own mechanisms that CoreNEURON has, all of which its registry asks for."""
NATIVE = {"capacitance", "Exp2Syn", "ExpSyn", "hh", "NetStim", "pas", "PatternStim", "IClamp", "SEClamp"}
LONGEST = 5.0  # ms: half of the longest time that it goes between two exchanges of events
# What a process sends itself it hears of at the next step at the earliest; a time before this step would end the run.
_SENT, _SENT_IN_TIME = "nsb->_nsb_t[i] = t;", "nsb->_nsb_t[i] = t < nt->_t ? nt->_t : t;"
_SPACE = "\nnamespace coreneuron {"
_OWN = EXP + EACH
_LOOP = """        #pragma omp simd
        #pragma ivdep
        for (int id = 0; id < nodecount; id++) {
            int node_id = node_index[id];
"""
_STATIC = re.compile(r"^    static [^=;{(]*?\b(\w+)(?:\[\w*\])* ?[=({;]", re.MULTILINE)
# In case the makefile cannot be read: those of NEURON 9.
_FLAGS = (
    *("-std=c++17", "-DCORENEURON_BUILD", "-DHAVE_MALLOC_H", "-DCORENRN_BUILD=1", "-DEIGEN_DONT_PARALLELIZE"),
    *("-DNRNMPI=1", "-DNRNMPI_DYNAMICLOAD=1", "-DLAYOUT=0", "-DDISABLE_HOC_EXP", "-DENABLE_SPLAYTREE_QUEUING"),
    "-fopenmp",
)


def check(program: Program) -> None:
    """Raise UnsupportedError with everything that the Program needs and CoreNEURON lacks."""
    lacking = list(dict.fromkeys(_lacking(program)))
    if lacking:
        raise UnsupportedError(f"CoreNEURON cannot run this: {'; '.join(lacking)}; leave out --backend coreneuron")


def handed_over(program: Program) -> Program:
    """What lowering makes for CoreNEURON of the model whose Program for NEURON, with fixed steps, this is."""
    run = {**program.spec["run"], "coreneuron": True}
    return Program({**program.spec, "run": run}, program.tables, program.mods)


def check_ranks(program: Program, placement: Placement) -> None:
    """Raise UnsupportedError if ranks would have to hear of each other sooner than CoreNEURON tells them."""
    dt = float(program.spec["run"]["dt"])
    if found := hasty(program, placement, 2 * dt * (1 - 1e-9)):
        raise UnsupportedError(
            f"CoreNEURON cannot run this on {placement.ranks} ranks: {found} connections between them have a "
            f"delay below two steps ({2 * dt:g} ms); use one rank, smaller steps, or leave out --backend coreneuron"
        )


def _lacking(program: Program) -> Iterator[str]:
    spec = program.spec
    if spec["run"].get("cvode"):
        yield "the model asks for variable steps (cvode), and it has fixed steps only (--method best overrides that)"
    if spec.get("rxd"):
        yield "it has no reactions and diffusion"
    if spec["run"].get("pointers"):
        yield "the compatibility scheme couples cells by pointers"
    if spec["run"]["dt"] > LONGEST:
        yield f"the step is {spec['run']['dt']:g} ms, and it takes none above {LONGEST:g} ms"
    for name, text in program.mods.items():
        text = re.sub(r":.*|(?s:\bCOMMENT\b.*?\bENDCOMMENT\b)", "", text)
        if re.search(r"\bVERBATIM\b", text):
            yield f"{name} holds C code (VERBATIM)"
        if name == f"{MECHANISM}.mod":
            yield "plastic connections change weights in NEURON's memory, which it does not share"
        elif re.search(r"\bPOINTER\b", text):
            yield f"{name} holds a POINTER"
        if re.search(r"\bPOINT_PROCESS\b", text) and re.search(r"\b(?:WATCH|net_event)\b", text):
            yield f"'{name.removesuffix('.mod')}' is an abstract cell, whose threshold and reset it handles a step late"
    made = {m for text in program.mods.values() for m in re.findall(
        r"\b(?:SUFFIX|POINT_PROCESS|ARTIFICIAL_CELL)\s+(\w+)", text)}  # fmt: skip
    for mechanism in sorted(set(_mechanisms(spec)) - made - NATIVE):
        if not mechanism.endswith("_ion"):
            yield f"it has no mechanism '{mechanism}'"
    groups = [*spec.get("populations", ()), *spec.get("netcons", ())]
    groups += [generator.get("targets") or {} for generator in spec.get("generators", ())]
    if any("course" in group for group in groups):
        yield "weights and rates that change in time are played in NEURON's memory, which it does not share"
    if any("trains" in population for population in spec.get("populations", ())):
        yield "given spike trains are told to NEURON's sources at the start, which are not handed over"


def _mechanisms(spec: Mapping[str, Any]) -> Iterator[str]:
    for template in spec.get("templates", ()):
        for part in (*template.get("inserts", ()), *template.get("points", ())):
            yield part["mechanism"]
    for group in (*spec.get("points", ()), *spec.get("generators", ())):
        yield group["mechanism"]
    for population in spec.get("populations", ()):
        if "artificial" in population:
            yield population["artificial"]


def hand_over(library: Path | None) -> None:
    """Have the next psolve of this process run in CoreNEURON, with the library beside NEURON's (None: its own)."""
    if library is not None:
        os.environ["CORENEURONLIB"] = str(library.with_name(LIBRARY))
    import neuron
    from neuron import coreneuron

    coreneuron.enable = True
    coreneuron.verbose = 0
    ours = sys.platform != "darwin" and neuron.__version__.startswith(KNOWN)
    coreneuron.cell_permute = int(ours)  # has the nodes put in the order of ``tree``


def core_library(build: Build, folder: Path) -> Path:
    """Make CoreNEURON's library of the mechanisms of a Build in ``folder``.

    Raises SimulatorError if this NEURON has no CoreNEURON, or if a mechanism does not compile.
    """
    root = build.tools.root
    archive = root / "lib" / "libcoreneuron-core.a"
    if not (root / "bin" / "nmodl").is_file() or not archive.is_file():
        raise SimulatorError("this NEURON was built without CoreNEURON; the wheel has it: pip install neuron")
    place = build.folder / "core"
    place.mkdir()
    try:
        with ThreadPoolExecutor(build.jobs) as pool:
            own = pool.submit(_built_in, build, place)
            sources = list(pool.map(lambda name: _translated(build, build.folder / name, place), sorted(build.mods)))
            solver = pool.submit(_solver, build, place)
            objects = [*solver.result(), *_compiled(build, place, "mechanisms", sources), own.result()]
    except BaseException:
        build.running.stop()
        raise
    stems = [*(name.removesuffix(".mod") for name in sorted(build.mods)), *BUILT_IN]
    registry = place / "registry.cpp"
    declared = "".join(f"extern void _{stem}_reg(void);\n" for stem in stems)
    called = "".join(f"    _{stem}_reg();\n" for stem in stems)
    registry.write_text(f"namespace coreneuron {{\n{declared}void modl_reg() {{\n{called}}}\n}}\n")
    objects.append(_object(build, registry))
    made = folder / LIBRARY
    command = [*build.tools.compiler, "-shared", "-fPIC", "-fopenmp", "-o", str(made), *map(str, objects)]
    if sys.platform == "darwin":
        command += [f"-Wl,-force_load,{archive}", f"-Wl,-install_name,@rpath/{LIBRARY}"]
    else:
        command += ["-Wl,-z,muldefs"]  # of the solver's functions, which the archive has as well, the first ones count
        command += ["-Wl,--whole-archive", str(archive), "-Wl,--no-whole-archive", f"-Wl,-soname,{LIBRARY}"]
    command += [f"-Wl,-rpath,{root / 'lib'}", f"-L{root / 'lib'}", "-ldl"]
    build.running.run(command, "CoreNEURON's mechanisms cannot be linked")
    return made


def _translated(build: Build, path: Path, place: Path) -> str:
    """nmodl's C++ text of one mechanism, with its own exp."""
    root = build.tools.root
    if not path.is_file():
        path.write_text(build.mods[path.name])
    command = [str(root / "bin" / "nmodl"), str(path), "-o", str(place), "host", "--c", "passes", "--inline"]
    build.running.run(["env", f"NMODLHOME={root}", *command], f"CoreNEURON cannot translate the mechanism {path.name}")
    head, found, body = (place / f"{path.stem}.cpp").read_text().partition(_SPACE)
    return f"{head}{_OWN}{found}{_in_blocks(body.replace(_SENT, _SENT_IN_TIME))}"


def _in_blocks(body: str) -> str:
    """The currents of a density mechanism, in a loop that sees where the nodes of instances follow each other."""
    start = body.find("    void nrn_cur_")
    loop, end = body.find(_LOOP, start), body.find("\n    }\n", start)
    inner = body[loop + len(_LOOP) : end]
    if start < 0 or not start < loop < end or "vec_rhs[node_id] -= rhs;" not in inner or "for (" in inner:
        return body  # several point processes may be at one node
    inner = inner.removesuffix("\n        }")
    opening = "        nmlb::each(nodecount, node_index, [&](int id, int node_id) {\n"
    return f"{body[:loop]}{opening}{inner}\n        }});{body[end:]}"


def _built_in(build: Build, place: Path) -> Path:
    """The object of NEURON's own mechanisms and of the entry point, kept in the cache."""
    kept = build.objects / f"core-{build.key}.o"
    if kept.is_file():
        return kept
    root = build.tools.root
    folder = place / "built-in"
    folder.mkdir()
    sources = [_translated(build, root / "share" / "modfile" / f"{stem}.mod", folder) for stem in BUILT_IN]
    engine = (root / "share" / "coreneuron" / "enginemech.cpp").read_text()
    unit = folder / "unit.cpp"
    unit.write_text(f"{_joined(sources)}\n#define ADDITIONAL_MECHS\n{engine}")
    return _object(build, unit).replace(kept)


def _solver(build: Build, place: Path) -> list[Path]:
    """The object of the functions that take the place of CoreNEURON's own (``tree``), for the version they fit."""
    if sys.platform == "darwin" or not build.tools.version.startswith("9.0."):
        return []

    def compiled(text: str, made: Path, stem: str) -> None:
        source = place / f"{stem}.cpp"
        source.write_text(text)
        _object(build, source).replace(made)

    return build.kept("solver-core", tree.CORE, compiled)


def _compiled(build: Build, place: Path, stem: str, sources: Sequence[str]) -> list[Path]:
    """One object of all sources, or one of each if they cannot be put together."""
    unit = place / f"{stem}.cpp"
    unit.write_text(_joined(sources))
    try:
        return [_object(build, unit)]
    except SimulatorError:
        if len(sources) == 1 or build.running.stopped:
            raise
    return [path for row, source in enumerate(sources) for path in _compiled(build, place, f"{stem}{row}", [source])]


def _joined(sources: Sequence[str]) -> str:
    """One source: the headers once, then each mechanism between macros that rename its file-scope names."""
    parts = [sources[0].partition(_OWN)[0] if sources else "", _OWN]
    for row, source in enumerate(sources):
        head, _, body = source.partition(_OWN)
        parts += [line + "\n" for line in head.splitlines() if line.startswith("#include")]
        names = sorted(set(_STATIC.findall(body)))
        parts += [f"#define {name} {name}__{row}\n" for name in names]
        parts.append(body)
        parts += [f"\n#undef {name}" for name in names] + ["\n"]
    return "".join(parts)


def _object(build: Build, source: Path) -> Path:
    made = source.with_suffix(".o")
    root = build.tools.root
    own = [flag for flag in build.tools.flags if not flag.startswith(("-D", "-std"))]
    headers = [f"-I{root / 'include/coreneuron/utils/randoms'}", f"-I{root / 'include'}"]
    command = [*build.tools.compiler, *own, *_makefile_flags(root), *headers, "-c", str(source), "-o", str(made)]
    build.running.run(command, f"the mechanisms do not compile for CoreNEURON ({source.stem})")
    return made


def _makefile_flags(root: Path) -> tuple[str, ...]:
    """Language standard and definitions that CoreNEURON was built with."""
    try:
        text = (root / "share" / "coreneuron" / "nrnivmodl_core_makefile").read_text()
    except OSError:
        return _FLAGS
    found = re.search(r"^CXXFLAGS\s*=(.*)$", text, re.MULTILINE)
    words = found.group(1).split() if found else []
    return tuple(w for w in words if w.startswith(("-D", "-std", "-fopenmp"))) or _FLAGS
