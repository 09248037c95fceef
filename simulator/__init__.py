"""Whatever runs a model; installed as nmlbridge.simulator."""

# A relative import, so that a plain `import simulator` from the repository's root fails at once instead of making a
# second copy of every class.
from .. import __version__ as __version__
