// What a network has around its LSTM: dense layers, a skip connection, and scaling.
#pragma once

#include <vector>

#include "engine.hpp"

namespace gatewise {

// y = W x + b, row by row: the numbers of each are added in an order of their own, whatever the other rows are. For
// weights that fit into the first-level cache.
template <class T> struct Dense {
    const T *weight, *bias;  // (size, depth), (size)
    int64_t depth, size;

    void operator()(const T* x, int64_t rows, T* y) const;
};

// A stream through a network; parts that are absent are empty, null or 0.
template <class T> struct Around {
    std::vector<Dense<T>> before, after;  // the LSTM
    int64_t features, outputs, skip;      // skip: how many features are added to the outputs, one to all or each to its own
    const double *in_scaling;             // (3, features): center, scale, and what is not used
    const double *out_scaling;            // (3, outputs): center, scale, least
    Buffer<T> own_units, hidden, room[2];

    // As Stream::push, but y is (time, batch, outputs). A long push is done in blocks, which need little memory.
    bool push(Stream<T>& stream, const T* x, int64_t time, T* y, Poll poll);

    const T* scaled(const T* x, int64_t rows);
    T undone(T number, int64_t output) const;
    const T* through(const std::vector<Dense<T>>& layers, const T* x, int64_t rows);
};

extern template struct Dense<float>;
extern template struct Dense<double>;
extern template struct Around<float>;
extern template struct Around<double>;

}  // namespace gatewise
