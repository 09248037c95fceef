'''The equations of the cells' trees, solved for many cells at once, in NEURON and in CoreNEURON.

NEURON goes through the compartments one by one: two divisions each, and a load of what the one before has stored. But
cells of one shape do the same in each of their compartments. Here the nodes are put in an order in which a node and the
same node of the next cell are neighbours, and so are their parents; then a run of such nodes is a loop that a compiler
turns into vector instructions. Each node's operations, and the order in which children are added to their parent, stay
as they are in NEURON (solve.cpp, treeset.cpp), so the results are the same to the last bit. Networks of which the cells
are too unlike go NEURON's own way.

NEURON has a place for another solver, made for cells that are split over ranks (``nrn_multisplit_solve_``), which is
used here with fixed steps on one thread. CoreNEURON has none; there the linker takes our functions of these names
instead of the archive's. Those add the axial currents in the same runs, and do not put together, for each mechanism
in each step, the name under which a profiler would know it.
'''  # fmt: skip

from __future__ import annotations

import ctypes
from pathlib import Path

TREE = r"""
#include <algorithm>
#include <cstring>
#include <map>
#include <vector>

namespace nmlb {
// Nodes first, first + 1, ... of which the parents are parent, parent + 1, ...: none of one run is parent of another.
struct Run { int first, parent, count; };

class Tree {
  public:
    // Look at the trees unless they are those of the last call; whether solving them here is worth while.
    bool fits(int roots, int nodes, int const* parents, double const* a, double const* b) {
        size_t const bytes = sizeof(double) * nodes;
        if (roots != roots_ || nodes != static_cast<int>(order_.size()) ||
            std::memcmp(parents, parents_.data(), sizeof(int) * nodes) || std::memcmp(a, a_.data(), bytes) ||
            std::memcmp(b, b_.data(), bytes)) {
            roots_ = roots;
            parents_.assign(parents, parents + nodes);
            a_.assign(a, a + nodes);
            b_.assign(b, b + nodes);
            arrange();
        }
        return worth_;
    }

    void load(double const* d, double const* rhs) {
        int const n = order_.size();
        for (int k = 0; k < n; ++k) {
            d_[k] = d[order_[k]];
            rhs_[k] = rhs[order_[k]];
        }
    }

    // Currents along the cable, and their part in the matrix.
    void axial(double const* v) {
        int const n = order_.size();
        for (int k = 0; k < n; ++k) v_[k] = v[order_[k]];
        for (Run const& run : runs_) {
            View const own = at(run.first), parent = at(run.parent);
            double const* const v = v_.data() + run.first;
            double const* const w = v_.data() + run.parent;
            int const count = run.count;
            NMLB_INDEPENDENT
            for (int k = 0; k < count; ++k) {
                double const dv = w[k] - v[k];
                own.rhs[k] -= own.b[k] * dv;
                parent.rhs[k] += own.a[k] * dv;
                own.d[k] -= own.b[k];
                parent.d[k] -= own.a[k];
            }
        }
    }

    void solve() {
        for (auto run = runs_.rbegin(); run != runs_.rend(); ++run) {
            View const own = at(run->first), parent = at(run->parent);
            int const count = run->count;
            NMLB_INDEPENDENT
            for (int k = 0; k < count; ++k) {
                double const p = own.a[k] / own.d[k];
                parent.d[k] -= p * own.b[k];
                parent.rhs[k] -= p * own.rhs[k];
            }
        }
        for (int k = 0; k < roots_; ++k) rhs_[k] /= d_[k];
        for (Run const& run : runs_) {
            View const own = at(run.first), parent = at(run.parent);
            int const count = run.count;
            NMLB_INDEPENDENT
            for (int k = 0; k < count; ++k) own.rhs[k] = (own.rhs[k] - own.b[k] * parent.rhs[k]) / own.d[k];
        }
    }

    void store(double* rhs) const {
        int const n = order_.size();
        for (int k = 0; k < n; ++k) rhs[order_[k]] = rhs_[k];
    }

  private:
    struct View { double *d, *rhs; double const *a, *b; };

    View at(int k) { return {d_.data() + k, rhs_.data() + k, sorted_a_.data() + k, sorted_b_.data() + k}; }

    // Roots of equal trees side by side, then generation by generation: all first children, all second children, ...
    void arrange() {
        int const n = parents_.size();
        std::vector<std::vector<int>> children(n);
        for (int i = roots_; i < n; ++i) children[parents_[i]].push_back(i);
        std::map<std::vector<int>, int> shapes;
        std::vector<int> shape(n);  // of the tree below a node: equal numbers for equal trees
        for (int i = n - 1; i >= 0; --i) {
            std::vector<int> below;
            for (int child : children[i]) below.push_back(shape[child]);
            shape[i] = shapes.emplace(below, static_cast<int>(shapes.size())).first->second;
        }
        order_.resize(roots_);
        for (int i = 0; i < roots_; ++i) order_[i] = i;
        std::stable_sort(order_.begin(), order_.end(), [&](int i, int j) { return shape[i] < shape[j]; });
        runs_.clear();
        for (int begin = 0, end = roots_; begin < end; begin = end, end = order_.size()) {
            size_t most = 0;
            for (int k = begin; k < end; ++k) most = std::max(most, children[order_[k]].size());
            for (size_t which = 0; which < most; ++which) {
                bool follows = false;
                for (int k = begin; k < end; ++k) {
                    auto const& own = children[order_[k]];
                    if (own.size() > which) {
                        if (!follows) runs_.push_back({static_cast<int>(order_.size()), k, 0});
                        ++runs_.back().count;
                        order_.push_back(own[which]);
                    }
                    follows = own.size() > which;
                }
            }
        }
        worth_ = n - roots_ >= 4 * static_cast<int>(runs_.size());  // half a vector of the widest processors
        for (auto* column : {&d_, &rhs_, &v_, &sorted_a_, &sorted_b_}) column->resize(n);
        for (int k = 0; k < n; ++k) {
            sorted_a_[k] = a_[order_[k]];
            sorted_b_[k] = b_[order_[k]];
        }
    }

    int roots_ = -1;
    bool worth_ = false;
    std::vector<int> parents_, order_;  // order_[k]: NEURON's number of the node that is k-th here
    std::vector<double> a_, b_;         // as NEURON has them
    std::vector<double> sorted_a_, sorted_b_, d_, rhs_, v_;
    std::vector<Run> runs_;             // parents before their children
};
}  // namespace nmlb
"""
"""a and b are what a node's voltage gives to its parent's equation and takes from it (both negative)."""

_PRAGMA = """
#if defined(__clang__)
#define NMLB_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#else
#define NMLB_INDEPENDENT _Pragma("GCC ivdep")
#endif
"""

NEURON = f"""#include <cstddef>
#include "multicore.h"
{_PRAGMA}{TREE}
extern void (*nrn_multisplit_setup_)();
extern void (*nrn_multisplit_solve_)();
extern int use_sparse13;
extern void nrn_solve(NrnThread*);

static nmlb::Tree tree;
extern "C" {{
long nmlb_solved = 0;  // times that cells were solved side by side
}}

static void solve() {{
    NrnThread& cells = *nrn_threads;
    if (!use_sparse13 && tree.fits(cells.ncell, cells.end, cells._v_parent_index, cells.node_a_storage(),
                                   cells.node_b_storage())) {{
        tree.load(cells.node_d_storage(), cells.node_rhs_storage());
        tree.solve();
        tree.store(cells.node_rhs_storage());
        ++nmlb_solved;
    }} else {{
        nrn_multisplit_solve_ = nullptr;
        nrn_solve(&cells);
        nrn_multisplit_solve_ = solve;
    }}
}}

extern "C" int nmlb_solve(int wanted) {{
    bool const free = !nrn_multisplit_setup_ && !nrn_multisplit_solve_;
    if (wanted && free && nrn_nthread == 1) nrn_multisplit_solve_ = solve;
    if (!wanted && nrn_multisplit_solve_ == solve) nrn_multisplit_solve_ = nullptr;
    return nrn_multisplit_solve_ == solve;
}}
"""

CORE = f"""#include <cerrno>
#include "coreneuron/coreneuron.hpp"
#include "coreneuron/nrnconf.h"
#include "coreneuron/sim/multicore.hpp"
#include "coreneuron/network/partrans.hpp"
#include "coreneuron/permute/cellorder.hpp"
{_PRAGMA}{TREE}
namespace coreneuron {{
static nmlb::Tree& tree_of(NrnThread* nt) {{
    static thread_local std::map<int, nmlb::Tree> trees;
    return trees[nt->id];
}}

void* setup_tree_matrix_minimal(NrnThread* nt) {{
    int const n = nt->end;
    std::memset(nt->_actual_rhs, 0, sizeof(double) * n);
    std::memset(nt->_actual_d, 0, sizeof(double) * n);
    if (nt->nrn_fast_imem) {{
        std::memset(nt->nrn_fast_imem->nrn_sav_rhs, 0, sizeof(double) * n);
        std::memset(nt->nrn_fast_imem->nrn_sav_d, 0, sizeof(double) * n);
    }}
    nrn_ba(nt, BEFORE_BREAKPOINT);
    for (auto tml = nt->tml; tml; tml = tml->next)
        if (auto current = corenrn.get_memb_func(tml->index).current) current(nt, tml->ml, tml->index);
    // of what the two arrays of imem hold, only the part of electrodes came until here
    if (nt->nrn_fast_imem)
        for (int i = 0; i < n; ++i) nt->nrn_fast_imem->nrn_sav_rhs[i] -= nt->_actual_rhs[i];
    for (auto tml = nt->tml; tml; tml = tml->next)
        if (auto jacob = corenrn.get_memb_func(tml->index).jacob) jacob(nt, tml->ml, tml->index);
    if (n && nt->tml) nrn_jacob_capacitance(nt, nt->tml->ml, nt->tml->index);  // the first of the list
    if (nt->nrn_fast_imem)
        for (int i = 0; i < n; ++i) nt->nrn_fast_imem->nrn_sav_d[i] += nt->_actual_d[i];
    return nullptr;  // axial currents are added when it is solved
}}

void nrn_solve_minimal(NrnThread* nt) {{
    double *const d = nt->_actual_d, *const rhs = nt->_actual_rhs, *const v = nt->_actual_v;
    double const *const a = nt->_actual_a, *const b = nt->_actual_b;
    int const* const parent = nt->_v_parent_index;
    nmlb::Tree& tree = tree_of(nt);
    if (!use_solve_interleave && tree.fits(nt->ncell, nt->end, parent, a, b)) {{
        tree.load(d, rhs);
        tree.axial(v);
        tree.solve();
        tree.store(rhs);
        return;
    }}
    int const first = nt->ncell, end = nt->end;
    for (int i = first; i < end; ++i) {{
        double const dv = v[parent[i]] - v[i];
        rhs[i] -= b[i] * dv;
        rhs[parent[i]] += a[i] * dv;
        d[i] -= b[i];
        d[parent[i]] -= a[i];
    }}
    if (use_solve_interleave) {{
        solve_interleaved(nt->id);
        return;
    }}
    for (int i = end - 1; i >= first; --i) {{
        double const p = a[i] / d[i];
        d[parent[i]] -= p * b[i];
        rhs[parent[i]] -= p * rhs[i];
    }}
    for (int i = 0; i < first; ++i) rhs[i] /= d[i];
    for (int i = first; i < end; ++i) rhs[i] = (rhs[i] - b[i] * rhs[parent[i]]) / d[i];
}}

void nonvint(NrnThread* nt) {{
    if (nrn_have_gaps) nrnthread_v_transfer(nt);
    errno = 0;
    for (auto tml = nt->tml; tml; tml = tml->next)
        if (auto state = corenrn.get_memb_func(tml->index).state) state(nt, tml->ml, tml->index);
}}
}}  // namespace coreneuron
"""


def solve_side_by_side(library: Path | None) -> bool:
    """Have NEURON in this process solve with the library's solver, where it has one and nothing else solves already."""
    found = None if library is None else getattr(ctypes.CDLL(str(library)), "nmlb_solve", None)
    return found is not None and bool(found(1))
