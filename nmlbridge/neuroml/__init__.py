"""NeuroML2 and LEMS documents: reading, writing, checking, comparing."""

from .diff import Difference, diff
from .document import Document, SourceFile, read_document
from .formats import (
    as_document,
    as_network,
    read_any,
    read_hdf5,
    read_xml,
    write_document,
    write_hdf5,
    write_lems,
    write_xml,
)
from .libneuroml import from_libneuroml, to_libneuroml
from .validate import Problem, validate

__all__ = [
    "Difference",
    "Document",
    "Problem",
    "SourceFile",
    "as_document",
    "as_network",
    "diff",
    "from_libneuroml",
    "read_any",
    "read_document",
    "read_hdf5",
    "read_xml",
    "to_libneuroml",
    "validate",
    "write_document",
    "write_hdf5",
    "write_lems",
    "write_xml",
]
