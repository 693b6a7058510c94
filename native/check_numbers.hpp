// Numbers compared with what they must be: within a bound on rounding, or bit for bit.
#pragma once

#include <cstdio>
#include <cstring>
#include <stdexcept>

#include "check_subjects.hpp"

namespace gatewise {

inline double largest = 0;               // of all errors, as a fraction of what is allowed
inline int64_t compared = 0, tight = 0;  // how many numbers, and how many of them within 10 000 epsilons of their array's largest

template <class... Words> [[noreturn]] void fail(const char* form, Words... words) {
    char text[300];
    std::snprintf(text, sizeof text, form, words...);
    throw std::runtime_error(text);
}

template <class T> void check_close(const char* name, const Array<T>& actual, const Array<Number<T>>& expected) {
    if (!actual) return;
    double size = 0;
    for (int64_t n = 0; n < actual.size(); ++n) size = std::max(size, double(std::abs(expected[n].value)));
    for (int64_t n = 0; n < actual.size(); ++n) {
        const double allowed = double(std::numeric_limits<T>::epsilon() * expected[n].error + 1e3 * std::numeric_limits<T>::min());
        const double error = double(std::abs(actual[n] - expected[n].value));
        if (!(error <= allowed))
            fail("%s at %lld is %.17g, but must be %.17g to within %.3g", name, (long long)n, double(actual[n]),
                 double(expected[n].value), allowed);
        largest = std::max(largest, error / allowed);
        ++compared, tight += allowed <= 1e4 * std::numeric_limits<T>::epsilon() * std::max(size, 1e-3);
    }
}

template <class T> void check_same(const char* name, const Array<T>& actual, const Array<T>& expected) {
    for (int64_t n = 0; n < actual.size(); ++n)
        if (std::memcmp(&actual[n], &expected[n], sizeof(T)) != 0)
            fail("%s at %lld is %.17g, but must be %.17g to the last bit", name, (long long)n, double(actual[n]), double(expected[n]));
}

template <class T> void check_same(const char* name, const Result<T>& actual, const Result<T>& expected) {
    check_same(name, actual.hidden, expected.hidden);
    check_same(name, actual.h, expected.h);
    check_same(name, actual.c, expected.c);
    check_same(name, actual.gates, expected.gates);
    check_same(name, actual.cells, expected.cells);
    check_same(name, actual.unprojected, expected.unprojected);
}

}  // namespace gatewise
