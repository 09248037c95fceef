"""SONATA: circuits and simulations, in and out.

Specification: https://github.com/AllenInstitute/sonata/blob/master/docs/SONATA_DEVELOPER_GUIDE.md; also what libsonata
accepts beyond it, and the older spellings of the reference implementation's own examples.

A population of SONATA has nodes of several models, one of NeuroML has cells of one component: so it is cut by model,
and the pieces remember where they come from (``META``). Virtual nodes that are given spikes are cut into one population
each, since a spikeArray is a component. A weight in the graph is the file's number times ``nsyns``; the synapse's base
carries the unit (1 pA or 1 nS for NEST's models, 1 uS for NEURON's).
"""

from .read import read
from .write import write

__all__ = ["read", "write"]
