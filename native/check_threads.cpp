// Many threads at once: streams of one model, and whole runs with their backward pass, for which the team has threads of
// its own. Each must give what it gives alone. Meant to be compiled with -fsanitize=thread as well.

#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <thread>

#include "engine.hpp"
#include "team.hpp"

using namespace gatewise;

namespace {

using Numbers = std::vector<float>;

constexpr int64_t I = 24;

struct Model {
    const int64_t H, COLUMNS = H + I, TIME;
    Numbers weight, bias;
    CellWeights<float> weights{};
    std::shared_ptr<const Packed<float>> cell;

    Model(const Kernel& kernel, int64_t hidden, int64_t time)
        : H(hidden), TIME(time), weight(size_t(4 * H * COLUMNS)), bias(size_t(4 * H)) {
        for (size_t n = 0; n < weight.size(); ++n) weight[n] = std::sin(float(n)) / std::sqrt(float(COLUMNS));
        weights.input = I, weights.hidden = weights.recurrent = H;
        for (int k = 0; k < 5; ++k) weights.activation[k].function = k == CANDIDATE || k == CELL ? Function::tanh : Function::sigmoid;
        weights.weight = weight.data(), weights.bias = bias.data();
        cell = std::make_shared<const Packed<float>>(kernel, weights);
    }
};

Numbers inputs(const Model& model, int64_t batch) {
    Numbers x(size_t(model.TIME * batch * I));
    for (size_t n = 0; n < x.size(); ++n) x[n] = std::cos(float(n));
    return x;
}

Numbers streamed(const Model& model, int64_t batch) {
    const int64_t H = model.H, TIME = model.TIME;
    const Numbers x = inputs(model, batch);
    Numbers y(size_t(TIME * batch * H));
    Stream<float> stream({model.cell}, batch);
    for (int64_t t = 0; t < TIME; ++t) stream.push(&x[size_t(t * batch * I)], 1, &y[size_t(t * batch * H)], nullptr);
    return y;
}

// A run and its backward pass: the hidden states, and the gradient with respect to the weights for dL/dh = 1.
Numbers forward_and_backward(const Model& model, int64_t batch) {
    const int64_t H = model.H, COLUMNS = model.COLUMNS, TIME = model.TIME;
    const Numbers x = inputs(model, batch), h0(size_t(batch * H)), dhidden(size_t(TIME * batch * H), 1.0f);
    Numbers result(size_t(TIME * batch * H + 4 * H * COLUMNS));
    Numbers c(h0), gates(size_t(TIME * batch * 4 * H)), cells(size_t(TIME * batch * H)), unprojected(cells);
    Numbers dh(h0), dc(h0), dx(x.size()), dbias(size_t(4 * H));
    float* const hidden = result.data();
    Forward<float> run{};
    run.time = TIME, run.batch = batch, run.every = 1, run.units = H, run.gates_kept = 4;
    for (int k = 0; k < 4; ++k) run.place[k] = k;
    run.x = x.data(), run.h0 = h0.data(), run.h = hidden;
    run.kept_gates = gates.data(), run.kept_cell = cells.data(), run.kept_unprojected = unprojected.data();
    forward(*model.cell, run, c.data(), nullptr);
    Backward<float> back{};
    back.time = TIME, back.batch = batch;
    back.gates = gates.data(), back.cells = cells.data(), back.unprojected = unprojected.data(), back.c0 = h0.data();
    back.dhidden = dhidden.data(), back.dx = dx.data();
    model.cell->pack_backward(model.weights);
    backward(*model.cell, back, x.data(), hidden, h0.data(), dh.data(), dc.data(),
             Gradients<float>{hidden + TIME * batch * H, dbias.data(), nullptr, nullptr}, nullptr);
    return result;
}

bool same(const Numbers& a, const Numbers& b) { return std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0; }

}  // namespace

int main() {
    const Kernel* kernels[4];
    const int count = available(kernels);
    std::atomic<int> passed{0}, failed{0};
    for (int k = 0; k < count; ++k) {
        // The threads themselves pack `model` for the backward pass. Those of a run of `large` share its units and meet at every step.
        const Model alone(*kernels[k], 64, 20), model(*kernels[k], 64, 20), large(*kernels[k], 352, 6);
        set_threads(1);
        const Numbers stream = streamed(alone, 1), few = forward_and_backward(alone, 2), many = forward_and_backward(alone, 16);
        const Numbers shared = forward_and_backward(large, 2);
        set_threads(3);
        std::vector<std::thread> threads;
        for (int number = 0; number < 8; ++number)
            threads.emplace_back([&, number] {
                for (int round = 0; round < 5; ++round) {
                    const bool holds = number < 4   ? same(streamed(model, 1), stream)
                                       : number < 6 ? same(forward_and_backward(model, 2), few)
                                       : round < 4  ? same(forward_and_backward(model, 16), many)
                                                    : same(forward_and_backward(large, 2), shared);
                    ++(holds ? passed : failed);
                }
            });
        for (auto& thread : threads) thread.join();
    }
    std::printf("%d passed, %d failed\n", passed.load(), failed.load());
    if (failed) std::fprintf(stderr, "threads that run one model concurrently do not give what each gives alone\n");
    return failed ? 1 : 0;
}
