'''The equations of the cells' trees, solved for many cells at once, in NEURON and in CoreNEURON.

NEURON goes through the compartments one by one: two divisions each, and a load of what the one before has stored. But
cells of one shape do the same in each of their compartments. Here the nodes are put in an order in which a node and the
same node of the next cell are neighbours, and so are their parents; then a run of such nodes is a loop that a compiler
turns into vector instructions. Each node's operations, and the order in which children are added to their parent, stay
as they are in NEURON (solve.cpp, treeset.cpp), so the results are the same to the last bit. Networks of which the cells
are too unlike go NEURON's own way.

In NEURON the columns of the nodes are copied into this order and back (``stepping``). CoreNEURON has an option to order
nodes, made for graphics processors (``cell_permute``): the linker takes our functions of these names instead of the
archive's, so that the nodes of its network, and what stands on them, really are in this order. Those functions do not
put together either, for each mechanism in each step, the name under which a profiler would know it.
'''  # fmt: skip

from __future__ import annotations

from .vectorise import EACH

TREE = r"""
#include <algorithm>
#include <cstring>
#include <map>
#include <vector>

namespace nmlb {
// Nodes first, first + 1, ... of which the parents are parent, parent + 1, ...: none of one run is parent of another.
struct Run { int first, parent, count; };

// An order of the nodes in which like cells stand side by side.
struct Order {
    std::vector<int> nodes;  // nodes[k]: NEURON's number of the node that is k-th here
    std::vector<Run> runs;   // parents before their children
    bool worth = false;      // whether solving in it is worth while

    // Roots of equal trees side by side, then generation by generation: all first children, all second children, ...
    void arrange(int roots, int n, int const* parents) {
        std::vector<std::vector<int>> children(n);
        for (int i = roots; i < n; ++i) children[parents[i]].push_back(i);
        std::map<std::vector<int>, int> shapes;
        std::vector<int> shape(n);  // of the tree below a node: equal numbers for equal trees
        for (int i = n - 1; i >= 0; --i) {
            std::vector<int> below;
            for (int child : children[i]) below.push_back(shape[child]);
            shape[i] = shapes.emplace(below, static_cast<int>(shapes.size())).first->second;
        }
        nodes.resize(roots);
        for (int i = 0; i < roots; ++i) nodes[i] = i;
        std::stable_sort(nodes.begin(), nodes.end(), [&](int i, int j) { return shape[i] < shape[j]; });
        runs.clear();
        for (int begin = 0, end = roots; begin < end; begin = end, end = nodes.size()) {
            size_t most = 0;
            for (int k = begin; k < end; ++k) most = std::max(most, children[nodes[k]].size());
            for (size_t which = 0; which < most; ++which) {
                bool follows = false;
                for (int k = begin; k < end; ++k) {
                    auto const& own = children[nodes[k]];
                    if (own.size() > which) {
                        if (!follows) runs.push_back({static_cast<int>(nodes.size()), k, 0});
                        ++runs.back().count;
                        nodes.push_back(own[which]);
                    }
                    follows = own.size() > which;
                }
            }
        }
        worth = n - roots >= 4 * static_cast<int>(runs.size());  // half a vector of the widest processors
    }
};

// Columns of the nodes, from one of them on.
struct Columns {
    double *d, *rhs;
    double const *a, *b, *v;
    Columns from(int k) const { return {d + k, rhs + k, a + k, b + k, v + k}; }
};

// Currents along the cable, and their part in the matrix.
inline void axial(std::vector<Run> const& runs, Columns const& all) {
    for (Run const& run : runs) {
        Columns const own = all.from(run.first), parent = all.from(run.parent);
        int const count = run.count;
        NMLB_INDEPENDENT
        for (int k = 0; k < count; ++k) {
            double const dv = parent.v[k] - own.v[k];
            own.rhs[k] -= own.b[k] * dv;
            parent.rhs[k] += own.a[k] * dv;
            own.d[k] -= own.b[k];
            parent.d[k] -= own.a[k];
        }
    }
}

inline void solve(std::vector<Run> const& runs, int roots, Columns const& all) {
    for (auto run = runs.rbegin(); run != runs.rend(); ++run) {
        Columns const own = all.from(run->first), parent = all.from(run->parent);
        int const count = run->count;
        NMLB_INDEPENDENT
        for (int k = 0; k < count; ++k) {
            double const p = own.a[k] / own.d[k];
            parent.d[k] -= p * own.b[k];
            parent.rhs[k] -= p * own.rhs[k];
        }
    }
    for (int k = 0; k < roots; ++k) all.rhs[k] /= all.d[k];
    for (Run const& run : runs) {
        Columns const own = all.from(run.first), parent = all.from(run.parent);
        int const count = run.count;
        NMLB_INDEPENDENT
        for (int k = 0; k < count; ++k) own.rhs[k] = (own.rhs[k] - own.b[k] * parent.rhs[k]) / own.d[k];
    }
}

// The same for cells that are too unlike, node by node.
inline void axial(int first, int end, int const* parent, Columns const& all) {
    for (int i = first; i < end; ++i) {
        double const dv = all.v[parent[i]] - all.v[i];
        all.rhs[i] -= all.b[i] * dv;
        all.rhs[parent[i]] += all.a[i] * dv;
        all.d[i] -= all.b[i];
        all.d[parent[i]] -= all.a[i];
    }
}

inline void solve(int first, int end, int const* parent, Columns const& all) {
    for (int i = end - 1; i >= first; --i) {
        double const p = all.a[i] / all.d[i];
        all.d[parent[i]] -= p * all.b[i];
        all.rhs[parent[i]] -= p * all.rhs[i];
    }
    for (int i = 0; i < first; ++i) all.rhs[i] /= all.d[i];
    for (int i = first; i < end; ++i) all.rhs[i] = (all.rhs[i] - all.b[i] * all.rhs[parent[i]]) / all.d[i];
}

inline void advance(int n, bool second_order, double const* rhs, double* v) {
    if (second_order)
        for (int i = 0; i < n; ++i) v[i] += 2. * rhs[i];
    else
        for (int i = 0; i < n; ++i) v[i] += rhs[i];
}

// The capacitance of some nodes: its part in the matrix, and its current once the change of v is known.
inline void charge(int count, int const* nodes, double factor, double const* cm, double* d) {
    each(count, nodes, [=](int i, int node) { d[node] += factor * cm[i]; });
}

inline void charging(int count, int const* nodes, double factor, double const* cm, double const* rhs, double* i_cap) {
    each(count, nodes, [=](int i, int node) { i_cap[i] = factor * cm[i] * rhs[node]; });
}
}  // namespace nmlb
"""
"""a and b are what a node's voltage gives to its parent's equation and takes from it (both negative)."""

CORE = f"""#include <cerrno>
#include "coreneuron/coreneuron.hpp"
#include "coreneuron/nrnconf.h"
#include "coreneuron/sim/multicore.hpp"
#include "coreneuron/sim/fast_imem.hpp"
#include "coreneuron/network/partrans.hpp"
#include "coreneuron/permute/cellorder.hpp"
#include <mutex>
{EACH}{TREE}
namespace coreneuron {{
static std::map<int, nmlb::Order> orders;  // of each thread that has one
static std::mutex ordering;

// Called for each thread when its network has come, with cell_permute = 1: the nodes then really stand in this order.
int* interleave_order(int thread, int roots, int n, int* parents) {{
    nmlb::Order order;
    order.arrange(roots, n, parents);
    int* const places = new int[n];
    for (int k = 0; k < n; ++k) places[order.worth ? order.nodes[k] : k] = k;
    std::lock_guard<std::mutex> const alone(ordering);
    orders[thread] = std::move(order);
    return places;
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
    if (n && nt->tml) {{  // the first of the list
        Memb_list const* const ml = nt->tml->ml;
        nmlb::charge(ml->nodecount, ml->nodeindices, .001 * nt->cj, ml->data, nt->_actual_d);
    }}
    if (nt->nrn_fast_imem)
        for (int i = 0; i < n; ++i) nt->nrn_fast_imem->nrn_sav_d[i] += nt->_actual_d[i];
    return nullptr;  // axial currents are added when it is solved
}}

void nrn_solve_minimal(NrnThread* nt) {{
    nmlb::Columns const all{{nt->_actual_d, nt->_actual_rhs, nt->_actual_a, nt->_actual_b, nt->_actual_v}};
    auto const found = orders.find(nt->id);
    if (nt->_permute && found != orders.end() && found->second.worth) {{
        nmlb::axial(found->second.runs, all);
        nmlb::solve(found->second.runs, nt->ncell, all);
    }} else {{
        nmlb::axial(nt->ncell, nt->end, nt->_v_parent_index, all);
        nmlb::solve(nt->ncell, nt->end, nt->_v_parent_index, all);
    }}
}}

void update(NrnThread* nt) {{
    nmlb::advance(nt->end, secondorder != 0, nt->_actual_rhs, nt->_actual_v);
    if (nt->tml) {{
        Memb_list* const ml = nt->tml->ml;
        double* const cm = ml->data;
        nmlb::charging(ml->nodecount, ml->nodeindices, .001 * nt->cj, cm, nt->_actual_rhs, cm + ml->_nodecount_padded);
    }}
    if (nrn_use_fast_imem) nrn_calc_fast_imem(nt);
}}

void nonvint(NrnThread* nt) {{
    if (nrn_have_gaps) nrnthread_v_transfer(nt);
    errno = 0;
    for (auto tml = nt->tml; tml; tml = tml->next)
        if (auto state = corenrn.get_memb_func(tml->index).state) state(nt, tml->ml, tml->index);
}}
}}  // namespace coreneuron
"""
