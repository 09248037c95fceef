"""The LEMS language: types, components, expressions, and flattening into closed systems of equations."""

from .core import load_core
from .dimensions import check_dimensions
from .flat import FlatComponent
from .flatten import flatten
from .library import Library
from .model import Component, Model, resolve
from .types import ComponentType

__all__ = [
    "Component",
    "ComponentType",
    "FlatComponent",
    "Library",
    "Model",
    "check_dimensions",
    "flatten",
    "load_core",
    "resolve",
]
