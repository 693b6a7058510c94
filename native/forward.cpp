// One cell forward over time: the equations of src/gatewise/equations.py, for a tile of units of several rows at once.

#include "simd.hpp"

namespace gatewise::GATEWISE_ISA {
namespace {

constexpr int64_t PAIRED = 24 * 1024;    // bytes of a panel of weights up to which two are read at once; by experiment
constexpr int64_t HOISTED = 512 * 1024;  // bytes of the input's sums that are computed in advance, if rows are few
constexpr int64_t STAYING = 12 << 20;    // bytes of a trace that may still be in a cache when it is read

template <class T> int64_t hoisted_steps(const Cell<T>& p, int64_t rows, int64_t steps) {
    const int64_t step = rows * padded<T>(p.hidden) * 4 * int64_t(sizeof(T));
    return steps < 4 || rows >= ROWS || 4 * step > HOISTED ? 0 : HOISTED / step;
}

template <class T> class Run {
    using V = Vec<T>;
    static constexpr int L = LANES<T>;

    const Forward<T>& f;
    const Cell<T>& p;
    const int64_t I = p.input, H = p.hidden, R = p.recurrent;
    const int64_t tiles = vectors<T>(H), width = tiles * L;
    const bool alone = f.team.parts == 1;  // a division takes as long as a nonlinearity
    const int64_t first_tile = alone ? 0 : tiles * f.team.part / f.team.parts;
    const int64_t last_tile = alone ? tiles : tiles * (f.team.part + 1) / f.team.parts;
    const bool plain = p.plain && !f.zoneout_cell && !f.zoneout_hidden;
    const bool keeps = f.kept_gates || f.kept_cell || f.kept_unprojected;
    const bool usual = f.kept_gates && f.kept_cell && !f.kept_unprojected && !f.pick && f.gates_kept == 4 &&
                       f.place[INPUT] == 0 && f.place[FORGET] == 1 && f.place[CANDIDATE] == 2;
    const bool past = usual && H % L == 0 && whole_line(f.kept_gates) && whole_line(f.kept_cell) &&
                      f.time / f.every * f.batch * 5 * H * int64_t(sizeof(T)) > STAYING;

    int64_t* const rows = (int64_t*)f.workspace;              // those for which this step is valid
    T* const masked_h = f.workspace + words<T>(f.rows);           // (rows, recurrent): h times the recurrent mask
    T* const hoisted = masked_h + (f.recurrent_mask ? f.rows * R : 0);  // (steps, rows, tiles, 4, L): bias and W x
    const int64_t hoisting = hoisted_steps(p, f.rows, f.last - f.first);
    int64_t hoisted_from = 0, hoisted_to = 0;

    // During one step:
    int64_t t = 0, count = 0, slot = -1;
    const T *x = nullptr, *h_prev = nullptr, *sums = nullptr;

public:
    explicit Run(const Forward<T>& call) : f(call), p(*call.cell) {}

    int64_t operator()() {
        int64_t step = f.first;
        for (bool together = true; together && step < f.last; ++step) {
            begin(step);
            if (count == 1) one_row((f.steps_before + step) % 2);
            else all_rows();
            if (p.projection) {
                meet();
                project();
            }
            carry();
            together = meet();
        }
        if (past) wait_for_stores();
        return step;
    }

private:
    bool meet() const { return alone || f.team.wait(f.team.barrier); }

    void begin(int64_t step) {
        t = time(step);
        const int64_t before = f.reverse ? t + 1 : t - 1;
        h_prev = step ? f.h + before * f.batch * R : f.h0;
        x = f.x + t * f.batch * I;
        slot = !keeps || t % f.every ? -1 : t / f.every;
        count = valid_rows(f.valid ? f.valid + t * f.batch : nullptr, f.row, f.row + f.rows, rows);
        if (f.recurrent_mask)
            for (int64_t n = 0; n < count; ++n)
                for (int64_t k = 0; k < R; ++k) {
                    const int64_t at = rows[n] * R + k;
                    masked_h[(rows[n] - f.row) * R + k] = h_prev[at] * f.recurrent_mask[t * f.batch * R + at];
                }
        if (hoisting) {
            if (step >= hoisted_to) hoist(step);
            sums = hoisted + (step - hoisted_from) * f.rows * width * 4;
        }
    }

    int64_t time(int64_t step) const { return f.reverse ? f.time - 1 - step : step; }

    const T* panel(int64_t tile) const { return p.gates + tile * (I + R) * 4 * L; }

    // The bias and the input's part of the sums of the next steps, so that the weights are read once for all of them.
    void hoist(int64_t step) {
        hoisted_from = step;
        hoisted_to = step + hoisting < f.last ? step + hoisting : f.last;
        for (int64_t tile = first_tile; tile < last_tile; ++tile)
            in_blocks((hoisted_to - hoisted_from) * f.rows, [&](auto size, int64_t first) {
                hoisted_block<decltype(size)::value>(tile, first);
            });
    }

    template <int N> APART void hoisted_block(int64_t tile, int64_t first) {
        V acc[1][N][4];
        const T* source[N];
        UNROLL for (int n = 0; n < N; ++n) {
            const int64_t at = time(hoisted_from + (first + n) / f.rows), row = f.row + (first + n) % f.rows;
            source[n] = f.x + (at * f.batch + row) * I;
            UNROLL for (int k = 0; k < 4; ++k) acc[0][n][k] = load(p.bias + (tile * 4 + k) * L);
        }
        accumulate<T, 1, N, 4>(acc, panel(tile), 0, source, I);
        UNROLL for (int n = 0; n < N; ++n)
            UNROLL for (int k = 0; k < 4; ++k) store(hoisted + (((first + n) * tiles + tile) * 4 + k) * L, acc[0][n][k]);
    }

    // Pre-activations, gates and states of all tiles of this thread. While one tile is computed, the next one's weights are
    // fetched, some of them with each block of rows.
    void all_rows() {
        const int64_t weights = (I + R) * 4 * L;
        const bool far = (last_tile - first_tile) * weights * int64_t(sizeof(T)) > FAR;
        for (int64_t tile = first_tile; tile < last_tile; ++tile) {
            const T *ahead = panel(tile + 1 < last_tile ? tile + 1 : first_tile), *const end = ahead + (far ? weights : 0);
            in_blocks(count, [&](auto size, int64_t first) {
                block<1, decltype(size)::value>(tile, first, ahead < end ? ahead : nullptr);
                ahead += (I + R) * LINE<T> / 2;
            });
        }
    }

    // For a single row, two tiles at once while panels are small, so that more sums are in flight, and three where the last
    // one is not whole. Larger panels are read one at a time, at every other step from the last to the first: what was read
    // last is still in the caches.
    void one_row(bool back) {
        int64_t tile = first_tile;
        if ((sums ? R : I + R) * 4 * int64_t(sizeof(V)) <= PAIRED) {
            for (; tile + 1 < last_tile; tile += 2) {
                if (tile + 3 == last_tile && last_tile * L > H) return block<3, 1>(tile, 0);
                block<2, 1>(tile, 0);
            }
            if (tile < last_tile) block<1, 1>(tile, 0);
        } else {
            for (; tile < last_tile; ++tile) block<1, 1>(back ? last_tile - 1 - (tile - first_tile) : tile, 0);
        }
    }

    template <int S, int N> APART void block(int64_t tile, int64_t first, const T* ahead = nullptr) {
        V acc[S][N][4];
        const T *from_x[N], *from_h[N];
        UNROLL for (int n = 0; n < N; ++n) {
            const int64_t row = rows[first + n];
            from_x[n] = x + row * I;
            from_h[n] = f.recurrent_mask ? masked_h + (row - f.row) * R : h_prev + row * R;
            UNROLL for (int s = 0; s < S; ++s)
                UNROLL for (int k = 0; k < 4; ++k)
                    acc[s][n][k] = load(sums ? sums + (((row - f.row) * tiles + tile + s) * 4 + k) * L
                                             : p.bias + ((tile + s) * 4 + k) * L);
        }
        const int64_t apart = (I + R) * 4 * L;
        if (!sums) accumulate<T, S, N, 4>(acc, panel(tile), apart, from_x, I, ahead);
        accumulate<T, S, N, 4>(acc, panel(tile) + I * 4 * L, apart, from_h, R, ahead ? ahead + I * LINE<T> / 2 : nullptr);
        if constexpr (S < 3) {
            const bool full = (tile + S) * L <= H;
            if (plain && full && slot < 0) return quick_states<S, N, false>(tile, first, acc);
            if (plain && full && usual) return quick_states<S, N, true>(tile, first, acc);
        }
        for (int s = 0; s < S; ++s) plain ? states<true>(tile + s, first, N, acc[s]) : states<false>(tile + s, first, N, acc[s]);
    }

    // First all cell states, then what depends on them: two short dependency chains, many of which run concurrently.
    // Whole tiles of a plain cell that keeps nothing, or gates and cell states, are inlined: a call costs as much as a gate.
    template <int S, int N, bool KEEPS> INLINE void quick_states(int64_t tile, int64_t first, V (&a)[S][N][4]) {
        V c[S][N];
        ROLLED for (int s = 0; s < S; ++s)
            ROLLED for (int n = 0; n < N; ++n) c[s][n] = new_cell<true>(tile + s, rows[first + n], a[s][n]);
        ROLLED for (int s = 0; s < S; ++s)
            ROLLED for (int n = 0; n < N; ++n) {
                const int64_t row = rows[first + n];
                new_hidden<true>(tile + s, row, L, a[s][n], c[s][n]);
                if constexpr (KEEPS) keep_usual(tile + s, row, a[s][n], c[s][n]);
            }
    }

    template <bool PLAIN> APART void states(int64_t tile, int64_t first, int64_t many, V (*a)[4]) {
        V c[ROWS];
        for (int64_t n = 0; n < many; ++n) c[n] = new_cell<PLAIN>(tile, rows[first + n], a[n]);
        for (int64_t n = 0; n < many; ++n) {
            const V m = new_hidden<PLAIN>(tile, rows[first + n], H - tile * L, a[n], c[n]);
            if (slot >= 0) keep(tile, rows[first + n], a[n], c[n], m);
        }
    }

    template <bool PLAIN> INLINE V gate(int k, V a) const {
        if constexpr (PLAIN) return k == CANDIDATE || k == CELL ? tanh<T>(a) : sigmoid<T>(a);
        else return apply<T>(p.activation[k], k == CELL ? a : clip<T>(a, -p.gate_clip, p.gate_clip));
    }

    // Replace the pre-activations by the gates; return the new cell state.
    template <bool PLAIN> INLINE V new_cell(int64_t tile, int64_t row, V (&a)[4]) const {
        const V c_prev = load(f.c + row * width + tile * L);
        V i, f_, g, c;
        if constexpr (PLAIN) {
            i = gate<PLAIN>(INPUT, a[INPUT]), f_ = gate<PLAIN>(FORGET, a[FORGET]), g = gate<PLAIN>(CANDIDATE, a[CANDIDATE]);
            c = mad(f_, c_prev, i * g);
        } else {
            const T* const peephole = p.peephole ? p.peephole + tile * 3 * L : nullptr;
            V a_i = a[INPUT], a_f = a[FORGET];
            if (peephole) a_i = mad(load(peephole), c_prev, a_i), a_f = mad(load(peephole + L), c_prev, a_f);
            g = gate<PLAIN>(CANDIDATE, a[CANDIDATE]);
            i = p.coupling == Coupling::input ? a_i : gate<PLAIN>(INPUT, a_i);
            f_ = p.coupling == Coupling::forget ? T(1) - i : gate<PLAIN>(FORGET, a_f);
            if (p.coupling == Coupling::input) i = T(1) - f_;
            c = clip<T>(mad(f_, c_prev, i * g), -p.cell_clip, p.cell_clip);
            if (peephole) a[OUTPUT] = mad(load(peephole + 2 * L), c, a[OUTPUT]);
        }
        a[INPUT] = i, a[FORGET] = f_, a[CANDIDATE] = g, a[OUTPUT] = gate<PLAIN>(OUTPUT, a[OUTPUT]);
        return c;
    }

    // Store the states; return the unprojected hidden state.
    template <bool PLAIN> INLINE V new_hidden(int64_t tile, int64_t row, int64_t units, const V (&y)[4], V& c) const {
        const int64_t unit = tile * L;
        T* const state = f.c + row * width + unit;
        const V m = y[OUTPUT] * gate<PLAIN>(CELL, c);
        V r = m;
        if constexpr (!PLAIN) {
            const int64_t at = t * f.batch + row;
            if (f.zoneout_cell) {
                const V factor = load(f.zoneout_cell + at * H + unit, units);
                c = mad(factor, load(state), (T(1) - factor) * c);
            }
            if (f.zoneout_hidden && !p.projection) r = zoned_out(row, unit, units, r);
        }
        store(state, c);
        if (p.projection) store(f.unprojected + row * width + unit, m);
        else store(f.h + (t * f.batch + row) * R + unit, r, units);
        return m;
    }

    V zoned_out(int64_t row, int64_t unit, int64_t units, V r) const {
        const V factor = load(f.zoneout_hidden + (t * f.batch + row) * R + unit, units);
        return mad(factor, load(h_prev + row * R + unit, units), (T(1) - factor) * r);
    }

    INLINE void keep_usual(int64_t tile, int64_t row, const V (&y)[4], V c) const {
        const int64_t at = slot * f.batch + row, unit = tile * L;
        T *const gates = f.kept_gates + at * 4 * H + unit, *const cell = f.kept_cell + at * H + unit;
        if (past) {
            UNROLL for (int k = 0; k < 4; ++k) store_past_caches(gates + k * H, y[k]);
            store_past_caches(cell, c);
        } else {
            UNROLL for (int k = 0; k < 4; ++k) store(gates + k * H, y[k]);
            store(cell, c);
        }
    }

    void keep(int64_t tile, int64_t row, const V (&y)[4], V c, V m) const {
        const int64_t at = slot * f.batch + row;
        if (f.kept_gates) {
            T* const to = f.kept_gates + at * f.gates_kept * f.units;
            UNROLL for (int k = 0; k < 4; ++k)
                if (f.place[k] >= 0) keep(to + f.place[k] * f.units, tile, y[k]);
        }
        if (f.kept_cell) keep(f.kept_cell + at * f.units, tile, c);
        if (f.kept_unprojected) keep(f.kept_unprojected + at * f.units, tile, m);
    }

    inline void keep(T* to, int64_t tile, V v) const {
        if (!f.pick) return store(to + tile * L, v, H - tile * L);
        for (int64_t n = f.pick->start[tile]; n < f.pick->start[tile + 1]; ++n) to[f.pick->place[n]] = v[f.pick->lane[n]];
    }

    // h = R m, for the columns of this thread.
    void project() {
        const int64_t all_groups = groups<T>(R);
        product<T>(
            p.projection, R, H, count, [&](int64_t n) { return f.unprojected + rows[n] * width; },
            [&](int64_t n, int64_t column, V r) {
                const int64_t row = rows[n], columns = R - column;
                r = clip<T>(r, -p.projection_clip, p.projection_clip);
                if (f.zoneout_hidden) r = zoned_out(row, column, columns, r);
                store(f.h + (t * f.batch + row) * R + column, r, columns);
            },
            all_groups * f.team.part / f.team.parts, all_groups * (f.team.part + 1) / f.team.parts);
    }

    // Where a step is not valid, the states are carried over.
    void carry() {
        if (count == f.rows || f.team.part) return;
        const uint8_t* const valid = f.valid + t * f.batch;
        const V nan = all<T>(T(__builtin_nan(""))), nothing[4] = {nan, nan, nan, nan};
        for (int64_t row = f.row; row < f.row + f.rows; ++row) {
            if (valid[row]) continue;
            for (int64_t k = 0; k < R; ++k) f.h[(t * f.batch + row) * R + k] = h_prev[row * R + k];
            if (slot < 0) continue;
            for (int64_t tile = 0; tile < tiles; ++tile)
                keep(tile, row, nothing, load(f.c + row * width + tile * L), nan);
        }
    }
};

}  // namespace

template <class T> int64_t forward(const Forward<T>& f) {
    const Flush flush;
    return Run<T>{f}();
}

template <class T> int64_t forward_workspace(const Cell<T>& p, int64_t rows, int64_t steps) {
    return words<T>(rows) + rows * p.recurrent + hoisted_steps(p, rows, steps) * rows * padded<T>(p.hidden) * 4;
}

template <class T> void apply(const Activation<T>& by, const T* a, T* y, int64_t count) {
    const Flush flush;
    for (int64_t n = 0; n < count; n += LANES<T>) store(y + n, apply<T>(by, load(a + n, count - n)), count - n);
}

template int64_t forward(const Forward<float>&);
template int64_t forward(const Forward<double>&);
template int64_t forward_workspace(const Cell<float>&, int64_t, int64_t);
template int64_t forward_workspace(const Cell<double>&, int64_t, int64_t);
template void apply(const Activation<float>&, const float*, float*, int64_t);
template void apply(const Activation<double>&, const double*, double*, int64_t);

}  // namespace gatewise::GATEWISE_ISA
