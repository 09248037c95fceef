'''NEURON's fixed steps without what NEURON adds to them: the same operations in the same order, so the same numbers.

In each step NEURON puts together, for each mechanism and three times, the name under which a profiler would know it;
it adds the axial currents compartment by compartment, twice; and where a network is of hundreds of compartments, that
is as much work as its channels. Here whole steps are made of NEURON's own parts (events, mechanisms, recordings,
transfer between ranks), around equations that are put together and solved side by side (``tree``). Fields outside,
reactions between steps, linear circuits and cells cut into pieces need more than that: there NEURON takes its own
steps.
'''  # fmt: skip

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path

from .tree import TREE
from .vectorise import EACH

_HEAD = f"""#include <cerrno>
#include <cstddef>
#include "multicore.h"
#include "nrn_ansi.h"
#include "nrncvode.h"
{EACH}{TREE}"""

_STEPS = r"""
extern void (*nrn_multisplit_setup_)();
extern void (*nrn_multisplit_solve_)();
extern void (*nrnmpi_v_transfer_)();
extern void (*nrnthread_v_transfer_)(NrnThread*);
extern void (*nrnthread_vi_compute_)(NrnThread*);
extern void (*nrn_allthread_handle)();
extern int (*nrn_nonvint_block)(int, int, double*, double*, int);
extern int use_sparse13, secondorder, diam_changed, tree_changed, v_structure_change, cvode_active_, stoprun;
extern double t, dt;
extern double* nrn_mech_wtime_;
extern void nrn_ba(neuron::model_sorted_token const&, NrnThread&, int);
extern void nrn_calc_fast_imem(NrnThread*);
extern bool nrn_use_fast_imem;
extern void long_difus_solve(neuron::model_sorted_token const&, int, NrnThread&);
extern void nrn_extra_scatter_gather(int, int);
extern void recalc_diam();
extern int nrn_errno_check(int);
extern void activsynapse_rhs();
extern void activsynapse_lhs();
extern void activstim_rhs();
extern void activclamp_rhs();
extern void activclamp_lhs();

// The nodes of this process in an order of our own, with copies of what NEURON has for each.
static struct Copies {
    nmlb::Order order;
    int roots = -1;
    std::vector<int> parents;
    std::vector<double> a, b;  // as NEURON has them
    std::vector<double> d, rhs, v, sorted_a, sorted_b;

    nmlb::Columns columns() { return {d.data(), rhs.data(), sorted_a.data(), sorted_b.data(), v.data()}; }

    // Look at the trees unless they are those of the last call; whether solving them here is worth while.
    bool fit(NrnThread& cells) {
        int const n = cells.end, *const parent = cells._v_parent_index;
        size_t const bytes = sizeof(double) * n;
        double const *const own_a = cells.node_a_storage(), *const own_b = cells.node_b_storage();
        if (roots == cells.ncell && n == static_cast<int>(parents.size()) &&
            !std::memcmp(parent, parents.data(), sizeof(int) * n) && !std::memcmp(own_a, a.data(), bytes) &&
            !std::memcmp(own_b, b.data(), bytes))
            return order.worth;
        roots = cells.ncell;
        parents.assign(parent, parent + n);
        a.assign(own_a, own_a + n);
        b.assign(own_b, own_b + n);
        order.arrange(roots, n, parent);
        for (auto* column : {&d, &rhs, &v, &sorted_a, &sorted_b}) column->resize(n);
        for (int k = 0; k < n; ++k) {
            sorted_a[k] = a[order.nodes[k]];
            sorted_b[k] = b[order.nodes[k]];
        }
        return order.worth;
    }

    void load(double const* from_d, double const* from_rhs, double const* from_v) {
        int const n = order.nodes.size();
        int const* const node = order.nodes.data();
        double *const to_d = d.data(), *const to_rhs = rhs.data(), *const to_v = v.data();
        NMLB_INDEPENDENT
        for (int k = 0; k < n; ++k) {
            int const i = node[k];
            to_d[k] = from_d[i];
            to_rhs[k] = from_rhs[i];
            to_v[k] = from_v[i];
        }
    }

    void store(double* to) const {
        int const n = order.nodes.size();
        int const* const node = order.nodes.data();
        double const* const from = rhs.data();
        NMLB_INDEPENDENT
        for (int k = 0; k < n; ++k) to[node[k]] = from[k];
    }
} copies;

extern "C" {
long nmlb_solved = 0;    // times that cells were solved side by side
long nmlb_stepping = 0;  // for mechanisms (vectorise): which call of nmlb_advance it is, while it calls them
}
static long calls = 0;

struct Stepping {
    Stepping() { nmlb_stepping = calls; }
    ~Stepping() { nmlb_stepping = 0; }
};

// What NEURON has in its own place for a solver.
static void solve() {
    NrnThread& cells = *nrn_threads;
    if (!use_sparse13 && copies.fit(cells)) {
        copies.load(cells.node_d_storage(), cells.node_rhs_storage(), cells.node_voltage_storage());
        nmlb::solve(copies.order.runs, cells.ncell, copies.columns());
        copies.store(cells.node_rhs_storage());
        ++nmlb_solved;
    } else {
        nrn_multisplit_solve_ = nullptr;
        nrn_solve(&cells);
        nrn_multisplit_solve_ = solve;
    }
}

extern "C" int nmlb_solve(int wanted) {
    bool const free = !nrn_multisplit_setup_ && !nrn_multisplit_solve_;
    if (wanted && free && nrn_nthread == 1) nrn_multisplit_solve_ = solve;
    if (!wanted && nrn_multisplit_solve_ == solve) nrn_multisplit_solve_ = nullptr;
    return nrn_multisplit_solve_ == solve;
}

// From the currents of the mechanisms to the change of each node's voltage, which is rhs at the end.
static void equations(neuron::model_sorted_token const& token, NrnThread& cells, bool alike) {
    int const n = cells.end;
    double *const rhs = cells.node_rhs_storage(), *const d = cells.node_d_storage();
    double *const kept_rhs = cells.node_sav_rhs_storage(), *const kept_d = cells.node_sav_d_storage();
    for (double* column : {rhs, d, kept_rhs, kept_d})
        if (column) std::memset(column, 0, sizeof(double) * n);
    nrn_ba(token, cells, BEFORE_BREAKPOINT);
    {
        Stepping const now;
        for (auto tml = cells.tml; tml; tml = tml->next) {
            if (auto const current = memb_func[tml->index].current) current(token, &cells, tml->ml, tml->index);
            if (auto const jacob = memb_func[tml->index].jacob) jacob(token, &cells, tml->ml, tml->index);
            if (errno) nrn_errno_check(tml->index);
        }
    }
    activsynapse_rhs();
    // of what is kept for imem, only the part of electrodes came until here
    if (kept_rhs)
        for (int i = 0; i < n; ++i) kept_rhs[i] -= rhs[i];
    activstim_rhs();
    activclamp_rhs();
    if (cells.tml) {  // capacitance is the first of the list, and cm its first variable
        Memb_list* const ml = cells.tml->ml;
        if (ml->nodecount) nmlb::charge(ml->nodecount, ml->nodeindices, .001 * cells.cj, &ml->data(0, 0), d);
    }
    activsynapse_lhs();
    if (kept_d)
        for (int i = 0; i < n; ++i) kept_d[i] = d[i] - kept_d[i];
    activclamp_lhs();
    double* const v = cells.node_voltage_storage();
    if (alike) {
        copies.load(d, rhs, v);
        nmlb::axial(copies.order.runs, copies.columns());
        nmlb::solve(copies.order.runs, cells.ncell, copies.columns());
        copies.store(rhs);
        ++nmlb_solved;
    } else {
        nmlb::Columns const all{d, rhs, cells.node_a_storage(), cells.node_b_storage(), v};
        nmlb::axial(cells.ncell, n, cells._v_parent_index, all);
        nmlb::solve(cells.ncell, n, cells._v_parent_index, all);
    }
}

// Ions' currents at the new voltage: fields of an ion are erev, inside, outside, current, its derivative.
static void currents(NrnThread& cells) {
    if (secondorder != 2) return;
    double const* const rhs = cells.node_rhs_storage();
    for (auto tml = cells.tml; tml; tml = tml->next)
        if (nrn_is_ion(tml->index) && tml->ml->nodecount) {
            int const count = tml->ml->nodecount, *const nodes = tml->ml->nodeindices;
            double *const current = &tml->ml->data(0, 3), *const slope = &tml->ml->data(0, 4);
            NMLB_INDEPENDENT
            for (int i = 0; i < count; ++i) current[i] += slope[i] * rhs[nodes[i]];
        }
}

static void voltages(NrnThread& cells) {
    nmlb::advance(cells.end, secondorder != 0, cells.node_rhs_storage(), cells.node_voltage_storage());
    if (nrnthread_vi_compute_) nrnthread_vi_compute_(&cells);
    if (cells.tml && cells.tml->ml->nodecount) {
        Memb_list* const ml = cells.tml->ml;
        nmlb::charging(ml->nodecount, ml->nodeindices, .001 * cells.cj, &ml->data(0, 0), cells.node_rhs_storage(),
                       &ml->data(0, 1));
    }
    if (nrn_use_fast_imem) nrn_calc_fast_imem(&cells);
}

static void states(neuron::model_sorted_token const& token, NrnThread& cells) {
    if (nrnthread_v_transfer_) {
        if (nrnmpi_v_transfer_) nrnmpi_v_transfer_();
        nrnthread_v_transfer_(&cells);
    }
    errno = 0;
    Stepping const now;
    for (auto tml = cells.tml; tml; tml = tml->next)
        if (auto const state = memb_func[tml->index].state) {
            state(token, &cells, tml->ml, tml->index);
            if (errno) nrn_errno_check(tml->index);
        }
    long_difus_solve(token, 0, cells);
}

static bool plain(NrnThread& cells) {
    return nrn_nthread == 1 && !cvode_active_ && !tree_changed && !v_structure_change && !use_sparse13 &&
           !nrn_multisplit_setup_ && nrn_multisplit_solve_ == solve && !nrn_nonvint_block && !nrn_mech_wtime_ &&
           !cells._ecell_memb_list;
}

// Whether what this process has at the moment can be advanced here. Ranks step together: all, or none.
extern "C" int nmlb_ready() { return plain(*nrn_threads); }

// Steps taken, none where only NEURON knows how to. At least one more is to be NEURON's, which keeps its accounts.
extern "C" long nmlb_advance(long steps) {
    NrnThread& cells = *nrn_threads;
    if (!plain(cells)) return 0;
    if (diam_changed) recalc_diam();
    bool alike = copies.fit(cells);
    auto const sorted = nrn_ensure_model_data_are_sorted_opaque();
    neuron::model_sorted_token const& token = sorted;
    if (cells._dt != dt) {
        cells._t = t;
        cells._dt = dt;
        cells.cj = (secondorder ? 2.0 : 1.0) / dt;
    }
    nrn_thread_table_check(token);
    cells._stop_stepping = 0;
    ++calls;
    long done = 0;
    while (done < steps) {
        deliver_net_events(&cells);
        nrn_random_play();
        cells._t += .5 * cells._dt;
        fixed_play_continuous(&cells);
        if (diam_changed) {  // an event did it
            recalc_diam();
            alike = copies.fit(cells);
        }
        equations(token, cells, alike);
        currents(cells);
        voltages(cells);
        cells._t += .5 * cells._dt;
        fixed_play_continuous(&cells);
        nrn_extra_scatter_gather(0, cells.id);
        states(token, cells);
        nrn_ba(token, cells, AFTER_SOLVE);
        fixed_record_continuous(token, cells);
        nrn_deliver_events(&cells);
        t = cells._t;
        ++done;
        cells._stop_stepping = 0;
        if (nrn_allthread_handle) nrn_allthread_handle();
        if (stoprun) break;
    }
    return done;
}
"""

NEURON = f"{_HEAD}{_STEPS}"

KNOWN = "9.0."
"""The NEURON whose steps these are: another may have more to do in one, which would be left out without a word."""


class Stepper:
    """Takes steps of this process's NEURON. ``ready()`` says whether it can at the moment, ``advance(steps)`` how many
    it took; ranks that exchange spikes must take the same steps in the same way."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self.advance: Callable[[int], int] = library.nmlb_advance
        library.nmlb_advance.argtypes, library.nmlb_advance.restype = [ctypes.c_long], ctypes.c_long
        self.ready: Callable[[], int] = library.nmlb_ready


def stepper(library: Path | None) -> Stepper | None:
    """The Stepper of a compiled library.

    None where the library has none, where NEURON is not one whose steps are known to be these, or where something else
    solves already.
    """
    import neuron

    if library is None or not neuron.__version__.startswith(KNOWN):
        return None
    loaded = ctypes.CDLL(str(library))
    if not hasattr(loaded, "nmlb_advance") or not loaded.nmlb_solve(1):
        return None
    return Stepper(loaded)
