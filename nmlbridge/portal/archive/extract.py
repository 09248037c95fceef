"""Reading a COMBINE archive without trusting it: nothing leaves its folder, nothing blows up."""

from __future__ import annotations

import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ...errors import DocumentError, UsageError
from ...files import new_folder

_BLOCK = 1 << 20
_DRIVE = re.compile(r"[A-Za-z]:")
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.I)  # no files on Windows, whatever their extension


@dataclass(frozen=True)
class Limits:
    """What an archive may be: bytes of all files, number of files, and how often a file may be larger than packed."""

    total: int = 4 << 30
    files: int = 100_000
    ratio: int = 1000
    """asked of files above a megabyte: deflate cannot do more than 1032"""


def members(archive: zipfile.ZipFile, shown: str, limits: Limits | None = None) -> list[zipfile.ZipInfo]:
    """The files of an archive (no folders), each under a name that stays inside.

    Raises DocumentError for absolute names, ``..``, drives, backslashes, links and other special files, encrypted ones,
    names that clash, and more than the limits allow.
    """
    limits = limits or Limits()
    found: list[zipfile.ZipInfo] = []
    taken: dict[str, str] = {}
    folders: set[str] = set()
    if len(archive.infolist()) > limits.files:
        raise DocumentError(f"{len(archive.infolist())} files are more than the {limits.files} allowed", file=shown)
    for info in archive.infolist():
        name = info.orig_filename
        _check_name(name, shown)
        _check_kind(info, shown)
        if info.is_dir():
            continue
        other = taken.setdefault(name.lower(), name)
        if other != name or name in (each.orig_filename for each in found[-1:]):
            raise DocumentError(f"'{name}' is there twice, or differs from '{other}' in case alone", file=shown)
        folders |= {str(parent).lower() for parent in PurePosixPath(name).parents}
        if info.file_size > _BLOCK and info.file_size > limits.ratio * max(info.compress_size, 1):
            raise DocumentError(f"'{name}' unpacks to {info.file_size} bytes from {info.compress_size}", file=shown)
        found.append(info)
    if len(taken) != len(found):
        raise DocumentError("two files have the same name", file=shown)
    clash = sorted(folders & set(taken))
    if clash:
        raise DocumentError(f"'{clash[0]}' is a file and a folder at once", file=shown)
    if sum(info.file_size for info in found) > limits.total:
        raise DocumentError(f"the files unpack to more than {limits.total} bytes", file=shown)
    return found


def _check_name(name: str, shown: str) -> None:
    parts = name.rstrip("/").split("/")
    odd = "\\" in name or "\0" in name or not name.isprintable() or _DRIVE.match(name) is not None
    if odd or name.startswith("/") or any(part in ("", ".", "..") for part in parts):
        raise DocumentError(f"the name '{name[:80]!r}' would leave the folder or is no plain name", file=shown)
    if any(_RESERVED.fullmatch(part) or len(part.encode()) > 255 for part in parts):
        raise DocumentError(f"the name '{name[:80]}' cannot be a file's everywhere", file=shown)


def _check_kind(info: zipfile.ZipInfo, shown: str) -> None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
        what = "a symbolic link" if kind == stat.S_IFLNK else "a special file"
        raise DocumentError(f"'{info.orig_filename}' is {what}; archives hold files only", file=shown)
    if info.flag_bits & 0x1:
        raise DocumentError(f"'{info.orig_filename}' is encrypted", file=shown)


def open_archive(path: Path) -> zipfile.ZipFile:
    """The opened archive. Raises DocumentError for what is no ZIP file."""
    try:
        return zipfile.ZipFile(path)
    except FileNotFoundError:
        raise DocumentError("there is no such file", file=str(path)) from None
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as fault:
        raise DocumentError(f"this is no ZIP archive: {fault}", file=str(path)) from None


def extract_archive(path: str | Path, folder: str | Path, limits: Limits | None = None) -> list[Path]:
    """Unpack an archive into ``folder``, which must not exist or be empty; the files.

    All or nothing: it is unpacked beside the folder and then renamed. Raises DocumentError for an archive that is
    damaged, that would leave the folder, or that is larger than the limits, whatever its own directory claims.
    """
    path, folder, limits = Path(path), Path(folder), limits or Limits()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"'{folder}' exists and is not an empty folder; name a new one")
    with open_archive(path) as archive:
        chosen = members(archive, str(path), limits)
        left = limits.total
        with new_folder(folder) as scratch:
            for info in chosen:
                left -= _unpack(archive, info, scratch.joinpath(*info.orig_filename.split("/")), left, path)
    return [folder.joinpath(*info.orig_filename.split("/")) for info in chosen]


def _unpack(archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path, left: int, path: Path) -> int:
    """Write one file, counting what really comes out; the number of bytes."""
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with target.open("xb") as sink:
        for block in _blocks(archive, info, str(path)):
            written += len(block)
            if written > min(left, info.file_size):
                raise DocumentError(f"'{info.orig_filename}' unpacks to more than it says", file=str(path))
            sink.write(block)
    return written


def _blocks(archive: zipfile.ZipFile, info: zipfile.ZipInfo, shown: str) -> Iterator[bytes]:
    """What a member unpacks to, in pieces. Raises DocumentError for damage."""
    try:
        with archive.open(info) as source:
            while block := source.read(_BLOCK):
                yield block
    # besides its own error zipfile lets through what a wrong offset, size or method leads to
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError, ValueError) as fault:
        raise DocumentError(f"'{info.orig_filename}' is damaged: {fault}", file=shown) from None


def read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, most: int, shown: str) -> bytes:
    """The bytes of a member, at most ``most``. Raises DocumentError for more, and for damage."""
    data = bytearray()
    for block in _blocks(archive, info, shown):
        data += block
        if len(data) > most:
            raise DocumentError(f"'{info.orig_filename}' is larger than {most} bytes", file=shown)
    return bytes(data)
