// A stream through a network. Compiled for every machine alike.

#include "around.hpp"

#include <algorithm>

namespace gatewise {
namespace {

constexpr int64_t BLOCK = 65536;  // hidden states at once: in a second-level cache

// Not inlined: the compiler would contract a product and a sum into one multiply-add where the machine has it, and NumPy
// does not.
__attribute__((noinline)) double product(double a, double b) { return a * b; }

}  // namespace

template <class T> void Dense<T>::operator()(const T* x, int64_t rows, T* y) const {
    constexpr int64_t LANES = 32 / sizeof(T);
    const int64_t in_vectors = depth - depth % LANES;
    for (int64_t row = 0; row < rows; ++row, x += depth)
        for (int64_t unit = 0; unit < size; ++unit) {
            const T* const of = weight + unit * depth;
            T sums[LANES] = {};
            for (int64_t k = 0; k < in_vectors; k += LANES)
                for (int64_t lane = 0; lane < LANES; ++lane) sums[lane] += of[k + lane] * x[k + lane];
            for (int64_t k = in_vectors; k < depth; ++k) sums[k - in_vectors] += of[k] * x[k];
            for (int64_t half = LANES / 2; half > 0; half /= 2)
                for (int64_t lane = 0; lane < half; ++lane) sums[lane] += sums[lane + half];
            *y++ = bias[unit] + sums[0];
        }
}

template <class T> bool Around<T>::push(Stream<T>& stream, const T* x, int64_t time, T* y, Poll poll) {
    const int64_t batch = stream.batch(), R = stream.cell(stream.layers() - 1).recurrent;
    const int64_t most = std::max<int64_t>(1, BLOCK / std::max<int64_t>(1, batch * R));
    for (int64_t at = 0; at < time; at += most) {
        const int64_t steps = std::min(time - at, most), rows = steps * batch;
        const T* own = in_scaling ? scaled(x, rows) : x;
        T* const h = hidden.at_least(rows * R);
        if (!stream.push(through(before, own, rows), steps, h, poll)) return false;
        const T* predicted = through(after, h, rows);
        for (int64_t row = 0; row < rows; ++row, own += features)
            for (int64_t k = 0; k < outputs; ++k) {
                T number = *predicted++;
                if (skip) number += own[skip == 1 ? 0 : k];
                *y++ = out_scaling ? undone(number, k) : number;
            }
        x += rows * features;
    }
    return true;
}

template <class T> const T* Around<T>::scaled(const T* x, int64_t rows) {
    T* const to = own_units.at_least(rows * features);
    for (int64_t row = 0, at = 0; row < rows; ++row)
        for (int64_t k = 0; k < features; ++k, ++at) to[at] = T((double(x[at]) - in_scaling[k]) / in_scaling[features + k]);
    return to;
}

template <class T> T Around<T>::undone(T number, int64_t output) const {
    const double center = out_scaling[output], scale = out_scaling[outputs + output], least = out_scaling[2 * outputs + output];
    const double physical = product(double(number), scale) + center;
    return T(physical <= least ? least : physical);  // NaN stays
}

template <class T> const T* Around<T>::through(const std::vector<Dense<T>>& layers, const T* x, int64_t rows) {
    int turn = 0;
    for (const Dense<T>& layer : layers) {
        T* const y = room[turn ^= 1].at_least(rows * layer.size);
        layer(x, rows, y);
        x = y;
    }
    return x;
}

template struct Dense<float>;
template struct Dense<double>;
template struct Around<float>;
template struct Around<double>;

}  // namespace gatewise
