// What a C++ program includes: an LSTM cell ready to run, with packed weights and its work shared among threads, and
// streams.
//
// Nothing here is compiled for one instruction set; the kernels are reached through the table of kernel.hpp.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "kernel.hpp"

namespace gatewise {

// Uninitialised numbers, aligned to a cache line.
template <class T> class Buffer {
public:
    Buffer() = default;
    explicit Buffer(int64_t count);
    T* get() const { return numbers.get(); }
    T* at_least(int64_t count);  // grows if it must, and then loses its content

private:
    struct Free { void operator()(T*) const; };
    std::unique_ptr<T[], Free> numbers;
    int64_t size = 0;
};

// The functions of a kernel for numbers of one type.
template <class T> const Functions<T>& functions_of(const Kernel& kernel) {
    if constexpr (sizeof(T) == 4) return kernel.float32;
    else return kernel.float64;
}

// A matrix (size, depth) and a bias (size), packed for one kernel.
template <class T> class Matrix {
public:
    Matrix(const Kernel&, const T* weight, const T* bias, int64_t size, int64_t depth);
    void operator()(const T* x, int64_t rows, T* y) const { functions.affine({rows, depth, size, weight.get(), bias.get(), x, y}); }

private:
    const Functions<T>& functions;

public:
    const int64_t size, depth;

private:
    Buffer<T> weight, bias;
};

// One cell as the caller gives it: gate order i f g o, columns [h; x], C order.
template <class T> struct CellWeights : Switches<T> {
    int64_t input, hidden, recurrent;
    const T* weight;                          // (4, hidden, recurrent + input)
    const T* bias;                            // (4, hidden)
    const T* peephole;                        // (3, hidden), of the gates i f o, or null
    const T* projection;                      // (recurrent, hidden), or null
};

// A cell with its weights packed for one kernel. Immutable: any number of threads may use it at once.
template <class T> class Packed {
public:
    Packed(const Kernel&, const CellWeights<T>&);
    Packed(const Packed&) = delete;

    void pack_backward(const CellWeights<T>&) const;  // must precede backward(); later calls do nothing

    const Functions<T>& kernel() const { return functions; }
    const Cell<T>& cell() const { return packed; }
    int64_t padded(int64_t count) const { return (count + functions.lanes - 1) / functions.lanes * functions.lanes; }
    double work() const { return operations; }  // floating-point operations per step of one sequence

private:
    const Functions<T>& functions;
    mutable Cell<T> packed;
    double operations;
    Buffer<T> gates, bias, peephole, projection;
    mutable Buffer<T> back_h, back_x, back_projection;
    mutable std::once_flag packed_backward;
};

// Called now and then during a long run; returning true ends the run, whose output is then incomplete.
using Poll = bool (*)();

// A whole run. `call` describes it, except for cell, row, rows, first, last, c, workspace, unprojected and team, which
// are set here. `c` is (batch, hidden), in and out. Returns whether the run was completed.
template <class T> bool forward(const Packed<T>&, Forward<T> call, T* c, Poll poll);

// The backward pass over a whole run.
template <class T> struct Gradients {
    T* weight;      // (4, hidden, recurrent + input)
    T* bias;        // (4, hidden)
    T* peephole;    // (3, hidden) or null
    T* projection;  // (recurrent, hidden) or null
};

// `call` as above; x, h and h0 as in the run; dh (batch, recurrent) and dc (batch, hidden), in and out. dx and the
// gradients are outputs and must be zero beforehand.
template <class T>
bool backward(const Packed<T>&, Backward<T> call, const T* x, const T* h, const T* h0, T* dh, T* dc, const Gradients<T>&,
              Poll poll);

// Stacked cells whose state is carried from call to call. One thread at a time.
template <class T> class Stream {
public:
    Stream(std::vector<std::shared_ptr<const Packed<T>>> layers, int64_t batch);

    // Feed the steps x (time, batch, input); the output is y (time, batch, recurrent size of the last layer).
    bool push(const T* x, int64_t time, T* y, Poll poll);

    // The state of a layer: h (batch, recurrent) and c (batch, hidden).
    void get(int64_t layer, T* h, T* c) const;
    void set(int64_t layer, const T* h, const T* c);
    void reset();

    bool is_finite() const;  // whether every number of the state is finite

    int64_t layers() const { return int64_t(cells.size()); }
    const Cell<T>& cell(int64_t layer) const { return cells[layer]->cell(); }
    int64_t batch() const { return batch_size; }
    double work() const { return operations; }  // floating-point operations of one step

private:
    std::vector<std::shared_ptr<const Packed<T>>> cells;
    std::vector<Forward<T>> calls;  // one per layer: what every push has in common
    int64_t batch_size, steps_before = 0;
    double operations = 0;
    std::vector<Buffer<T>> h, c;  // (batch, recurrent), (batch, padded hidden)
    Buffer<T> between[2];
};

extern template class Matrix<float>;
extern template class Matrix<double>;
extern template class Packed<float>;
extern template class Packed<double>;
extern template class Stream<float>;
extern template class Stream<double>;

}  // namespace gatewise
