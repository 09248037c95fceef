"""What is needed to compile mechanisms: where NEURON, its translator and a C++ compiler are, and how they are called.

NEURON's own ``nrnivmodl`` translates each .mod file with ``nocmodl``, compiles it, and links a library and a program.
The flags are read from the makefile that it uses, so they are those that NEURON itself was built with.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from ...errors import SimulatorError
from .vectorise import EDITION, FLAGS

COMPILERS = ("g++", "clang++", "c++")
CURE = "install one, for example with 'apt install g++' or 'xcode-select --install', or name it in $CXX"


@dataclass(frozen=True)
class Toolchain:
    """The programs and flags that turn .mod files into a library.

    ``root`` is NEURON's folder with bin, include and lib; ``compiler`` the command as a list; ``flags`` those of every
    compilation, without the folder of NEURON's headers.
    """

    root: Path
    version: str
    compiler: tuple[str, ...]
    compiler_version: str
    flags: tuple[str, ...]
    processor: str = ""
    """what the compiler knows of the processor that it makes code for"""

    @property
    def translator(self) -> Path:
        """NEURON's translator from NMODL to C++."""
        return self.root / "bin" / "nocmodl"

    @cached_property
    def library(self) -> Path:
        """NEURON itself, as a shared library."""
        for name in ("libnrniv.so", "libnrniv.dylib"):
            if (self.root / "lib" / name).is_file():
                return self.root / "lib" / name
        raise SimulatorError(f"NEURON's library is not in {self.root / 'lib'}; reinstall it with: pip install neuron")

    @cached_property
    def identity(self) -> str:
        """Everything that the compiled code depends on besides the texts; the same on machines that can share it."""
        size = self.library.stat().st_size  # tells apart builds of one version, such as wheel and conda package
        return "\n".join(
            (
                f"neuron {self.version} {size}",
                " ".join(self.compiler),
                self.compiler_version,
                f"{' '.join(self.flags)} {EDITION}",
                f"{sys.platform} {platform.machine()} {self.processor}",
            )
        )

    @cached_property
    def environment(self) -> dict[str, str]:
        """Environment of the translator and the compiler: the units table, and messages in English."""
        return {**os.environ, "MODLUNIT": str(self.root / "share/nrn/lib/nrnunits.lib"), "LC_ALL": "C"}


def find_toolchain() -> Toolchain:
    """The toolchain of this machine; raises SimulatorError with the cure for what is missing."""
    root = neuron_root()
    compiler = find_compiler()
    native, processor = processor_flags(compiler)
    flags = (*FLAGS, *native, "-fPIC", *_makefile_flags(root))
    return Toolchain(root, neuron_version(), compiler, compiler_version(compiler), flags, processor)


def neuron_version() -> str:
    """Version of the installed NEURON, without importing it; raises SimulatorError if there is none."""
    for name in ("neuron", "neuron-nightly"):
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    raise SimulatorError("NEURON is not installed; install it with: pip install neuron")


def neuron_root() -> Path:
    """NEURON's folder with bin, include and lib; raises SimulatorError if there is none."""
    spec = find_spec("neuron")
    if spec is None or spec.origin is None:
        raise SimulatorError("NEURON is not installed; install it with: pip install neuron")
    package = Path(spec.origin).resolve().parent
    places = [package / ".data"]  # wheels; other installations have a prefix like any other library
    if "NRNHOME" in os.environ:
        places.append(Path(os.environ["NRNHOME"]))
    if found := shutil.which("nocmodl"):
        places.append(Path(found).resolve().parents[1])
    places.append(Path(sys.prefix))
    for place in places:
        if (place / "bin" / "nocmodl").is_file() and (place / "include" / "mech_api.h").is_file():
            return place
    raise SimulatorError(
        f"NEURON is in {package}, but its translator 'nocmodl' and headers are not; "
        "reinstall it with: pip install --force-reinstall neuron, or set $NRNHOME to its prefix"
    )


def find_compiler() -> tuple[str, ...]:
    """Command of the C++ compiler: $CXX, or the first of g++, clang++, c++; raises SimulatorError if there is none."""
    wanted = shlex.split(os.environ.get("CXX", ""))
    if wanted:
        if shutil.which(wanted[0]) is None:
            raise SimulatorError(f"the compiler '{wanted[0]}' that $CXX names is not there; {CURE}")
        return tuple(wanted)
    for name in COMPILERS:
        if shutil.which(name):
            return (name,)
    raise SimulatorError(f"mechanisms have to be compiled, but there is no C++ compiler; {CURE}")


def compiler_version(compiler: tuple[str, ...]) -> str:
    """First line of the compiler's answer to --version; raises SimulatorError if it does not run."""
    try:
        done = subprocess.run([*compiler, "--version"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    except OSError as fault:
        raise SimulatorError(f"the compiler '{compiler[0]}' does not start: {fault.strerror}; {CURE}") from None
    if done.returncode != 0:
        raise SimulatorError(f"the compiler '{compiler[0]}' does not work: {_first_line(done.stderr)}; {CURE}")
    return _first_line(done.stdout)


def processor_flags(compiler: tuple[str, ...]) -> tuple[tuple[str, ...], str]:
    """The flags for this machine's processor, and a word that differs between processors that cannot share code.

    $NMLBRIDGE_MARCH names another processor than "native", for machines that share a cache; "none" asks for none.
    """
    march = os.environ.get("NMLBRIDGE_MARCH", "native")
    if march == "none":
        return (), ""
    if not re.fullmatch(r"[\w.+-]+", march):
        raise SimulatorError(f"$NMLBRIDGE_MARCH is '{march}'; expected a processor as the compiler's -march takes it")
    wide = ("-mprefer-vector-width=512",) if platform.machine() in ("x86_64", "AMD64") else ()
    for flags in ((f"-march={march}", *wide), (f"-mcpu={march}",)):
        try:
            command = [*compiler, *flags, "-dM", "-E", "-x", "c++", os.devnull]
            done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        except OSError:
            continue
        if done.returncode == 0:
            return flags, hashlib.sha256(done.stdout.encode()).hexdigest()[:16]
    if march != "native":
        raise SimulatorError(f"the compiler does not know the processor '{march}' that $NMLBRIDGE_MARCH names")
    return (), ""


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]


def _makefile_flags(root: Path) -> tuple[str, ...]:
    """Language standard and definitions from nrnmech_makefile; those of NEURON 9 if it cannot be read."""
    try:
        text = (root / "bin" / "nrnmech_makefile").read_text()
    except OSError:
        text = ""
    standard = re.search(r"^CXXFLAGS\s*=.*?(-std=\S+)", text, re.MULTILINE)
    command = re.search(r"^CXXCOMPILE\s*=(.*)$", text, re.MULTILINE)
    definitions = re.findall(r"-D[\w=]+", command.group(1)) if command else ["-DNRN_ENABLE_THREADS", "-DHAVE_CONFIG_H"]
    return (standard.group(1) if standard else "-std=c++17", *definitions)
