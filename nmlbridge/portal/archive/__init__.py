"""COMBINE archives (OMEX): a model, what goes with it, and a manifest of it all in one ZIP file.

https://identifiers.org/combine.specifications:omex
"""

from .check import Finding, check_archive
from .create import create_archive
from .extract import Limits, extract_archive

__all__ = ["Finding", "Limits", "check_archive", "create_archive", "extract_archive"]
