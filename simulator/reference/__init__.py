"""The reference integrator: any LEMS component or small network, as its equations stand, in plain numpy."""

from ..backend import RawResults  # relative, so that a second copy under another name fails at once

__all__ = ["RawResults"]
