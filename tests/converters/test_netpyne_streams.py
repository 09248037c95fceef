"""Streams that draw together draw what each draws alone, to the last bit; and NEURON's own draw the same."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import Any

import numpy as np
import pytest

from nmlbridge.converters.netpyne.functions import Function
from nmlbridge.converters.netpyne.many_streams import Dealt, Streams
from nmlbridge.converters.netpyne.streams import Stream

FUNCTIONS = [
    "uniform(0.1, d)", "discunif(1, 9.7)", "negexp(d)", "normal(d, 0.3)", "lognormal(d, d/3)", "poisson(3*d)",
    "binomial(7, 0.3)", "erlang(d, d*d/4)", "weibull(2, d)", "geometric(0.6)",
    "uniform(0, 1)*normal(0, uniform(1, 2))", "rand.uniform(0, 1) + rand.negexp(2) - uniform(2, 3)**2",
    "uniform(0, 1) if d < 1 else normal(d, 2) + uniform(0, 1)",
    "(uniform(0, 1) if uniform(0, 1) < 0.4 else 5)*normal(1, 0.1)",
    "(d < 1 and uniform(0, 1)) + uniform(0, 1)", "(d < 1 or uniform(0, 1) < 0.5) * poisson(2)",
    "1 if 0.2 < uniform(0, 1) < 0.6 else 2*d", "max(uniform(0, 1), min(d, normal(1, 1)))", "d + 3 and 7",
]  # fmt: skip


@pytest.mark.parametrize("text", FUNCTIONS)
def test_together_as_alone(text: str) -> None:
    count = 400
    function = Function(text, "rule.weight")
    pre, post = np.arange(count) % 20 + 3, np.arange(count) * 7 + 2**31
    d = np.random.default_rng(3).uniform(0.2, 2, count)
    streams, alone = Streams(pre, post, 77), [Stream(int(a), int(b), 77) for a, b in zip(pre, post, strict=True)]
    for _ in range(3):  # the second and third go on where the first has left each stream
        together = np.broadcast_to(function({"d": d}, streams), count)
        each = [float(function({"d": np.float64(x)}, stream)) for x, stream in zip(d, alone, strict=True)]
        np.testing.assert_array_equal(together, each)
        if function.random:
            assert len(np.unique(together)) > 1


@pytest.mark.parametrize("text", [text for text in FUNCTIONS if Function(text, "").draws is not None])
def test_dealt_as_one_after_the_other(text: str) -> None:
    function = Function(text, "rule.weight")
    assert function.draws is not None
    d, one, other = np.linspace(0.3, 2, 50), Stream(4, 5, 6), Stream(4, 5, 6)
    one.next(), other.next()
    dealt = np.broadcast_to(function({"d": d}, Dealt(one, 50, function.draws)), 50)
    np.testing.assert_array_equal(dealt, [float(function({"d": x}, other)) for x in d])
    assert one.next() == other.next()


def test_how_many_numbers_a_function_takes() -> None:
    drawn = {text: Function(text, "").draws for text in FUNCTIONS}
    assert drawn["negexp(d)"] == 1 and drawn["rand.uniform(0, 1) + rand.negexp(2) - uniform(2, 3)**2"] == 3
    assert drawn["d + 3 and 7"] == 0 and drawn["1 if 0.2 < uniform(0, 1) < 0.6 else 2*d"] is None
    assert drawn["normal(d, 0.3)"] is None and drawn["(d < 1 and uniform(0, 1)) + uniform(0, 1)"] is None


def test_what_cannot_be_computed_is_said() -> None:
    from nmlbridge.errors import NetworkError

    streams = Streams(np.arange(3), np.arange(3), 1)
    for text in ("weibull(0, 1)", "weibull(0.3, -1)", "uniform(1)", "lognormal(-0*d, 1)"):
        with pytest.raises(NetworkError, match="cannot be computed"):
            Function(text, "connParams.a.weight")({"d": np.ones(3)}, streams)


@pytest.mark.neuron
def test_neuron_draws_the_same() -> None:
    """Each distribution of NEURON's h.Random over Random123, for many ids."""
    calls = {"uniform": (0.1, 2), "discunif": (1, 9), "negexp": (1.5,), "normal": (1, 0.3), "lognormal": (2, 0.5),
             "poisson": (3,), "binomial": (7, 0.3), "erlang": (2, 1), "weibull": (2, 1.5), "geometric": (0.6,),
             }  # fmt: skip
    code = f"""
        from neuron import h
        for name, values in {calls!r}.items():
            for id in range(40):
                r = h.Random()
                r.Random123(id, 3 * id + 1, 5)
                print(name, id, float.hex(float(getattr(r, name)(*values))))
    """
    said = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True)
    theirs: dict[str, list[float]] = {}
    for line in said.stdout.splitlines():
        name, _, value = line.split()
        theirs.setdefault(name, []).append(float.fromhex(value))
    ids = np.arange(40)
    for name, values in calls.items():
        ours: Any = getattr(Streams(ids, 3 * ids + 1, 5), name)(*values)
        np.testing.assert_allclose(ours, theirs[name], rtol=2e-15, atol=0, err_msg=name)
