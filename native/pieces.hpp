// What a run and its backward pass have in common: how their work is cut into pieces, and what they work in.
#pragma once

#include <algorithm>

#include "engine.hpp"

namespace gatewise {

constexpr double PIECE = 5e8;  // operations of one thread between two looks whether to stop

// How many of `count` may be done at once, each taking so many operations; at least 1.
inline int64_t at_once(int64_t count, double operations) {
    return std::clamp(int64_t(PIECE / std::max(operations, 1.0)), int64_t(1), std::max<int64_t>(count, 1));
}

// What one run of this thread works in: it grows, and stays. While one lives, another run of the thread, by a signal
// handler between two pieces say, gets memory of its own.
template <class T, int USE> class Scratch {
    static Buffer<T>& kept() {
        static thread_local Buffer<T> buffer;
        return buffer;
    }
    Buffer<T> mine = std::move(kept());

public:
    ~Scratch() { kept() = std::move(mine); }
    T* at_least(int64_t count) { return mine.at_least(count); }
};

// The workspaces of all parts: taken by who starts them, so that no part can fail.
template <class T> class Workspaces {
    Scratch<T, 0> scratch;
    T* all = nullptr;
    int64_t each = 0;

public:
    void take(int parts, int64_t count) {
        each = (count + 15) / 16 * 16;
        all = scratch.at_least(parts * each);
    }
    T* of(int part) const { return all + part * each; }
};

constexpr double WORTH_SHARING = 4e5;  // operations below which one thread is done before another has woken up

// Rows of `count` numbers into rows of `width`, with zeros behind them.
template <class T> void widen(T* to, const T* from, int64_t rows, int64_t count, int64_t width) {
    for (int64_t row = 0; row < rows; ++row) {
        std::copy_n(from + row * count, count, to + row * width);
        std::fill(to + row * width + count, to + (row + 1) * width, T(0));
    }
}

// And back.
template <class T> void narrow(T* to, const T* from, int64_t rows, int64_t count, int64_t width) {
    for (int64_t row = 0; row < rows; ++row) std::copy_n(from + row * width, count, to + row * count);
}

}  // namespace gatewise
