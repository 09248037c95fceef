"""Networks of the Human Neocortical Neurosolver (hnn-core) as Networks of cells of NEURON's mechanisms."""
