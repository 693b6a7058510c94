// What the drivers have in common: samples in, samples out, and the time of a sample.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <vector>

// Standard input, as float32.
inline std::vector<float> read_all() {
    std::vector<float> found;
    float part[4096];
    for (size_t count; (count = fread(part, sizeof(float), 4096, stdin)) > 0;) found.insert(found.end(), part, part + count);
    return found;
}

// Writes what the first pass over all samples puts out, then goes on for some time, and prints the median of a pass in
// nanoseconds a sample. A tenth of the time before it is not counted.
template <class Pass>
int drive(const char* version, size_t samples, double seconds, const std::vector<float>& y, Pass pass) {
    using Clock = std::chrono::steady_clock;
    const auto since = [](Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); };
    pass();
    if (fwrite(y.data(), sizeof(float), y.size(), stdout) != y.size()) return 1;
    for (auto begin = Clock::now(); since(begin) < 0.1 * seconds;) pass();
    std::vector<double> times;
    for (auto begin = Clock::now(); times.empty() || since(begin) < seconds;) {
        const auto start = Clock::now();
        pass();
        times.push_back(since(start));
    }
    std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
    fprintf(stderr, "%s\n%.6g\n", version, 1e9 * times[times.size() / 2] / double(samples));
    return 0;
}
