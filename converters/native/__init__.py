"""Cells and processes of NEURON's own mechanisms as NeuroML components; no format of its own.

A format that cannot hold native mechanisms is given what ``in_components`` makes of them.
"""

from .network import in_components as in_components
from .variants import inputs_apart as inputs_apart
