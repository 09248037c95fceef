"""Files and folders that are whole under their names, or not there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from .errors import DocumentError, UnsupportedError

_LONGEST = 180  # bytes: most file systems take 255, and something is put before and behind


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A name beside ``path`` to write to, which becomes ``path`` at the end; missing folders are made.

    If the body raises, nothing stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        with suppress(FileNotFoundError):
            temporary.unlink()
        raise


@contextmanager
def atomic(path: Path) -> Iterator[IO[bytes]]:
    """A binary stream whose content becomes ``path`` when all is written; missing folders are made."""
    with atomic_path(path) as temporary, temporary.open("xb") as stream:
        yield stream


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder that becomes ``path`` when all in it is written; an empty one may be there already."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    temporary.mkdir()
    try:
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            shutil.rmtree(temporary)
        raise


def file_name(text: str) -> str:
    """The text, for a format that calls files after what is in the model.

    Raises UnsupportedError for what would lead to another folder, or no file can be called.
    """
    parted = "/" in text or "\\" in text or text.startswith(".")
    if not text or parted or not text.isprintable() or len(text.encode()) > _LONGEST:
        raise UnsupportedError(
            f"'{text[:80]}' cannot be the name of a file, and this format calls a file so; give it an id of letters, "
            "digits and underscores"
        )
    return text


@contextmanager
def within_memory(path: Path) -> Iterator[None]:
    """For reading: a file can claim tables of any size in a few bytes. DocumentError instead of MemoryError."""
    try:
        yield
    except MemoryError:
        raise DocumentError("it claims to hold more than the memory of this machine", file=str(path)) from None
