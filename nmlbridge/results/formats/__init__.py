"""Files of results, one module a format: ``read(path, report) -> Results``, ``write(results, path, report)``."""
