"""Open Source Brain and other portals: what they expect of a model, read and written."""
