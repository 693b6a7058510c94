// The contract between the kernels and whoever calls them: shape, meaning and owner of every pointer.
//
// T is float or double. Every array is C-ordered and owned by the caller; a kernel allocates nothing, keeps nothing,
// and may be called from any thread. Sizes are checked before they come here. Padded means: rounded up to whole
// vectors of `lanes` numbers.
//
// This header is included by files that are compiled for one instruction set: it holds declarations only.
#pragma once

#include <stdint.h>

namespace gatewise {

enum Gate { INPUT, FORGET, CANDIDATE, OUTPUT, CELL };  // CELL: the nonlinearity between the cell state and the output
enum class Function : int32_t { sigmoid, tanh, hard_sigmoid, exponential };
enum class Coupling : int32_t { none, forget, input };  // which gate is 1 minus the other

// hard_sigmoid is clip(slope * a + shift, 0, 1); the others have no constants.
template <class T>
struct Activation {
    Function function;
    T slope, shift;
};

// One cell: its sizes, its switches, and its weights as the kernels read them (packing.cpp makes them).
//
// A group is `vectors` (1 to 4) vectors of neighbouring columns, packed (depth, vectors, lanes): what one product
// streams through. Only the last group of a matrix has fewer than 4.
template <class T>
struct Cell {
    int64_t input, hidden, recurrent;
    Activation<T> activation[5];                 // by Gate
    Coupling coupling;
    T gate_clip, cell_clip, projection_clip;     // infinity: none
    bool plain;                                  // sigmoids, tanhs, and no switch at all

    const T* gates;                              // (tiles, input + recurrent, 4, lanes): the columns of x, then of h
    const T* bias;                               // (tiles, 4, lanes)
    const T* peephole;                           // (tiles, 3, lanes), of the gates i f o, or null
    const T* projection;                         // groups of recurrent columns, depth hidden, or null
    const T* back_h;                             // groups of recurrent columns, depth 4 hidden
    const T* back_x;                             // groups of input columns, depth 4 hidden
    const T* back_projection;                    // groups of hidden columns, depth recurrent, or null
};

// Several threads that take the steps of one run together, each with a share of the units.
struct Team {
    int32_t part, parts;                         // who this is, and how many there are; one alone does everything
    bool (*wait)(void* barrier);                 // returns when all have come here; false, to all, where one came late
    void* barrier;
};

// Which units are kept: those of tile t are the entries start[t] to start[t + 1] of `lane`, and lie at `place`.
struct Pick {
    const int64_t *start, *lane, *place;
};

// Rows [row, row + rows) of a run over time, and of their units the share of this part of the team.
//
// Steps are counted in the order in which they are taken, from `first` to `last` (exclusive) of `time`; a run may be
// cut anywhere and gives the same bits.
template <class T>
struct Forward {
    const Cell<T>* cell;
    int64_t time, batch, row, rows, first, last;
    int64_t taken;                               // steps taken before this run: in which direction weights are read next
    bool reverse;
    const T* x;                                  // (time, batch, input)
    const T* h0;                                 // (batch, recurrent): before the first step
    T* c;                                        // (batch, padded hidden): in and out
    T* h;                                        // (time, batch, recurrent): out, after each step
    const uint8_t* valid;                         // (time, batch): which steps take place, or null: all
    const T* recurrent_mask;                     // (time, batch, recurrent) or null
    const T* zoneout_cell;                       // (time, batch, hidden) or null
    const T* zoneout_hidden;                     // (time, batch, recurrent) or null

    // What is kept of the steps 0, every, 2 every, … of the input's time: out, or null. Of the units all, or those
    // that `pick` tells.
    int64_t every, units;
    T* kept_gates;                               // (kept, batch, gates_kept, units)
    int32_t gates_kept, place[4];                // where each gate lies in it, or -1
    T* kept_cell;                                // (kept, batch, units)
    T* kept_unprojected;                         // (kept, batch, units)
    const Pick* pick;                            // or null: all units, in their order

    T* workspace;                                // forward_workspace() numbers of this part's own
    T* unprojected;                              // (batch, padded hidden), of the team; needed with a projection
    Team team;
};

// Back over steps [first, last) counted from the end of a run, rows [row, row + rows).
template <class T>
struct Backward {
    const Cell<T>* cell;
    int64_t time, batch, row, rows, first, last;
    bool reverse;
    const T *gates, *cells, *unprojected;        // what the run left behind: (time, batch, 4, hidden), (time, batch, hidden)
    const T* c0;                                 // (batch, hidden): before the first step
    const uint8_t* valid;
    const T *recurrent_mask, *zoneout_cell, *zoneout_hidden;
    const T* dhidden;                            // (time, batch, recurrent)
    T* dh;                                       // (batch, padded recurrent): in, after the steps; out, before them
    T* dc;                                       // (batch, padded hidden)
    T* da;                                       // (last - first, batch, 4, hidden): out, by the pre-activations
    T* dr;                                       // (last - first, batch, recurrent): out, by the projected state, or null
    T* dx;                                       // (time, batch, input): out
    T* workspace;                                // backward_workspace() numbers of this part's own

    // Of gather(), which one part calls for all rows when their steps are done:
    const T *h, *h0;                             // as in the run
    T* seen;                                     // (last - first, batch, recurrent): out, h_prev through its mask, or null
    T* dpeephole;                                // (3, hidden): in and out, or null
};

// target[l, r] += the sum over rows of left[row][l] right[row][r], for l from `first` to `last` (exclusive). The right
// side lies in two arrays of one width each, and may end with a 1, whose sum is that of the left side alone. Rows are
// added in their order, so that no bit depends on who does which part.
template <class T>
struct Outer {
    int64_t rows, first, last;
    const T* const* left;                        // (rows) pointers to numbers
    const T* const* right[2];                    // (rows) pointers to right_size numbers each; the second may be null
    int64_t right_size[2];
    T* target;                                   // (·, both right sizes): in and out
    T* sum;                                      // (·): in and out, or null
    T* workspace;                                // outer_workspace() numbers of this part's own
};

template <class T>
struct Functions {
    int64_t lanes;
    int64_t (*forward)(const Forward<T>&);       // returns after which step it ended: `last`, or before, where one of
                                                 // the team came late; then somebody does the rest alone
    void (*backward)(const Backward<T>&);
    void (*gather)(const Backward<T>&);          // what the parameters' gradients take besides the products of outer()
    void (*outer)(const Outer<T>&);
    void (*apply)(const Activation<T>&, const T* a, T* y, int64_t count);  // a nonlinearity by itself: y = φ(a)
    int64_t (*forward_workspace)(const Cell<T>&, int64_t rows);            // of a part that does so many rows
    int64_t (*backward_workspace)(const Cell<T>&, int64_t rows, int64_t steps);
    int64_t (*outer_workspace)();
};

struct Kernel {
    const char* name;
    Functions<float> float32;
    Functions<double> float64;
};

// The kernels that this machine can run, fastest first; the last one runs everywhere. Returns how many there are.
int available(const Kernel* found[4]);

}  // namespace gatewise
