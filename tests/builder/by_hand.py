"""Numbers of a NEURON script that builds by hand what rules state; it runs in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any


def by_hand(script: str) -> Any:
    """What the script leaves in ``result``, as JSON brings it back."""
    text = f"import json\nfrom neuron import h\nh.load_file('stdrun.hoc')\n{script}\nprint('@' + json.dumps(result))\n"
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.partition("@")[2])
