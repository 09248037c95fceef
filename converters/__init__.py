"""One file a format, for other people's programs; installed as nmlbridge.converters."""

# A relative import, so that a plain `import converters` from the repository's root fails at once instead of making a
# second copy of every class.
from .. import __version__ as __version__
