"""The graph: what a network is, as columns."""

from .network import Network
from .population import Population
from .projection import InputList, Projection

__all__ = ["InputList", "Network", "Population", "Projection"]
