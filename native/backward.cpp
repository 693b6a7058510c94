// One cell backward over time: the derivatives of src/gatewise/adjoints.py, and their sums over steps and rows.

#include "simd.hpp"

namespace gatewise::GATEWISE_ISA {
namespace {

template <class T> class Back {
    using V = Vec<T>;
    static constexpr int L = LANES<T>;

    const Backward<T>& f;
    const Cell<T>& p;
    const int64_t I = p.input, H = p.hidden, R = p.recurrent, B = f.batch;
    const int64_t tiles = vectors<T>(H), width = tiles * L, width_r = padded<T>(R);
    const bool plain = p.plain && !f.zoneout_cell;
    const bool projection_clips = p.projection && p.projection_clip < T(__builtin_inf());

    int64_t* const rows = (int64_t*)f.workspace;
    T* const dm = f.workspace + words<T>(f.rows);                      // (rows, width)
    T* const dr = dm + f.rows * width;                                 // (rows, width_r)
    const T** const sources = (const T**)(dr + f.rows * width_r);      // (steps · rows): what dx is computed from
    T** const targets = (T**)(sources + (f.last - f.first) * f.rows);  // and where it is stored
    T low[4], high[4];                                                 // each gate at its clipped pre-activations

    // During one step:
    int64_t t = 0, place = 0, count = 0, num_targets = 0;
    const T* c_before = nullptr;

public:
    explicit Back(const Backward<T>& call) : f(call), p(*call.cell) {
        for (int k = 0; k < 4; ++k) {
            low[k] = apply<T>(p.activation[k], all<T>(-p.gate_clip))[0];
            high[k] = apply<T>(p.activation[k], all<T>(p.gate_clip))[0];
        }
    }

    void operator()() {
        for (int64_t step = f.first; step < f.last; ++step) {
            begin(step);
            arrive();
            if (p.projection) unproject();
            for (int64_t n = 0; n < count; ++n)
                for (int64_t tile = 0; tile < tiles; ++tile)
                    plain ? equations<true>(tile, n) : equations<false>(tile, n);
            leave();
        }
        product<T>(
            p.back_x, I, 4 * H, num_targets, [&](int64_t n) { return sources[n]; },
            [&](int64_t n, int64_t column, V v) { store(targets[n] + column, v, I - column); }, 0, groups<T>(I));
    }

private:
    void begin(int64_t step) {
        const int64_t in_order = f.time - 1 - step;
        t = f.reverse ? step : in_order;
        place = step - f.first;
        c_before = in_order ? f.cells + (f.reverse ? t + 1 : t - 1) * B * H : f.c0;
        count = valid_rows(f.valid ? f.valid + t * B : nullptr, f.row, f.row + f.rows, rows);
    }

    T* da_of(int64_t row) const { return f.da + (place * B + row) * 4 * H; }

    // dh of each row, from the next step and from the output. What zoneout factor goes straight to h_prev; dr goes on.
    void arrive() {
        const T* const from_output = f.dhidden + t * B * R;
        for (int64_t row = f.row; row < f.row + f.rows; ++row)
            for (int64_t k = 0; k < R; k += L) {
                T* const dh = f.dh + row * width_r + k;
                store(dh, load(dh) + load(from_output + row * R + k, R - k));
            }
        for (int64_t n = 0; n < count; ++n)
            for (int64_t k = 0; k < R; k += L) {
                T* const dh = f.dh + rows[n] * width_r + k;
                V passed = {}, dr_ = load(dh);
                if (f.zoneout_hidden) {
                    const V factor = load(f.zoneout_hidden + (t * B + rows[n]) * R + k, R - k);
                    passed = factor * dr_;
                    dr_ = (T(1) - factor) * dr_;
                }
                store(dh, passed);
                store((p.projection ? dr + n * width_r : dm + n * width) + k, dr_);
            }
    }

    // r = clip(R m): dm from dr.
    void unproject() {
        if (projection_clips)
            product<T>(
                p.projection, R, H, count, [&](int64_t n) { return f.unprojected + (t * B + rows[n]) * H; },
                [&](int64_t n, int64_t column, V r) {
                    T* const dr_ = dr + n * width_r + column;
                    store(dr_, load(dr_) * within(r, p.projection_clip));
                },
                0, groups<T>(R));
        for (int64_t n = 0; n < count; ++n)
            for (int64_t k = 0; k < R; k += L)
                store(f.dr + (place * B + rows[n]) * R + k, load(dr + n * width_r + k), R - k);
        product<T>(
            p.back_projection, H, R, count, [&](int64_t n) { return dr + n * width_r; },
            [&](int64_t n, int64_t column, V v) { store(dm + n * width + column, v); }, 0, groups<T>(H));
    }

    static V within(V v, T clip) {  // the derivative of clip(v, -clip, clip)
        return magnitude<T>(v) <= clip ? all<T>(T(1)) : V{};
    }

    template <bool PLAIN> V da_from(int k, V y, V derivative) const {  // of gate k, from the derivative of its output y
        if constexpr (PLAIN) return derivative * (k == CANDIDATE ? mad(-y, y, all<T>(T(1))) : y * (T(1) - y));
        const V d = derivative * slope<T>(p.activation[k], y);
        if (p.gate_clip == T(__builtin_inf())) return d;
        return d * ((y > low[k]) & (y < high[k]) ? all<T>(T(1)) : V{});
    }

    template <bool PLAIN> inline void equations(int64_t tile, int64_t n) {
        const int64_t row = rows[n], unit = tile * L, units = H - unit, at = t * B + row;
        const T* const gates = f.gates + at * 4 * H + unit;
        const V i = load(gates, units), f_ = load(gates + H, units);
        const V g = load(gates + 2 * H, units), o = load(gates + 3 * H, units);
        const V c_prev = load(c_before + row * H + unit, units), dm_ = load(dm + n * width + unit);
        T* const carried = f.dc + row * width + unit;
        V dc = load(carried), dc_prev = {}, da_i, da_f, da_g, da_o;

        // m = o * φ(c)
        V c, y;
        if constexpr (PLAIN) {
            c = load(f.cells + at * H + unit, units);
            y = tanh<T>(c);
            da_o = da_from<PLAIN>(OUTPUT, o, dm_ * y);
            dc = mad(dm_ * o, mad(-y, y, all<T>(T(1))), dc);
        } else {
            const V c_raw = mad(f_, c_prev, i * g);
            c = clip<T>(c_raw, -p.cell_clip, p.cell_clip);
            y = apply<T>(p.activation[CELL], c);
            da_o = da_from<PLAIN>(OUTPUT, o, dm_ * y);
            if (f.zoneout_cell) {
                const V factor = load(f.zoneout_cell + at * H + unit, units);
                dc_prev = factor * dc;
                dc = (T(1) - factor) * dc;
            }
            dc = mad(dm_ * o, slope<T>(p.activation[CELL], y), dc);
            if (p.peephole) dc = mad(da_o, load(p.peephole + (tile * 3 + 2) * L), dc);
            if (p.cell_clip < T(__builtin_inf())) dc *= within(c_raw, p.cell_clip);
        }

        // c = f * c_prev + i * g
        V df = dc * c_prev, di = dc * g;
        dc_prev = mad(dc, f_, dc_prev);
        da_g = da_from<PLAIN>(CANDIDATE, g, dc * i);
        if constexpr (PLAIN) {
            da_i = da_from<PLAIN>(INPUT, i, di);
            da_f = da_from<PLAIN>(FORGET, f_, df);
        } else {
            if (p.coupling == Coupling::forget) di -= df;
            if (p.coupling == Coupling::input) df -= di;
            da_i = p.coupling == Coupling::input ? V{} : da_from<PLAIN>(INPUT, i, di);
            da_f = p.coupling == Coupling::forget ? V{} : da_from<PLAIN>(FORGET, f_, df);
            if (p.peephole) {
                if (p.coupling != Coupling::input) dc_prev = mad(da_i, load(p.peephole + tile * 3 * L), dc_prev);
                if (p.coupling != Coupling::forget) dc_prev = mad(da_f, load(p.peephole + (tile * 3 + 1) * L), dc_prev);
            }
        }
        store(carried, dc_prev);
        T* const da = da_of(row) + unit;
        store(da, da_i, units);
        store(da + H, da_f, units);
        store(da + 2 * H, da_g, units);
        store(da + 3 * H, da_o, units);
    }

    // dz = da W: the part of the step before now, the input's part when all steps are done.
    void leave() {
        product<T>(
            p.back_h, R, 4 * H, count, [&](int64_t n) { return da_of(rows[n]); },
            [&](int64_t n, int64_t column, V v) {
                T* const dh = f.dh + rows[n] * width_r + column;
                if (f.recurrent_mask) v *= load(f.recurrent_mask + (t * B + rows[n]) * R + column, R - column);
                store(dh, load(dh) + v);
            },
            0, groups<T>(R));
        for (int64_t n = 0; n < count; ++n, ++num_targets) {
            sources[num_targets] = da_of(rows[n]);
            targets[num_targets] = f.dx + (t * B + rows[n]) * I;
        }
    }
};

// What the parameters' gradients need from the steps besides the products of outer(): step by step and row by row, so
// that each sum has one order. Products are rounded separately, without `mad`, and nothing is flushed to zero.
template <class T> class Gather {
    using V = Vec<T>;
    static constexpr int L = LANES<T>;

    const Backward<T>& f;
    const Cell<T>& p;
    const int64_t H = p.hidden, R = p.recurrent, B = f.batch;

public:
    explicit Gather(const Backward<T>& call) : f(call), p(*call.cell) {}

    void operator()() const {
        for (int64_t step = f.first; step < f.last; ++step) {
            const int64_t in_order = f.time - 1 - step, t = f.reverse ? step : in_order, before = f.reverse ? t + 1 : t - 1;
            for (int64_t row = f.row; row < f.row + f.rows; ++row) {
                const int64_t at = t * B + row, place = (step - f.first) * B + row;
                if (f.valid && !f.valid[at]) continue;
                if (f.masked_h) mask_h(in_order ? f.h + (before * B + row) * R : f.h0 + row * R, at, place);
                if (f.dpeephole) peepholes(in_order ? f.cells + (before * B + row) * H : f.c0 + row * H, at, place);
            }
        }
    }

private:
    // h_prev as the gates see it.
    void mask_h(const T* h_prev, int64_t at, int64_t place) const {
        for (int64_t k = 0; k < R; k += L)
            store(f.masked_h + place * R + k, load(h_prev + k, R - k) * load(f.recurrent_mask + at * R + k, R - k), R - k);
    }

    // a = … + p c: i and f see c_prev, o sees c.
    void peepholes(const T* c_prev, int64_t at, int64_t place) const {
        const T *const gates = f.gates + at * 4 * H, *const da = f.da + place * 4 * H;
        for (int64_t unit = 0; unit < H; unit += L) {
            const int64_t units = H - unit;
            const auto gate = [&](int k) { return load(gates + k * H + unit, units); };
            const auto add = [&](int which, int k, V state) {
                T* const sum = f.dpeephole + which * H + unit;
                store(sum, load(sum, units) + load(da + k * H + unit, units) * state, units);
            };
            const V before = load(c_prev + unit, units);
            const V c = clip<T>(gate(FORGET) * before + gate(INPUT) * gate(CANDIDATE), -p.cell_clip, p.cell_clip);
            if (p.coupling != Coupling::input) add(0, INPUT, before);
            if (p.coupling != Coupling::forget) add(1, FORGET, before);
            add(2, OUTPUT, c);
        }
    }
};

constexpr int64_t DEEP = 128;  // rows that are summed in registers before they are added to the target
constexpr int64_t STRIDE = ROWS < 4 ? 4 : 8;  // of a packed row of ROWS columns, so that it is one copy
constexpr int64_t BLOCKS = 32;                // of ROWS columns of the left side that are packed at once

// Both sides are packed, DEEP rows at a time: the left in blocks of ROWS columns, the right in groups of 4 vectors. A
// group then stays in the first-level cache, and the blocks that are multiplied with it in the second.
template <class T> class Sums {
    using V = Vec<T>;
    static constexpr int L = LANES<T>;

    const Outer<T>& f;
    const int64_t before = f.right_size[0], width = before + f.right_size[1];
    T* const left = f.workspace;                     // (blocks, rows, STRIDE)
    T* const right = left + BLOCKS * DEEP * STRIDE;  // (rows, vectors, L)
    int64_t row = 0, rows = 0, first = 0, size = 0;  // what is packed: rows, and columns of the left side

public:
    explicit Sums(const Outer<T>& call) : f(call) {}

    void operator()() {
        const int64_t columns = width + (f.sum ? 1 : 0);
        for (first = f.first; first < f.last; first += BLOCKS * ROWS)  // whose sums stay in the second-level cache
            for (row = 0; row < f.rows; row += DEEP) {
                rows = least(f.rows - row, DEEP), size = least(f.last - first, BLOCKS * ROWS);
                for (int64_t n = 0; n < rows; n += 8) pack_left(n, least(n + 8, rows));
                for (int64_t column = 0; column < columns; column += 4 * L) switch (vectors<T>(columns - column)) {
                    case 1: group<1>(column); break;
                    case 2: group<2>(column); break;
                    case 3: group<3>(column); break;
                    default: group<4>(column);
                }
            }
    }

private:
    static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

    void pack_left(int64_t from_row, int64_t to_row) {  // few rows at a time, so that whole cache lines are written
        for (int64_t column = 0; column < size; column += ROWS)
            for (int64_t n = from_row; n < to_row; ++n) {
                const T* const from = f.left[row + n] + first + column;
                T* const to = left + (column / ROWS * rows + n) * STRIDE;
                if (column + STRIDE <= size) __builtin_memcpy(to, from, STRIDE * sizeof(T));
                else for (int64_t k = 0; k < ROWS; ++k) to[k] = column + k < size ? from[k] : T(0);
            }
    }

    // A vector of the right side, zero beyond its end.
    V of_right(int64_t at, int64_t column) const {
        if (column + L <= before) return load(f.right[0][at] + column);
        if (column >= before) return load(f.right[1][at] + column - before, width - column);
        T lanes[L];
        for (int n = 0; n < L; ++n, ++column)
            lanes[n] = column < before ? f.right[0][at][column] : column < width ? f.right[1][at][column - before] : T(0);
        return load(lanes);
    }

    template <int N> APART void group(int64_t column) {
        T unit_column[N * L] = {};  // a 1 at the end of the right side, for the sum of the left side alone
        if (f.sum && width - column < N * L) unit_column[width - column] = 1;
        for (int64_t n = 0; n < rows; ++n)
            UNROLL for (int k = 0; k < N; ++k) store(right + (n * N + k) * L, of_right(row + n, column + k * L) + load(unit_column + k * L));
        int64_t from = 0;
        if constexpr (N == 1)  // otherwise too few sums would be in flight
            for (; from + ROWS < size; from += 2 * ROWS) blocks<2, N>(from, column);
        for (; from < size; from += ROWS) blocks<1, N>(from, column);
    }

    // M blocks of the left side, starting at its column `from`, times N vectors of the right side.
    template <int M, int N> void blocks(int64_t from, int64_t column) {
        V acc[M][ROWS][N] = {};
        const T *w = right, *s = left + from / ROWS * rows * STRIDE;
        const int64_t apart = rows * STRIDE;
        for (int64_t r = 0; r < M * ROWS && from + r < size; ++r)  // what the sums are added to arrives while they are computed
            for (int k = 0; k < N; ++k) fetch_to_write(f.target + (first + from + r) * width + column + k * L);
        for (int64_t n = 0; n < rows; ++n, w += N * L, s += STRIDE) {
            V v[N];
            UNROLL for (int k = 0; k < N; ++k) v[k] = load(w + k * L);
            UNROLL for (int m = 0; m < M; ++m)
                UNROLL for (int r = 0; r < ROWS; ++r) {
                    const V z = all<T>(s[m * apart + r]);
                    UNROLL for (int k = 0; k < N; ++k) acc[m][r][k] = mad(v[k], z, acc[m][r][k]);
                }
        }
        for (int m = 0; m < M; ++m)
            for (int64_t r = 0, at = from + m * ROWS; r < ROWS && at < size; ++r, ++at)
                for (int k = 0; k < N; ++k) add(first + at, column + k * L, acc[m][r][k]);
    }

    void add(int64_t of_left, int64_t column, V v) const {
        T* const to = f.target + of_left * width + column;
        const int64_t count = width - column;
        store(to, load(to, count) + v, count);
        if (f.sum && count < L) f.sum[of_left] += v[count];
    }
};

}  // namespace

template <class T> void backward(const Backward<T>& f) {
    const Flush flush;
    Back<T>{f}();
}

template <class T> void gather(const Backward<T>& f) {
    if (f.masked_h || f.dpeephole) Gather<T>{f}();
}

template <class T> int64_t backward_workspace(const Cell<T>& p, int64_t rows, int64_t steps) {
    return words<T>(rows) + rows * (padded<T>(p.hidden) + padded<T>(p.recurrent)) + 2 * words<T>(steps * rows);
}

template <class T> void outer(const Outer<T>& f) {
    const Flush flush;
    Sums<T>{f}();
}

template <class T> int64_t outer_workspace() { return DEEP * (BLOCKS * STRIDE + 4 * LANES<T>); }

template void backward(const Backward<float>&);
template void backward(const Backward<double>&);
template void gather(const Backward<float>&);
template void gather(const Backward<double>&);
template int64_t backward_workspace(const Cell<float>&, int64_t, int64_t);
template int64_t backward_workspace(const Cell<double>&, int64_t, int64_t);
template void outer(const Outer<float>&);
template void outer(const Outer<double>&);
template int64_t outer_workspace<float>();
template int64_t outer_workspace<double>();

}  // namespace gatewise::GATEWISE_ISA
