"""Open Source Brain: repositories that its portal can show and run, written and checked.

https://docs.opensourcebrain.org
"""

from .check import Line, check_repository
from .export import Exported, export_repository
from .record import repository_record

__all__ = ["Exported", "Line", "check_repository", "export_repository", "repository_record"]
