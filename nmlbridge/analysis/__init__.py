"""Functions on Results and Networks. They take and return arrays with documented units, and never draw.

- ``spikes``: rates, intervals, variability, histograms, synchrony, correlograms
- ``spectral``: power spectra, spectrograms, coherence, locking of spikes to the phase of a field
- ``information``: mutual information, transfer entropy, Granger causality
- ``connectivity``: matrices of populations and cells, degrees, motifs, paths
- ``fields``: current source density; EEG and MEG of dipole moments (LFPykit)
- ``kinetics``: activation and time constants of LEMS channels
- ``shapes``: cells as straight pieces, and numbers along them
- ``cells``: features of single cells (eFEL) and f-I curves

Sources of the definitions stand in each function. Times are in s, rates and frequencies in Hz.
"""

from .connectivity import connectivity_by_distance, connectivity_matrix, degrees, motifs, path_lengths
from .fields import current_source_density, eeg, meg
from .information import granger, granger_spectrum, mutual_information, transfer_entropy
from .kinetics import channel_kinetics, channels
from .shapes import Pieces, pieces, synapse_density
from .spectral import coherence, phase_locking, power_spectrum, spectrogram
from .spikes import (
    correlations,
    correlogram,
    cv,
    fano,
    histogram,
    intervals,
    local_variation,
    population_rate,
    rates,
    select,
    spike_synchronization,
    synchrony,
)

__all__ = [
    "Pieces", "channel_kinetics", "channels", "coherence", "connectivity_by_distance", "connectivity_matrix",
    "correlations", "correlogram", "current_source_density", "cv", "degrees", "eeg", "fano", "granger",
    "granger_spectrum", "histogram", "intervals", "local_variation", "meg", "motifs", "mutual_information",
    "path_lengths", "phase_locking", "pieces", "population_rate", "power_spectrum", "rates", "select",
    "spectrogram", "spike_synchronization", "synapse_density", "synchrony", "transfer_entropy",
]  # fmt: skip
