// One cell forward and backward in the plainest way, one number at a time, on numbers that carry a bound on their
// rounding error. check.cpp compares the kernels with it; it shares no code with them.
#pragma once

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine.hpp"

namespace gatewise {

// `error`, in units of T's epsilon, bounds to first order the effect of rounding every operation to T; the value itself
// is computed with more digits.
template <class T> struct Number {
    using Wide = std::conditional_t<sizeof(T) == 4, double, long double>;
    static constexpr Wide ANYTHING = 1e30;  // the largest error; with infinity instead, 0 times it would be NaN
    Wide value, error;

    Number(Wide value = 0, Wide error = 0) : value(value), error(std::min(error, ANYTHING)) {}

    friend Number operator+(Number a, Number b) { return {a.value + b.value, a.error + b.error + std::abs(a.value) + std::abs(b.value)}; }
    friend Number operator-(Number a, Number b) { return a + Number(-b.value, b.error); }
    friend Number operator*(Number a, Number b) {
        const Wide y = a.value * b.value;
        return {y, std::abs(a.value) * b.error + std::abs(b.value) * a.error + std::abs(y)};
    }
    Number& operator+=(Number b) { return *this = *this + b; }
};

// Whether v is so far from a limit that rounding cannot take it across.
template <class T> bool clear_of(Number<T> v, T limit) {
    return std::abs(v.value - limit) > std::numeric_limits<T>::epsilon() * (4 * v.error + 64 * (1 + std::abs(v.value)));
}

template <class T> Number<T> clip(Number<T> v, T low, T high) {
    const auto y = std::clamp<typename Number<T>::Wide>(v.value, low, high);
    return {y, y != v.value && clear_of<T>(v, T(y)) ? 0 : v.error};
}

// 1 if v < limit, else 0: a derivative. Where v is so near the limit that rounding decides, its error is unbounded.
template <class T> Number<T> below(Number<T> v, T limit) {
    return {v.value < limit ? 1.0 : 0.0, v.error == 0 || clear_of<T>(v, limit) ? 0.0 : Number<T>::ANYTHING};
}

template <class T> Number<T> within(Number<T> v, T limit) { return below<T>(v, limit) * below<T>(Number<T>(-v.value, v.error), limit); }

// The nonlinearities may be off by 2 ulp.
template <class T> Number<T> apply(const Activation<T>& by, Number<T> a) {
    using Wide = typename Number<T>::Wide;
    const auto number = [&](Wide y, Wide slope) { return Number<T>(y, a.error * slope + 2 * std::abs(y)); };
    switch (by.function) {
        case Function::sigmoid: { const Wide y = 1 / (1 + std::exp(-a.value)); return number(y, y * (1 - y)); }
        case Function::tanh: { const Wide y = std::tanh(a.value); return number(y, 1 - y * y); }
        case Function::exponential: { const Wide y = std::exp(a.value); return number(y, y); }
        case Function::hard_sigmoid: break;
    }
    return clip<T>(Number<T>(by.slope) * a + Number<T>(by.shift), 0, 1);
}

template <class T> Number<T> derivative(const Activation<T>& by, Number<T> y) {
    switch (by.function) {
        case Function::sigmoid: return y * (Number<T>(1) - y);
        case Function::tanh: return Number<T>(1) - y * y;
        case Function::exponential: return y;
        case Function::hard_sigmoid: break;
    }
    return Number<T>(by.slope) * below<T>(y, 1) * below<T>(Number<T>(-y.value, y.error), 0);
}

// Numbers with axes, in C order.
template <class N> class Array {
    std::vector<N> numbers;
    std::vector<int64_t> sizes;

public:
    Array() = default;  // no array
    Array(std::initializer_list<int64_t> axes, N value = N(0)) : sizes(axes) {
        int64_t count = 1;
        for (int64_t size : sizes) count *= size;
        numbers.assign(size_t(count), value);
    }
    explicit operator bool() const { return !sizes.empty(); }
    int64_t size() const { return int64_t(numbers.size()); }
    N* data() { return numbers.data(); }
    const N* data() const { return numbers.data(); }
    N& operator[](int64_t at) { return numbers[size_t(at)]; }
    const N& operator[](int64_t at) const { return numbers[size_t(at)]; }
    template <class... At> const N& operator()(At... at) const {
        int64_t place = 0, axis = 0;
        ((assert(at >= 0 && at < sizes[axis]), place = place * sizes[axis++] + at), ...);
        return numbers[size_t(place)];
    }
    template <class... At> N& operator()(At... at) { return const_cast<N&>(std::as_const(*this)(at...)); }
};

// A cell and everything that a run and its backward pass take. The shapes are those of kernel.hpp and engine.hpp.
template <class T> struct Subject {
    CellWeights<T> cell{};
    int64_t time, batch;
    bool reverse;
    Array<T> weight, bias, peephole, projection, x, h0, c0, recurrent_mask, zoneout_cell, zoneout_hidden;
    Array<uint8_t> valid;
    Array<T> dhidden, dh, dc;
};

template <class T> struct Plain {
    using N = Number<T>;
    const Subject<T>& s;
    const int64_t I = s.cell.input, H = s.cell.hidden, R = s.cell.recurrent, TIME = s.time, B = s.batch;
    const int coupled = s.cell.coupling == Coupling::none ? -1 : s.cell.coupling == Coupling::forget ? FORGET : INPUT;

    Array<N> gates{TIME, B, 4, H}, cells{TIME, B, H}, unprojected{TIME, B, H}, hidden{TIME, B, R}, h{B, R}, c{B, H};
    Array<N> sums{TIME, B, 4, H}, raw_cells{TIME, B, H}, raw_projected{TIME, B, R};  // before they were clipped
    Array<N> dweight{4, H, R + I}, dbias{4, H}, dpeephole{3, H}, dprojection{R, H}, dx{TIME, B, I}, dh{B, R}, dc{B, H};

    explicit Plain(const Subject<T>& subject) : s(subject) {
        for (int64_t step = 0; step < TIME; ++step)
            for (int64_t b = 0; b < B; ++b) forward(step, b);
        for (int64_t b = 0; b < B; ++b) {
            for (int64_t k = 0; k < R; ++k) h(b, k) = h_before(TIME, b, k), dh(b, k) = s.dh(b, k);
            for (int64_t u = 0; u < H; ++u) c(b, u) = c_before(TIME, b, u), dc(b, u) = s.dc(b, u);
        }
        for (int64_t step = TIME; step-- > 0;)
            for (int64_t b = 0; b < B; ++b) backward(step, b);
    }

private:
    int64_t time(int64_t step) const { return s.reverse ? TIME - 1 - step : step; }
    N h_before(int64_t step, int64_t b, int64_t k) const { return step ? hidden(time(step - 1), b, k) : N(s.h0(b, k)); }
    N c_before(int64_t step, int64_t b, int64_t u) const { return step ? cells(time(step - 1), b, u) : N(s.c0(b, u)); }
    N h_seen(int64_t step, int64_t b, int64_t k) const {
        return s.recurrent_mask ? h_before(step, b, k) * N(s.recurrent_mask(time(step), b, k)) : h_before(step, b, k);
    }
    bool valid(int64_t t, int64_t b) const { return !s.valid || s.valid(t, b); }

    N gate(int k, int64_t t, int64_t b, int64_t u) const {
        return apply<T>(s.cell.activation[k], clip<T>(sums(t, b, k, u), -s.cell.gate_clip, s.cell.gate_clip));
    }

    void forward(int64_t step, int64_t b) {
        const int64_t t = time(step);
        if (!valid(t, b)) {
            for (int64_t u = 0; u < H; ++u) cells(t, b, u) = c_before(step, b, u);
            for (int64_t k = 0; k < R; ++k) hidden(t, b, k) = h_before(step, b, k);
            return;
        }
        for (int64_t u = 0; u < H; ++u) {
            const N c_prev = c_before(step, b, u);
            for (int k = 0; k < 4; ++k) {
                N& a = sums(t, b, k, u) = N(s.bias(k, u));
                for (int64_t j = 0; j < R; ++j) a += N(s.weight(k, u, j)) * h_seen(step, b, j);
                for (int64_t j = 0; j < I; ++j) a += N(s.weight(k, u, R + j)) * N(s.x(t, b, j));
            }
            if (s.peephole) {
                sums(t, b, INPUT, u) += N(s.peephole(0, u)) * c_prev;
                sums(t, b, FORGET, u) += N(s.peephole(1, u)) * c_prev;
            }
            N i = gate(INPUT, t, b, u), f = gate(FORGET, t, b, u);
            const N g = gate(CANDIDATE, t, b, u);
            if (coupled == FORGET) f = N(1) - i;
            if (coupled == INPUT) i = N(1) - f;

            raw_cells(t, b, u) = f * c_prev + i * g;
            const N c = clip<T>(raw_cells(t, b, u), -s.cell.cell_clip, s.cell.cell_clip);
            if (s.peephole) sums(t, b, OUTPUT, u) += N(s.peephole(2, u)) * c;
            const N o = gate(OUTPUT, t, b, u);
            unprojected(t, b, u) = o * apply<T>(s.cell.activation[CELL], c);
            cells(t, b, u) = s.zoneout_cell ? mixed(s.zoneout_cell(t, b, u), c_prev, c) : c;
            gates(t, b, INPUT, u) = i, gates(t, b, FORGET, u) = f, gates(t, b, CANDIDATE, u) = g, gates(t, b, OUTPUT, u) = o;
        }
        for (int64_t k = 0; k < R; ++k) {
            N& r = raw_projected(t, b, k);
            if (s.projection)
                for (int64_t u = 0; u < H; ++u) r += N(s.projection(k, u)) * unprojected(t, b, u);
            else r = unprojected(t, b, k);
            const N clipped = s.projection ? clip<T>(r, -s.cell.projection_clip, s.cell.projection_clip) : r;
            hidden(t, b, k) = s.zoneout_hidden ? mixed(s.zoneout_hidden(t, b, k), h_before(step, b, k), clipped) : clipped;
        }
    }

    static N mixed(T factor, N before, N after) { return N(factor) * before + (N(1) - N(factor)) * after; }

    // Left whole, like adjoints.step: the derivatives follow each other as the equations do, from the last to the first.
    void backward(int64_t step, int64_t b) {
        const int64_t t = time(step);
        for (int64_t k = 0; k < R; ++k) dh(b, k) += N(s.dhidden(t, b, k));
        if (!valid(t, b)) return;

        // h = factor h_prev + (1 - factor) clip(R m)
        std::vector<N> dh_prev(R), dr(R), dm(H);
        for (int64_t k = 0; k < R; ++k) {
            const N factor = s.zoneout_hidden ? s.zoneout_hidden(t, b, k) : T(0);
            dh_prev[k] = factor * dh(b, k);
            dr[k] = (N(1) - factor) * dh(b, k);
            if (!s.projection) { dm[k] = dr[k]; continue; }
            dr[k] = dr[k] * within<T>(raw_projected(t, b, k), s.cell.projection_clip);
            for (int64_t u = 0; u < H; ++u) {
                dm[u] += dr[k] * N(s.projection(k, u));
                dprojection(k, u) += dr[k] * unprojected(t, b, u);
            }
        }
        for (int64_t u = 0; u < H; ++u) {
            const N i = gates(t, b, INPUT, u), f = gates(t, b, FORGET, u), g = gates(t, b, CANDIDATE, u), o = gates(t, b, OUTPUT, u);
            const N c_prev = c_before(step, b, u), c = clip<T>(raw_cells(t, b, u), -s.cell.cell_clip, s.cell.cell_clip);
            const N y = apply<T>(s.cell.activation[CELL], c);
            N da[4];

            // c_new = factor c_prev + (1 - factor) c;  m = o φ(c)
            const N factor = s.zoneout_cell ? s.zoneout_cell(t, b, u) : T(0);
            N dc_prev = factor * dc(b, u), dc_now = (N(1) - factor) * dc(b, u);
            dc_now += dm[u] * o * derivative<T>(s.cell.activation[CELL], y);
            da[OUTPUT] = da_from(OUTPUT, t, b, u, o, dm[u] * y);
            if (s.peephole) {
                dc_now += da[OUTPUT] * N(s.peephole(2, u));
                dpeephole(2, u) += da[OUTPUT] * c;
            }

            // c = clip(f c_prev + i g)
            dc_now = dc_now * within<T>(raw_cells(t, b, u), s.cell.cell_clip);
            N di = dc_now * g, df = dc_now * c_prev;
            dc_prev += dc_now * f;
            if (coupled == FORGET) di = di - df;
            if (coupled == INPUT) df = df - di;
            da[INPUT] = coupled == INPUT ? N(0) : da_from(INPUT, t, b, u, i, di);
            da[FORGET] = coupled == FORGET ? N(0) : da_from(FORGET, t, b, u, f, df);
            da[CANDIDATE] = da_from(CANDIDATE, t, b, u, g, dc_now * i);
            if (s.peephole)
                for (int k : {INPUT, FORGET}) {
                    if (k != coupled) dc_prev += da[k] * N(s.peephole(k, u));
                    dpeephole(k, u) += da[k] * c_prev;
                }
            dc(b, u) = dc_prev;

            // a = W [h; x] + b
            for (int k = 0; k < 4; ++k) {
                if (k == coupled) continue;
                dbias(k, u) += da[k];
                for (int64_t j = 0; j < R; ++j) {
                    const N dh_seen = da[k] * N(s.weight(k, u, j));
                    dh_prev[j] += s.recurrent_mask ? dh_seen * N(s.recurrent_mask(t, b, j)) : dh_seen;
                    dweight(k, u, j) += da[k] * h_seen(step, b, j);
                }
                for (int64_t j = 0; j < I; ++j) {
                    dx(t, b, j) += da[k] * N(s.weight(k, u, R + j));
                    dweight(k, u, R + j) += da[k] * N(s.x(t, b, j));
                }
            }
        }
        for (int64_t k = 0; k < R; ++k) dh(b, k) = dh_prev[k];
    }

    N da_from(int k, int64_t t, int64_t b, int64_t u, N y, N dy) const {
        return dy * derivative<T>(s.cell.activation[k], y) * within<T>(sums(t, b, k, u), s.cell.gate_clip);
    }
};

}  // namespace gatewise
