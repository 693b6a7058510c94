// The subjects of check.cpp: random cells with everything that a run takes, and the engine on them.
#pragma once

#include <random>

#include "plain.hpp"

namespace gatewise {

class Dice {
    std::mt19937_64 bits;

public:
    explicit Dice(uint64_t seed) : bits(seed) {}
    int64_t to(int64_t most) { return int64_t(bits() % uint64_t(most + 1)); }  // 0 … most
    int64_t from(int64_t least, int64_t most) { return least + to(most - least); }
    bool once_in(int64_t times) { return to(times - 1) == 0; }
    double real(double low, double high) { return low + (high - low) * double(bits() >> 11) * 0x1p-53; }
    template <class T> Array<T> array(std::initializer_list<int64_t> sizes, double most) {
        Array<T> numbers(sizes);
        for (int64_t n = 0; n < numbers.size(); ++n) numbers[n] = T(real(-most, most));
        return numbers;
    }
};

template <class T> Activation<T> random_activation(Dice& dice, int gate) {
    const bool tanh = gate == CANDIDATE || gate == CELL;
    switch (dice.to(7)) {
        case 0: return {Function::hard_sigmoid, T(0.2), T(0.5)};
        case 1: return {Function::hard_sigmoid, T(1) / 6, T(0.5)};
        case 2: return {tanh ? Function::sigmoid : Function::tanh, 0, 0};
        case 3: {
            const Function function = FUNCTIONS[dice.to(int64_t(std::size(FUNCTIONS)) - 1)].function;
            if (function != Function::exponential || gate == INPUT) return {function, T(0.2), T(0.5)};  // or it may diverge
            [[fallthrough]];
        }
        default: return {tanh ? Function::tanh : Function::sigmoid, 0, 0};
    }
}

template <class T> Array<T> random_mask(Dice& dice, std::initializer_list<int64_t> sizes) {
    Array<T> mask(sizes);
    for (int64_t n = 0; n < mask.size(); ++n) mask[n] = dice.once_in(4) ? T(0) : T(dice.real(0, 1));
    return mask;
}

template <class T> void make_plain(CellWeights<T>& cell) {
    for (int k = 0; k < 5; ++k) cell.activation[k] = {k == CANDIDATE || k == CELL ? Function::tanh : Function::sigmoid, 0, 0};
}

template <class T> Subject<T> random_subject(Dice& dice, int64_t number) {
    Subject<T> s;
    CellWeights<T>& cell = s.cell;
    // wide: worth several threads, or more than the first-level cache holds; lengthy: several rounds of the backward pass.
    const bool wide = number % 16 == 0, lengthy = number % 16 == 8;
    s.time = lengthy ? dice.from(150, 300) : dice.to(7);
    s.batch = lengthy ? dice.from(1, 4) : wide && dice.once_in(2) ? 1 : dice.to(wide ? 20 : 9);
    s.reverse = dice.once_in(2);
    cell.input = wide ? dice.from(30, 60) : dice.from(1, lengthy ? 9 : 40);
    cell.hidden = wide ? dice.from(64, 130) : dice.from(1, lengthy ? 20 : 40);
    const bool projects = dice.once_in(3), varies = dice.once_in(2), masked = dice.once_in(3);
    cell.recurrent = projects ? dice.from(1, cell.hidden) : cell.hidden;
    make_plain(cell);
    if (varies) {
        for (int k = 0; k < 5; ++k) cell.activation[k] = random_activation<T>(dice, k);
        cell.coupling = Coupling(dice.to(2));
        for (const NamedNumber<T>& named : NUMBERS<T>)
            if (dice.once_in(3)) cell.*named.number = T(dice.real(0.15, 0.6));
        if (cell.activation[INPUT].function == Function::exponential) cell.gate_clip = T(0.6);  // or it may diverge
        if (lengthy && cell.coupling == Coupling::forget) cell.cell_clip = T(0.25);  // 1 - tanh is up to 2
        if (dice.once_in(2)) s.peephole = dice.array<T>({3, cell.hidden}, 0.7);
    }
    const int64_t I = cell.input, H = cell.hidden, R = cell.recurrent, TIME = s.time, B = s.batch;
    const double columns = double(R + I), size = lengthy || wide ? 2 / columns : 2 / std::sqrt(columns);
    s.weight = dice.array<T>({4, H, R + I}, size);
    s.bias = dice.array<T>({4, H}, 1);
    if (projects) s.projection = dice.array<T>({R, H}, 2 / std::sqrt(double(H)));
    s.x = dice.array<T>({TIME, B, I}, 2);
    s.h0 = dice.array<T>({B, R}, 1);
    s.c0 = dice.array<T>({B, H}, 1);
    s.dhidden = dice.array<T>({TIME, B, R}, 1);
    s.dh = dice.array<T>({B, R}, 1);
    s.dc = dice.array<T>({B, H}, 1);
    if (masked) {
        if (dice.once_in(2)) s.recurrent_mask = random_mask<T>(dice, {TIME, B, R});
        if (dice.once_in(2)) s.zoneout_cell = random_mask<T>(dice, {TIME, B, H});
        if (dice.once_in(2)) s.zoneout_hidden = random_mask<T>(dice, {TIME, B, R});
    }
    if (dice.once_in(3)) {
        s.valid = Array<uint8_t>({TIME, B}, 1);
        for (int64_t n = 0; n < s.valid.size(); ++n) s.valid[n] = !dice.once_in(3);
    }
    if (cell.coupling != Coupling::none) {  // parameters that a coupled gate does not use may hold anything
        const int gate = cell.coupling == Coupling::forget ? FORGET : INPUT;
        for (int64_t u = 0; u < H; ++u) {
            for (int64_t j = 0; j < R + I; ++j) s.weight(gate, u, j) = T(NAN);
            s.bias(gate, u) = T(NAN);
            if (s.peephole) s.peephole(gate, u) = T(NAN);
        }
    }
    return s;
}

template <class T> CellWeights<T> weights_of(const Subject<T>& s) {
    CellWeights<T> cell = s.cell;
    cell.weight = s.weight.data(), cell.bias = s.bias.data();
    cell.peephole = s.peephole.data(), cell.projection = s.projection.data();
    return cell;
}

template <class T> struct Result {
    Array<T> hidden, h, c, gates, cells, unprojected;
};

// Steps [first, last) of the input's time, from the state (h, c); what they keep goes to its place in `result`.
template <class T> void run(const Packed<T>& cell, const Subject<T>& s, int64_t first, int64_t last, Result<T>& result) {
    const int64_t I = s.cell.input, H = s.cell.hidden, R = s.cell.recurrent, B = s.batch;
    Forward<T> call{};
    call.time = last - first, call.batch = B, call.reverse = s.reverse;
    call.x = s.x.data() + first * B * I;
    call.h0 = result.h.data();
    call.h = result.hidden.data() + first * B * R;
    if (s.valid) call.valid = s.valid.data() + first * B;
    if (s.recurrent_mask) call.recurrent_mask = s.recurrent_mask.data() + first * B * R;
    if (s.zoneout_cell) call.zoneout_cell = s.zoneout_cell.data() + first * B * H;
    if (s.zoneout_hidden) call.zoneout_hidden = s.zoneout_hidden.data() + first * B * R;
    call.every = 1, call.units = H;
    if (result.gates) {
        call.kept_gates = result.gates.data() + first * B * 4 * H, call.gates_kept = 4;
        for (int k = 0; k < 4; ++k) call.place[k] = k;
        call.kept_cell = result.cells.data() + first * B * H;
        if (result.unprojected) call.kept_unprojected = result.unprojected.data() + first * B * H;
    }
    forward(cell, call, result.c.data(), nullptr);
    if (first == last) return;
    const T* const end = call.h + (s.reverse ? 0 : last - first - 1) * B * R;
    std::copy(end, end + B * R, result.h.data());
}

template <class T> Result<T> empty(const Subject<T>& s, bool keeps) {
    const int64_t H = s.cell.hidden, TIME = s.time, B = s.batch;
    Result<T> result{Array<T>({TIME, B, s.cell.recurrent}, T(7)), s.h0, s.c0, {}, {}, {}};
    if (keeps) result.gates = Array<T>({TIME, B, 4, H}, T(7)), result.cells = result.unprojected = Array<T>({TIME, B, H}, T(7));
    return result;
}

template <class T> Result<T> whole_run(const Packed<T>& cell, const Subject<T>& s, bool keeps = true) {
    Result<T> result = empty(s, keeps);
    run(cell, s, 0, s.time, result);
    return result;
}

template <class T> struct Derivatives {
    Array<T> weight, bias, peephole, projection, x, h, c;
};

template <class T> Derivatives<T> backward_pass(const Packed<T>& cell, const Subject<T>& s, const Result<T>& run) {
    const int64_t I = s.cell.input, H = s.cell.hidden, R = s.cell.recurrent;
    Derivatives<T> d{Array<T>({4, H, R + I}), Array<T>({4, H}), {}, {}, Array<T>({s.time, s.batch, I}), s.dh, s.dc};
    if (s.peephole) d.peephole = Array<T>({3, H});
    if (s.projection) d.projection = Array<T>({R, H});
    Backward<T> call{};
    call.time = s.time, call.batch = s.batch, call.reverse = s.reverse;
    call.gates = run.gates.data(), call.cells = run.cells.data(), call.unprojected = run.unprojected.data();
    call.c0 = s.c0.data(), call.dhidden = s.dhidden.data(), call.dx = d.x.data();
    if (s.valid) call.valid = s.valid.data();
    if (s.recurrent_mask) call.recurrent_mask = s.recurrent_mask.data();
    if (s.zoneout_cell) call.zoneout_cell = s.zoneout_cell.data();
    if (s.zoneout_hidden) call.zoneout_hidden = s.zoneout_hidden.data();
    cell.pack_backward(weights_of(s));
    backward(cell, call, s.x.data(), run.hidden.data(), s.h0.data(), d.h.data(), d.c.data(),
             Gradients<T>{d.weight.data(), d.bias.data(), d.peephole.data(), d.projection.data()}, nullptr);
    return d;
}

}  // namespace gatewise
