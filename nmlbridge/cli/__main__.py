"""``python -m nmlbridge.cli``."""

import sys

from . import main

sys.exit(main())
