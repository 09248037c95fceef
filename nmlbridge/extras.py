"""Optional dependencies: a missing one answers with the line that installs it."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

from .errors import UsageError


def require(module: str, extra: str, purpose: str) -> ModuleType:
    """Import and return ``module``, which the optional extra ``extra`` installs.

    Raises UsageError with the install line if it is not there; ``purpose`` says what needs it ("drawing figures").
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.partition(".")[0] != module.partition(".")[0]:
            raise  # present, but something that it needs itself is broken: hiding that would mislead
        raise _missing(module, extra, purpose) from None


def find(module: str, extra: str, purpose: str) -> None:
    """Raise UsageError as ``require`` does if ``module`` is not there, without importing it."""
    if find_spec(module) is None:
        raise _missing(module, extra, purpose)


def _missing(module: str, extra: str, purpose: str) -> UsageError:
    return UsageError(
        f"{purpose} needs {module.partition('.')[0]}, which is not installed; "
        f"install it with: pip install 'nmlbridge[{extra}]'"
    )
