// What a run and its backward pass have in common: how their work is split into pieces, and their memory.
#pragma once

#include <algorithm>

#include "engine.hpp"

namespace gatewise {

constexpr double PIECE = 5e8;  // operations of one thread between two checks whether to stop

// How many of `count` items to do at once, each of which takes so many operations; at least 1.
inline int64_t at_once(int64_t count, double operations) {
    return std::clamp(int64_t(PIECE / std::max(operations, 1.0)), int64_t(1), std::max<int64_t>(count, 1));
}

// This thread's working memory: it grows when needed and is reused by the next run. A run that starts while another of
// the same thread is unfinished, from a signal handler between two pieces for instance, gets memory of its own.
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

// The workspaces of all threads, allocated by the one that starts them, so that none of them can fail.
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

constexpr double WORTH_SHARING = 4e5;  // with fewer operations, one thread is done before another has woken up

// Copy rows of `count` numbers into rows of `width`, padded with zeros.
template <class T> void widen(T* to, const T* from, int64_t rows, int64_t count, int64_t width) {
    for (int64_t row = 0; row < rows; ++row) {
        std::copy_n(from + row * count, count, to + row * width);
        std::fill(to + row * width + count, to + (row + 1) * width, T(0));
    }
}

// Copy them back.
template <class T> void narrow(T* to, const T* from, int64_t rows, int64_t count, int64_t width) {
    for (int64_t row = 0; row < rows; ++row) std::copy_n(from + row * width, count, to + row * count);
}

}  // namespace gatewise
