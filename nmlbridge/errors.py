"""The exceptions of nmlbridge.

    NmlBridgeError                 root: everything this package raises on purpose
    ├── ModelError                 the model or the input file is wrong (exit code 1)
    │   ├── DocumentError          a file cannot be read: syntax, encoding, includes, forbidden content
    │   ├── LemsError              a type, component, expression or dimension is wrong
    │   └── NetworkError           the network refers to what is not there, or its tables disagree
    ├── UsageError                 the call is wrong: an option, a path, a missing extra (exit code 2)
    ├── UnsupportedError           the model is right, but this backend or format cannot carry it (exit code 3)
    └── SimulatorError             compiling or running failed (exit code 4)

A ModelError carries the place: ``file``, ``line`` and ``component``; its text is one line that says what was
found, what was expected and how to mend it.
"""

from __future__ import annotations


def one_line(text: str) -> str:
    """A text for a terminal: what is no character to be seen (a new line, an escape) is spelt out."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def placed(message: str, file: str | None, line: int | None, component: str | None = None) -> str:
    """A message behind the place that it is about."""
    where = f"{file}:{line}: " if file and line else f"{file}: " if file else ""
    who = f"component '{component}': " if component else ""
    return f"{where}{who}{message}"


class NmlBridgeError(Exception):
    """Root of all errors raised on purpose by nmlbridge."""

    exit_code = 1


class ModelError(NmlBridgeError):
    """The model or the input file is wrong; ``file``, ``line`` and ``component`` say where."""

    exit_code = 1

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        line: int | None = None,
        component: str | None = None,
    ) -> None:
        self.message, self.file, self.line, self.component = message, file, line, component
        super().__init__(message)

    def __str__(self) -> str:
        return placed(self.message, self.file, self.line, self.component)


class DocumentError(ModelError):
    """A file cannot be read: syntax, encoding, an include that is missing or forbidden."""


class LemsError(ModelError):
    """A ComponentType, component, expression, unit or dimension is wrong."""


class NetworkError(ModelError):
    """The network refers to something that is not there, or its tables disagree."""


class UsageError(NmlBridgeError):
    """The call is wrong: an option, a path, or an optional dependency that is not installed."""

    exit_code = 2


class UnsupportedError(NmlBridgeError):
    """The model is right, but the chosen backend or format cannot carry it."""

    exit_code = 3


class SimulatorError(NmlBridgeError):
    """Compiling or running the generated program failed."""

    exit_code = 4
