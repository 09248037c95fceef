"""Networks stated as rules: a specification in, a Network out.

from nmlbridge.builder import Specification, build
built = build("model.yaml", gain=2)                    # built.network is a nmlbridge.Network
results = nmlbridge.simulate_network(built.network, built.simulation)
"""

from .build import Built, build, read, read_simulation
from .specification import Specification, schema

__all__ = ["Built", "Specification", "build", "read", "read_simulation", "schema"]
