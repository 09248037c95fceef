"""The graph: what a network is, as columns."""

from .courses import Course
from .fields import ImposedField
from .native import NativeCell, NativePoint, NativeProcess, NativeSection
from .network import Network
from .plasticity import Adjuster, Stdp
from .population import Population
from .projection import InputList, Projection
from .reactions import Reactions

__all__ = [
    "Adjuster",
    "Course",
    "ImposedField",
    "InputList",
    "NativeCell",
    "NativePoint",
    "NativeProcess",
    "NativeSection",
    "Network",
    "Population",
    "Projection",
    "Reactions",
    "Stdp",
]
