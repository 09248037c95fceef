"""NeuroML2 and LEMS documents: reading, writing, checking."""

from .document import Document, SourceFile, read_document

__all__ = ["Document", "SourceFile", "read_document"]
