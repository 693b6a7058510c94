// The contract between the kernels and their callers: shape, meaning and owner of every pointer.
//
// T is float or double. Every array is C-contiguous and owned by the caller; a kernel allocates nothing, keeps nothing,
// and may be called from any thread. Sizes have been checked by the caller. "Padded" means rounded up to whole vectors
// of `lanes` numbers. A row of a batch is one sequence.
//
// Files that are compiled for one instruction set include this header, so it holds declarations only.
#pragma once

#include <stdint.h>

namespace gatewise {

enum Gate { INPUT, FORGET, CANDIDATE, OUTPUT, CELL };  // CELL: the nonlinearity between the cell state and the output
enum class Function : int32_t { sigmoid, tanh, hard_sigmoid, exponential };
enum class Coupling : int32_t { none, forget, input };  // which gate is 1 minus the other

struct NamedFunction {
    const char* name;
    Function function;
};
inline constexpr NamedFunction FUNCTIONS[] = {
    {"sigmoid", Function::sigmoid},
    {"tanh", Function::tanh},
    {"hard_sigmoid", Function::hard_sigmoid},
    {"exponential", Function::exponential},
};

// hard_sigmoid is clip(slope * a + shift, 0, 1); the others have no constants.
template <class T>
struct Activation {
    Function function;
    T slope, shift;
};

// The switches of a cell; as long as they are not set, none acts.
template <class T>
struct Switches {
    Activation<T> activation[5] = {};            // by Gate
    Coupling coupling = Coupling::none;
    T gate_clip = T(__builtin_inf()), cell_clip = T(__builtin_inf()), projection_clip = T(__builtin_inf());
};

// The numbers among the switches, in the order and under the names that Python gives them.
template <class T>
struct NamedNumber {
    const char* name;
    T Switches<T>::*number;
    bool in_step;                                // whether the equations of gates and cell state are others with it
};
template <class T>
inline constexpr NamedNumber<T> NUMBERS[] = {
    {"gate_clip", &Switches<T>::gate_clip, true},
    {"cell_clip", &Switches<T>::cell_clip, true},
    {"projection_clip", &Switches<T>::projection_clip, false},
};

// One cell: its sizes, its switches, and its weights as the kernels read them (packed by packing.cpp).
//
// A group is `vectors` (1 to 4) vectors of neighbouring columns, packed (depth, vectors, lanes): what one product
// streams through. Only the last group of a matrix may have fewer than 4.
template <class T>
struct Cell : Switches<T> {
    int64_t input, hidden, recurrent;
    bool plain;                                  // sigmoid and tanh, and no switch set that acts within a step

    const T* gates;                              // (tiles, input + recurrent, 4, lanes): the columns of x, then of h
    const T* bias;                               // (tiles, 4, lanes)
    const T* peephole;                           // (tiles, 3, lanes), of the gates i f o, or null
    const T* projection;                         // groups of recurrent columns, depth hidden, or null
    const T* back_h;                             // groups of recurrent columns, depth 4 hidden
    const T* back_x;                             // groups of input columns, depth 4 hidden
    const T* back_projection;                    // groups of hidden columns, depth recurrent, or null
};

// Several threads that compute the steps of one run together, each for a share of the units.
struct Team {
    int32_t part, parts;                         // this thread's number, and how many there are; 1 does everything
    bool (*wait)(void* barrier);                 // returns when all threads are here; false, to all, if one was late
    void* barrier;
};

// Which units are kept: for tile t, the entries start[t] to start[t + 1] of `lane`, stored at those of `place`.
struct Pick {
    const int64_t *start, *lane, *place;
};

// A run over time, for the sequences [row, row + rows) of the batch and this thread's share of the units.
//
// Steps are counted in the order in which they are computed, from `first` to `last` (exclusive) of `time`; a run may be
// split anywhere and gives the same bits.
template <class T>
struct Forward {
    const Cell<T>* cell;
    int64_t time, batch, row, rows, first, last;
    int64_t steps_before;                              // steps before this run; decides in which direction weights are read
    bool reverse;
    const T* x;                                  // (time, batch, input)
    const T* h0;                                 // (batch, recurrent): before the first step
    T* c;                                        // (batch, padded hidden): in and out
    T* h;                                        // (time, batch, recurrent): out, after each step
    const uint8_t* valid;                        // (time, batch): which steps are valid; null: all
    const T* recurrent_mask;                     // (time, batch, recurrent) or null
    const T* zoneout_cell;                       // (time, batch, hidden) or null
    const T* zoneout_hidden;                     // (time, batch, recurrent) or null

    // What is kept of the steps 0, every, 2 every, … of the input's time: out, or null. All units, or those in `pick`.
    int64_t every, units;
    T* kept_gates;                               // (kept, batch, gates_kept, units)
    int32_t gates_kept, place[4];                // each gate's position in it, or -1
    T* kept_cell;                                // (kept, batch, units)
    T* kept_unprojected;                         // (kept, batch, units)
    const Pick* pick;                            // null: all units, in order

    T* workspace;                                // forward_workspace() numbers, private to this thread
    T* unprojected;                              // (batch, padded hidden), shared by the team; needed with a projection
    Team team;
};

// The backward pass over steps [first, last), counted from the end of a run, for the sequences [row, row + rows).
template <class T>
struct Backward {
    const Cell<T>* cell;
    int64_t time, batch, row, rows, first, last;
    bool reverse;
    const T *gates, *cells, *unprojected;        // what the run kept: (time, batch, 4, hidden), (time, batch, hidden)
    const T* c0;                                 // (batch, hidden): before the first step
    const uint8_t* valid;
    const T *recurrent_mask, *zoneout_cell, *zoneout_hidden;
    const T* dhidden;                            // (time, batch, recurrent)
    T* dh;                                       // (batch, padded recurrent): in, after the steps; out, before them
    T* dc;                                       // (batch, padded hidden)
    T* da;                                       // (last - first, batch, 4, hidden): out, of the pre-activations
    T* dr;                                       // (last - first, batch, recurrent): out, of the projected state, or null
    T* dx;                                       // (time, batch, input): out
    T* workspace;                                // backward_workspace() numbers, private to this thread

    // For gather(), which one thread calls for all sequences when their steps are done:
    const T *h, *h0;                             // as in the run
    T* masked_h;                                     // (last - first, batch, recurrent): out, h_prev times its mask, or null
    T* dpeephole;                                // (3, hidden): in and out, or null
};

// target[l, r] += the sum over rows of left[row][l] right[row][r], for l from `first` to `last` (exclusive). A row is
// one step of one sequence. The right side is the concatenation of two arrays, and of a 1 where the left side's own sum
// is wanted as well. Rows are added in order, so that no bit depends on which thread does which part.
template <class T>
struct Outer {
    int64_t rows, first, last;
    const T* const* left;                        // (rows) pointers to numbers
    const T* const* right[2];                    // (rows) pointers to right_size numbers each; the second may be null
    int64_t right_size[2];
    T* target;                                   // (·, both right sizes): in and out
    T* sum;                                      // (·), the sum of the left side: in and out, or null
    T* workspace;                                // outer_workspace() numbers, private to this thread
};

// y = W x + b for rows of numbers.
template <class T>
struct Affine {
    int64_t rows, depth, size;
    const T* weight;                             // groups of `size` columns, of this depth
    const T* bias;                               // (padded size)
    const T* x;                                  // (rows, depth)
    T* y;                                        // (rows, size): out
};

template <class T>
struct Functions {
    int64_t lanes;
    int64_t (*forward)(const Forward<T>&);       // returns the step that it reached: `last`, or an earlier one if a
                                                 // thread of the team was late; one thread must then do the rest
    void (*backward)(const Backward<T>&);
    void (*gather)(const Backward<T>&);          // what the parameters' gradients need besides the products of outer()
    void (*outer)(const Outer<T>&);
    void (*apply)(const Activation<T>&, const T* a, T* y, int64_t count);  // a nonlinearity by itself: y = φ(a)
    void (*affine)(const Affine<T>&);
    int64_t (*forward_workspace)(const Cell<T>&, int64_t rows, int64_t steps);  // of a thread that has so many sequences
    int64_t (*backward_workspace)(const Cell<T>&, int64_t rows, int64_t steps);
    int64_t (*outer_workspace)();
};

struct Kernel {
    const char* name;
    Functions<float> float32;
    Functions<double> float64;
};

// The kernels that this machine can run, fastest first; the last one runs everywhere. Returns how many there are.
int available(const Kernel* kernels[4]);

}  // namespace gatewise
