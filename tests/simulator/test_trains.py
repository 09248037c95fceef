"""Sources that are tables of times: which components are, and that they need no mechanism."""

from __future__ import annotations

from nmlbridge.element import Element
from nmlbridge.lems import flatten, load_core, resolve
from nmlbridge.simulator.neuron.trains import spike_times


def flat(element: Element) -> object:
    library = load_core()
    return flatten(resolve([element], library, None).component("it"), library)


def test_the_times_of_a_spike_array_are_found_and_sorted() -> None:
    spikes = [Element("spike", {"id": str(i), "time": f"{t} ms"}) for i, t in enumerate((7, 2.5, 30))]
    assert spike_times(flat(Element("spikeArray", {"id": "it"}, spikes))) == [0.0025, 0.007, 0.03]  # type: ignore[arg-type]


def test_what_does_more_than_that_is_no_table() -> None:
    regular = Element("spikeGenerator", {"id": "it", "period": "10 ms"})
    random = Element("spikeGeneratorPoisson", {"id": "it", "averageRate": "10 Hz"})
    cell = Element("iafTauCell", {"id": "it", "leakReversal": "-50mV", "thresh": "-55mV", "reset": "-70mV",
                                  "tau": "30ms"})  # fmt: skip
    for element in (regular, random, cell):
        assert spike_times(flat(element)) is None  # type: ignore[arg-type]
