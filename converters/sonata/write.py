"""From a Network to the files of SONATA."""

from pathlib import Path

from ...graph import Network
from ...report import Report


def write(network: Network, path: Path, report: Report | None = None) -> None:
    raise NotImplementedError
