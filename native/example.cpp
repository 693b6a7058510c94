// A cell without Python: a run over a sequence, then the same as a stream, whose state is carried from call to call.
//
//   c++ -std=c++17 example.cpp -I . -L ../build -lgatewise_kernel -pthread

#include <cstdio>
#include <limits>
#include <memory>
#include <vector>

#include "engine.hpp"

using namespace gatewise;

int main() {
    constexpr int64_t INPUT_SIZE = 1, HIDDEN_SIZE = 2, TIME = 6;

    // One matrix and one bias for each gate, in the order i f g o. The columns of a matrix are those of h, then of x.
    const std::vector<float> weight = {
        0.1f,  -0.2f, 1.0f, /**/ 0.3f, 0.1f,  0.8f,   // input gate, two units
        0.0f,  0.2f,  0.5f, /**/ 0.1f, 0.0f,  -0.5f,  // forget gate
        -0.4f, 0.6f,  1.2f, /**/ 0.7f, -0.3f, 0.9f,   // candidate
        0.2f,  0.2f,  0.3f, /**/ 0.1f, 0.4f,  -0.3f,  // output gate
    };
    const std::vector<float> bias = {0, 0, 1, 1, 0, 0, 0, 0};

    CellWeights<float> weights{};
    weights.input = INPUT_SIZE, weights.hidden = weights.recurrent = HIDDEN_SIZE;
    for (int gate : {INPUT, FORGET, OUTPUT}) weights.activation[gate].function = Function::sigmoid;
    for (int gate : {CANDIDATE, CELL}) weights.activation[gate].function = Function::tanh;
    weights.weight = weight.data(), weights.bias = bias.data();

    const Kernel* kernels[4];
    available(kernels);  // fastest first
    const auto cell = std::make_shared<const Packed<float>>(*kernels[0], weights);
    std::printf("kernel: %s\n\n  x      i           f           c              h\n", kernels[0]->name);

    // The whole sequence, with every gate of every step.
    const std::vector<float> x = {1, 0, 0, -1, 0.5f, 0.5f};
    std::vector<float> h0(HIDDEN_SIZE), c(HIDDEN_SIZE);
    std::vector<float> hidden(TIME * HIDDEN_SIZE), gates(TIME * 4 * HIDDEN_SIZE), cells(TIME * HIDDEN_SIZE);
    Forward<float> run{};
    run.time = TIME, run.batch = 1, run.every = 1;
    run.x = x.data(), run.h0 = h0.data(), run.h = hidden.data();
    run.units = HIDDEN_SIZE, run.gates_kept = 4;
    for (int gate : {INPUT, FORGET, CANDIDATE, OUTPUT}) run.place[gate] = gate;
    run.kept_gates = gates.data(), run.kept_cell = cells.data();
    forward(*cell, run, c.data(), nullptr);
    for (int64_t t = 0; t < TIME; ++t) {
        const float *step = &gates[t * 4 * HIDDEN_SIZE], *i = step, *f = step + HIDDEN_SIZE;
        const float *now = &cells[t * HIDDEN_SIZE], *h = &hidden[t * HIDDEN_SIZE];
        std::printf("%4.1f   %.2f %.2f   %.2f %.2f   %5.2f %5.2f   %7.4f %7.4f\n", x[t], i[0], i[1], f[0], f[1], now[0], now[1], h[0], h[1]);
    }

    // The same as a stream, one number at a time: bit for bit the same.
    Stream<float> stream({cell}, 1);
    std::vector<float> y(HIDDEN_SIZE);
    for (int64_t t = 0; t < TIME; ++t) {
        stream.push(&x[t], 1, y.data(), nullptr);
        for (int64_t unit = 0; unit < HIDDEN_SIZE; ++unit)
            if (y[unit] != hidden[t * HIDDEN_SIZE + unit]) {
                std::printf("at step %lld the stream gives %.9g, the run %.9g\n", (long long)t, y[unit], hidden[t * HIDDEN_SIZE + unit]);
                return 1;
            }
    }
    std::printf("\nThe stream gives the same hidden states, bit for bit.\n");
}
