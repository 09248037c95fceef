"""Models for Arbor: projects of a recipe script, data, and mechanisms in Arbor's dialect of NMODL."""
