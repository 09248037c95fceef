"""PyNN: scripts out, and networks that a PyNN script has built in.

https://neuralensemble.org/docs/PyNN/standardmodels.html
"""

from .read import from_pynn
from .write import write

__all__ = ["from_pynn", "write"]
