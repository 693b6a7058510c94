// What the programs of the other runtimes have in common: weights and samples in, samples out, and the times of a step.
//
//     program WEIGHTS INPUTS HIDDEN LAYERS SECONDS < x.float32 > y.float32
//
// The file of weights holds float32 numbers: of each layer the matrix of its input and that of its hidden state, each with
// a row for every number that it reads and columns for the gates i f g o, and the biases; then the weights of a dense layer
// with one output, and its bias. The model starts from zeros.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

inline std::vector<float> read_all(FILE* file) {
    std::vector<float> numbers;
    float part[4096];
    for (size_t count; (count = fread(part, sizeof(float), 4096, file)) > 0;) numbers.insert(numbers.end(), part, part + count);
    return numbers;
}

// The numbers of a file, one after another.
struct Weights {
    std::vector<float> numbers;
    size_t at = 0;

    std::vector<float> row(size_t count) {
        at += count;
        return {numbers.begin() + long(at - count), numbers.begin() + long(at)};
    }
    std::vector<std::vector<float>> rows(size_t many, size_t count) {
        std::vector<std::vector<float>> rows;
        for (size_t n = 0; n < many; ++n) rows.push_back(row(count));
        return rows;
    }
};

// Writes what the first pass over all samples puts out, then goes on for some time, and prints the median and the minimum
// of its bursts in nanoseconds a step. `pass(x, steps, y)` computes so many steps.
template <class Pass> int drive_passes(size_t inputs, double seconds, Pass pass) {
    using Clock = std::chrono::steady_clock;
    const auto since = [](Clock::time_point begin) { return std::chrono::duration<double>(Clock::now() - begin).count(); };
    const std::vector<float> x = read_all(stdin);
    const size_t samples = x.size() / inputs, burst = samples / 16;
    std::vector<float> y(samples);
    pass(x.data(), samples, y.data());
    if (fwrite(y.data(), sizeof(float), samples, stdout) != samples) return 1;
    std::vector<double> times;
    for (auto begin = Clock::now(); times.size() < 16 || since(begin) < seconds;) {
        const size_t first = times.size() % 16 * burst;
        const auto start = Clock::now();
        pass(&x[first * inputs], burst, &y[first]);
        times.push_back(1e9 * since(start) / double(burst));
    }
    std::sort(times.begin(), times.end());
    fprintf(stderr, "%.6g %.6g\n", times[times.size() / 2], times[0]);
    return 0;
}

// As above; `step` returns the output for some inputs.
template <int INPUTS, class Step> int drive(double seconds, Step step) {
    return drive_passes(INPUTS, seconds, [&](const float* x, size_t steps, float* y) {
        for (size_t t = 0; t < steps; ++t) y[t] = step(x + t * INPUTS);
    });
}

// The sizes that are compiled, as MODEL(inputs, hidden, layers).
#define FOR_EACH_MODEL(MODEL) \
    MODEL(1, 8, 1) MODEL(1, 20, 1) MODEL(1, 40, 1) MODEL(2, 40, 1) MODEL(16, 16, 1) MODEL(1, 64, 1) MODEL(32, 128, 1) MODEL(1, 16, 2)

// main(), where `run<inputs, hidden, layers>(weights, seconds)` makes a model and drives it.
#define MAIN \
    int main(int count, char** given) { \
        if (count != 6) return 2; \
        FILE* const file = fopen(given[1], "rb"); \
        if (!file) return 3; \
        Weights weights{read_all(file)}; \
        const int inputs = atoi(given[2]), hidden = atoi(given[3]), layers = atoi(given[4]); \
        const double seconds = atof(given[5]); \
        FOR_EACH_MODEL(RUN_IF) \
        fprintf(stderr, "no model of these sizes is compiled in\n"); \
        return 4; \
    }
#define RUN_IF(I, H, L) if (inputs == I && hidden == H && layers == L) return run<I, H, L>(weights, seconds);
