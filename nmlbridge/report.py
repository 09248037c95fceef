"""What a conversion dropped, guessed or approximated: loss is data, not a print."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field

from .errors import ModelError

SEVERITIES = ("info", "approximation", "loss")


@dataclass(frozen=True)
class Note:
    """One remark: a stable code, how severe it is, where it holds and what was done."""

    code: str
    severity: str
    message: str
    file: str | None = None
    line: int | None = None
    component: str | None = None

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}: " if self.file and self.line else f"{self.file}: " if self.file else ""
        who = f"'{self.component}': " if self.component else ""
        return f"{self.severity}: {place}{who}{self.message} [{self.code}]"


@dataclass
class Report:
    """The notes gathered on the way. With ``strict`` the first loss raises ModelError.

    ``progress``, where it is given, is called as (phase, done, total) by what takes long.
    """

    strict: bool = False
    notes: list[Note] = field(default_factory=list)
    progress: Callable[[str, float, float], None] | None = None

    def tell(self, phase: str, done: float, total: float) -> None:
        """Say how far a phase has come, if anyone listens."""
        if self.progress is not None:
            self.progress(phase, done, total)

    def add(
        self,
        code: str,
        severity: str,
        message: str,
        *,
        file: str | None = None,
        line: int | None = None,
        component: str | None = None,
    ) -> None:
        """Add a note once; raise ModelError if it is a loss and the report is strict."""
        if severity not in SEVERITIES:
            raise ValueError(f"severity '{severity}' is none of {SEVERITIES}")
        note = Note(code, severity, message, file, line, component)
        if note in self.notes:
            return
        self.notes.append(note)
        if self.strict and severity == "loss":
            raise ModelError(message, file=file, line=line, component=component)

    @property
    def losses(self) -> list[Note]:
        """The notes of severity 'loss'."""
        return [note for note in self.notes if note.severity == "loss"]

    def __iter__(self) -> Iterator[Note]:
        return iter(self.notes)

    def __len__(self) -> int:
        return len(self.notes)

    def to_json(self) -> list[dict[str, object]]:
        """The notes as plain dictionaries."""
        return [asdict(note) for note in self.notes]
