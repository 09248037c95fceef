"""Run by a Python that has hnn-core: ``PYTHON hnn_reference.py FOLDER`` writes what the tests compare with.

FOLDER gets the mod files of hnn-core, two networks as hnn-core writes them, and what hnn-core makes of each: the dipole
(nAm) as it gives it, and ``raw``, with today's constants of nature and before its baseline is taken off, with the
spikes that belong to that; and the events of the drives.
"""

import shutil
import sys
from copy import deepcopy
from pathlib import Path

import hnn_core
import numpy as np
from neuron import h

TSTOP = 170.0


def erp():
    """The default parameters: three evoked drives."""
    return hnn_core.jones_2009_model(mesh_shape=(3, 3), add_drives_from_params=True)


def busy():
    """Every other kind of drive, those without an end too, and a tonic current."""
    net = hnn_core.jones_2009_model(mesh_shape=(3, 3))
    weights = {"L2_pyramidal": 0.02, "L5_pyramidal": 0.03, "L2_basket": 0.01}
    rates = {"L2_pyramidal": 20.0, "L5_pyramidal": 40.0, "L2_basket": 5.0}
    net.add_poisson_drive("noise", rate_constant=rates, weights_ampa=weights, location="proximal", event_seed=7)
    net.add_bursty_drive("alpha", tstart=30.0, tstart_std=5.0, burst_rate=20.0, burst_std=4.0, numspikes=2,
                         spike_isi=8.0, weights_ampa=weights, location="distal", n_drive_cells=4,
                         cell_specific=False, event_seed=11)  # fmt: skip
    net.add_tonic_bias(amplitude={"L5_pyramidal": 0.5}, t0=20.0, tstop=120.0)
    return net


def raw(net):
    """Its run in today's units, without the baseline that hnn-core takes off: nAm."""
    dipole = hnn_core.simulate_dipole(net, tstop=TSTOP, dt=0.025, n_trials=1, postproc=False)[0]
    baseline = deepcopy(dipole)
    for part in baseline.data.values():
        part[:] = 0
    baseline._baseline_renormalize(3, 3)  # fAm
    return dipole.data["agg"] - 1e-6 * baseline.data["agg"]


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    shutil.copytree(Path(hnn_core.__file__).parent / "mod", folder / "mod", ignore=shutil.ignore_patterns("x86_64"))
    for make in (erp, busy):
        net, name = make(), make.__name__
        net.write_configuration(folder / f"{name}.json")
        h.nrnunit_use_legacy(1)  # R and the Faraday constant of 1986, as hnn-core has it
        published = hnn_core.simulate_dipole(net, tstop=TSTOP, dt=0.025, n_trials=1, postproc=False)[0].data["agg"]
        h.nrnunit_use_legacy(0)
        today = raw(net)
        drives = {f"events {drive}": np.concatenate([np.sort(train) for train in found["events"][0]])
                  for drive, found in net.external_drives.items()}  # fmt: skip
        response = net.cell_response
        np.savez(folder / f"{name}.npz", published=published, raw=today, times=response.spike_times[0],
                 gids=response.spike_gids[0], **drives)  # fmt: skip
