#include "engine.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>

#include "team.hpp"

namespace gatewise {

constexpr std::align_val_t LINE{64};

template <class T> Buffer<T>::Buffer(int64_t count) { at_least(count); }

template <class T> void Buffer<T>::Free::operator()(T* numbers) const { ::operator delete[](numbers, LINE); }

template <class T> T* Buffer<T>::at_least(int64_t count) {
    if (count > size || !numbers) {
        numbers.reset();
        size = 0;
        numbers.reset(static_cast<T*>(::operator new[](size_t(count) * sizeof(T), LINE)));
        size = count;
    }
    return numbers.get();
}

namespace {

// Groups of columns of the matrix whose entry (k, column) lies at from[k * down + column * along].
template <class T>
void pack(Buffer<T>& buffer, const T* from, int64_t depth, int64_t columns, int64_t down, int64_t along, int64_t lanes) {
    const int64_t vectors = (columns + lanes - 1) / lanes;
    T* to = buffer.at_least(vectors * lanes * depth);
    for (int64_t first = 0; first < vectors; first += 4)
        for (int64_t k = 0; k < depth; ++k)
            for (int64_t column = first * lanes; column < std::min(first + 4, vectors) * lanes; ++column)
                *to++ = column < columns ? from[k * down + column * along] : T(0);
}

int place_of_coupled(Coupling coupling) {
    return coupling == Coupling::none ? -1 : coupling == Coupling::forget ? FORGET : INPUT;
}

template <class T> bool is_plain(const Given<T>& given) {
    for (int k = 0; k < 5; ++k)
        if (given.activation[k].function != (k == CANDIDATE || k == CELL ? Function::tanh : Function::sigmoid)) return false;
    return given.coupling == Coupling::none && !given.peephole && std::isinf(given.gate_clip) && std::isinf(given.cell_clip);
}

constexpr double PIECE = 5e8;  // operations of one thread between two looks whether to stop

// How many of `count` may be done at once, each taking so many operations; at least 1.
int64_t at_once(int64_t count, double operations) {
    return std::clamp(int64_t(PIECE / std::max(operations, 1.0)), int64_t(1), std::max<int64_t>(count, 1));
}

// What one run of this thread works in: it grows, and stays. While one lives, another run of the thread, by a signal
// handler between two pieces say, gets memory of its own.
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

// The workspaces of all parts: taken by who starts them, so that no part can fail.
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

}  // namespace

template <class T>
Packed<T>::Packed(const Kernel& kernel, const Given<T>& given) : functions([&]() -> const Functions<T>& {
    if constexpr (sizeof(T) == 4) return kernel.float32;
    else return kernel.float64;
}()) {
    const int64_t I = given.input, H = given.hidden, R = given.recurrent, L = functions.lanes, tiles = (H + L - 1) / L;
    const int coupled = place_of_coupled(given.coupling);
    packed.input = I, packed.hidden = H, packed.recurrent = R;
    std::copy(given.activation, given.activation + 5, packed.activation);
    packed.coupling = given.coupling;
    packed.gate_clip = given.gate_clip, packed.cell_clip = given.cell_clip, packed.projection_clip = given.projection_clip;
    packed.plain = is_plain(given);
    operations = 2 * (4.0 * double(H) * double(I + R + 8) + (given.projection ? double(H) * double(R) : 0));
    packed.peephole = packed.projection = packed.back_h = packed.back_x = packed.back_projection = nullptr;

    T* to = gates.at_least(tiles * (I + R) * 4 * L);
    for (int64_t tile = 0; tile < tiles; ++tile)
        for (int64_t column = 0; column < I + R; ++column)
            for (int gate = 0; gate < 4; ++gate)
                for (int64_t unit = tile * L; unit < (tile + 1) * L; ++unit) {
                    const int64_t at = column < I ? R + column : column - I;
                    *to++ = unit < H && gate != coupled ? given.weight[(gate * H + unit) * (R + I) + at] : T(0);
                }
    packed.gates = gates.get();

    const auto by_tile = [&](Buffer<T>& buffer, const T* from, int64_t rows, int skip) {
        T* to = buffer.at_least(tiles * rows * L);
        for (int64_t tile = 0; tile < tiles; ++tile)
            for (int64_t row = 0; row < rows; ++row)
                for (int64_t unit = tile * L; unit < (tile + 1) * L; ++unit)
                    *to++ = unit < H && row != skip ? from[row * H + unit] : T(0);
        return buffer.get();
    };
    packed.bias = by_tile(bias, given.bias, 4, coupled);
    if (given.peephole) packed.peephole = by_tile(peephole, given.peephole, 3, coupled);
    if (given.projection) {
        pack(projection, given.projection, H, R, 1, H, L);
        packed.projection = projection.get();
    }
}

template <class T> void Packed<T>::pack_way_back(const Given<T>& given) const {
    std::call_once(packed_way_back, [&] {
        const int64_t I = given.input, H = given.hidden, R = given.recurrent, L = functions.lanes;
        std::vector<T> weight(given.weight, given.weight + 4 * H * (R + I));
        if (const int coupled = place_of_coupled(given.coupling); coupled >= 0)
            std::fill_n(weight.begin() + coupled * H * (R + I), H * (R + I), T(0));
        pack(back_h, weight.data(), 4 * H, R, R + I, 1, L);
        pack(back_x, weight.data() + R, 4 * H, I, R + I, 1, L);
        packed.back_h = back_h.get(), packed.back_x = back_x.get();
        if (given.projection) {
            pack(back_projection, given.projection, R, H, H, 1, L);
            packed.back_projection = back_projection.get();
        }
    });
}

namespace {

// How the work of a run is shared out: rows among the parts, or units where rows are few and steps are worth meeting for.
struct Sharing {
    int parts;
    bool units;
};

Sharing share(int parts, int64_t rows, int64_t tiles, double step) {
    if (parts < 2) return {1, false};
    if (rows >= 4 * parts) return {parts, false};
    if (tiles >= 2 * parts && step >= 1e5) return {crowded() ? 1 : parts, !crowded()};
    return {int(std::min<int64_t>(parts, std::max<int64_t>(rows, 1))), false};
}

constexpr double WORTH_SHARING = 4e5;  // operations below which one thread is done before another has woken up

template <class T> bool run_forward(const Packed<T>& packed, Forward<T> call, Poll poll) {
    const Functions<T>& kernel = packed.kernel();
    const Cell<T>& p = packed.cell();
    const double row = packed.work(), step = row * double(call.batch);
    Lease lease(step * double(call.time) < WORTH_SHARING ? 1 : threads(), step, call.time);
    Sharing sharing = share(lease.parts(), call.batch, packed.padded(p.hidden) / kernel.lanes, step);
    call.cell = &p;
    Workspaces<T> workspaces;

    // Rows do not know of each other: where even one step of all is long, some rows go first.
    const int64_t rows_at_once = at_once(call.batch, row / sharing.parts);
    for (int64_t first_row = 0; first_row < call.batch; first_row += rows_at_once) {
        const int64_t rows = std::min(rows_at_once, call.batch - first_row);
        for (int64_t first = 0; first < call.time;) {
            if (!lease.alive()) sharing = {1, false};
            const int64_t last = std::min(first + at_once(call.time, row * double(rows) / sharing.parts), call.time);
            const int64_t most = sharing.units ? rows : (rows + sharing.parts - 1) / sharing.parts;  // or one less
            workspaces.take(sharing.parts, std::max(kernel.forward_workspace(p, most), most > 1 ? kernel.forward_workspace(p, most - 1) : 0));
            int64_t reached = last;
            const auto work = [&](int part) {
                if (part >= sharing.parts) return;
                Forward<T> mine = call;
                const int64_t parts = sharing.units ? 1 : sharing.parts, number = sharing.units ? 0 : part;
                mine.row = first_row + rows * number / parts;
                mine.rows = first_row + rows * (number + 1) / parts - mine.row;
                if (!mine.rows) return;
                mine.first = first, mine.last = last;
                mine.team = {0, 1, nullptr, nullptr};
                if (sharing.units) mine.team = {part, sharing.parts, Lease::meet, &lease};
                mine.workspace = workspaces.of(part);
                const int64_t done = kernel.forward(mine);
                if (!part) reached = done;
            };
            if (sharing.parts == 1) work(0);
            else lease.run(work);
            first = reached;
            if (reached < last) sharing = {1, false};
            if (poll && poll()) return false;
        }
    }
    return true;
}

template <class T> void widen(T* to, const T* from, int64_t rows, int64_t count, int64_t width) {
    for (int64_t row = 0; row < rows; ++row) {
        std::copy_n(from + row * count, count, to + row * width);
        std::fill(to + row * width + count, to + (row + 1) * width, T(0));
    }
}

template <class T> void narrow(T* to, const T* from, int64_t rows, int64_t count, int64_t width) {
    for (int64_t row = 0; row < rows; ++row) std::copy_n(from + row * width, count, to + row * count);
}

}  // namespace

template <class T> bool forward(const Packed<T>& packed, Forward<T> call, T* c, Poll poll) {
    const int64_t H = packed.cell().hidden, width = packed.padded(H);
    Scratch<T, 1> states;
    call.c = states.at_least(2 * call.batch * width);
    call.unprojected = call.c + call.batch * width;
    widen(call.c, c, call.batch, H, width);
    const bool whole = run_forward(packed, call, poll);
    narrow(c, call.c, call.batch, H, width);
    return whole;
}

namespace {

constexpr int64_t ROWS_BACK = 256;  // steps · batch that the way back takes before it adds up the weights' gradients

template <class T> struct Pointers {
    std::vector<const T*> by_sums, by_projected, x, h, unprojected;
    void clear() { by_sums.clear(), by_projected.clear(), x.clear(), h.clear(), unprojected.clear(); }
};

}  // namespace

template <class T>
bool backward(const Packed<T>& packed, Backward<T> call, const T* x, const T* h, const T* h0, T* dh, T* dc,
              const Gradients<T>& gradients, Poll poll) {
    const Functions<T>& kernel = packed.kernel();
    const Cell<T>& p = packed.cell();
    const int64_t I = p.input, H = p.hidden, R = p.recurrent, B = call.batch;
    const int64_t steps = std::max<int64_t>(1, ROWS_BACK / std::max<int64_t>(B, 1));
    const int64_t width = packed.padded(H), width_r = packed.padded(R);
    const double row = 2 * packed.work();
    Lease lease(row * double(B) * double(call.time) < WORTH_SHARING ? 1 : threads());
    const int parts = lease.parts();

    Scratch<T, 1> buffer;
    Scratch<T, 2> masked;
    Workspaces<T> workspaces;
    T* const space = buffer.at_least(B * (width + width_r) + steps * B * (4 * H + (p.projection ? R : 0)));
    call.cell = &p;
    call.dh = space, call.dc = call.dh + B * width_r, call.da = call.dc + B * width;
    call.dr = p.projection ? call.da + steps * B * 4 * H : nullptr;
    widen(call.dh, dh, B, R, width_r);
    widen(call.dc, dc, B, H, width);
    Pointers<T> rows;

    // Add up for the columns [from, to) of the left, each part for some of them.
    const auto add = [&](int64_t from, int64_t to, const Outer<T>& sums) {
        const int64_t piece = parts * at_once(to - from, 2.0 * double(sums.rows) * double(sums.right_size[0] + sums.right_size[1]));
        for (int64_t first = from; first < to; first += piece) {
            const int64_t count = std::min(piece, to - first);
            workspaces.take(parts, kernel.outer_workspace());
            lease.run([&](int part) {
                Outer<T> mine = sums;
                mine.first = first + count * part / parts, mine.last = first + count * (part + 1) / parts;
                if (mine.first == mine.last) return;
                mine.workspace = workspaces.of(part);
                kernel.outer(mine);
            });
            if (poll && poll()) return false;
        }
        return true;
    };

    for (int64_t first = 0; first < call.time; first += steps) {
        call.first = first, call.last = std::min(first + steps, call.time);
        const int64_t piece = std::min(B, parts * at_once(B, row * double(call.last - first)));
        for (int64_t first_row = 0; first_row < B; first_row += piece) {
            const int64_t count = std::min(piece, B - first_row);
            workspaces.take(parts, kernel.backward_workspace(p, (count + parts - 1) / parts, call.last - call.first));
            lease.run([&](int part) {
                Backward<T> mine = call;
                mine.row = first_row + count * part / parts;
                mine.rows = first_row + count * (part + 1) / parts - mine.row;
                if (!mine.rows) return;
                mine.workspace = workspaces.of(part);
                kernel.backward(mine);
            });
            if (poll && poll()) return false;
        }

        rows.clear();
        T* const seen = call.recurrent_mask ? masked.at_least(steps * B * R) : nullptr;
        for (int64_t step = call.first; step < call.last; ++step) {
            const int64_t in_order = call.time - 1 - step, t = call.reverse ? step : in_order;
            const int64_t before = call.reverse ? t + 1 : t - 1;
            for (int64_t b = 0; b < B; ++b) {
                if (call.live && !call.live[t * B + b]) continue;
                const int64_t at = t * B + b, place = (step - first) * B + b;
                const T* h_prev = in_order ? h + (before * B + b) * R : h0 + b * R;
                if (seen) {
                    for (int64_t k = 0; k < R; ++k) seen[place * R + k] = h_prev[k] * call.recurrent_mask[at * R + k];
                    h_prev = seen + place * R;
                }
                rows.by_sums.push_back(call.da + place * 4 * H);
                rows.h.push_back(h_prev);
                rows.x.push_back(x + at * I);
                if (p.projection) {
                    rows.by_projected.push_back(call.dr + place * R);
                    rows.unprojected.push_back(call.unprojected + at * H);
                }
                if (p.peephole) {
                    const T* const da = rows.by_sums.back();
                    const T* const gates = call.gates + at * 4 * H;
                    const T* const c_prev = in_order ? call.cells + (before * B + b) * H : call.c0 + b * H;
                    for (int64_t u = 0; u < H; ++u) {
                        const T c = gates[H + u] * c_prev[u] + gates[u] * gates[2 * H + u];
                        if (p.coupling != Coupling::input) gradients.peephole[u] += da[u] * c_prev[u];
                        if (p.coupling != Coupling::forget) gradients.peephole[H + u] += da[H + u] * c_prev[u];
                        gradients.peephole[2 * H + u] += da[3 * H + u] * std::clamp(c, -p.cell_clip, p.cell_clip);
                    }
                }
            }
        }
        // A coupled gate has no weights of its own, and what it would be multiplied with may be NaN.
        const int64_t end = p.coupling == Coupling::forget ? H : p.coupling == Coupling::input ? 0 : 4 * H;
        const int64_t begin = p.coupling == Coupling::none ? 4 * H : end + H;
        const int64_t count = int64_t(rows.x.size());
        const Outer<T> by_weight{count, 0, 0, rows.by_sums.data(), {rows.h.data(), rows.x.data()}, {R, I},
                                 gradients.weight, gradients.bias, nullptr};
        if (!add(0, end, by_weight) || !add(begin, 4 * H, by_weight)) return false;
        const Outer<T> by_projection{count, 0, 0, rows.by_projected.data(), {rows.unprojected.data(), nullptr}, {H, 0},
                                     gradients.projection, nullptr, nullptr};
        if (p.projection && !add(0, R, by_projection)) return false;
    }
    narrow(dh, call.dh, B, R, width_r);
    narrow(dc, call.dc, B, H, width);
    return true;
}

template <class T>
Stream<T>::Stream(std::vector<std::shared_ptr<const Packed<T>>> layers, int64_t batch) : cells(std::move(layers)), rows(batch) {
    for (const auto& cell : cells) {
        h.emplace_back(rows * cell->cell().recurrent);
        const int64_t width = cell->padded(cell->cell().hidden);
        c.emplace_back(rows * width * 2);  // and the unprojected states
        Forward<T> call{};
        call.batch = rows, call.every = 1;
        call.h0 = h.back().get(), call.c = c.back().get(), call.unprojected = call.c + rows * width;
        calls.push_back(call);
        operations += cell->work() * double(rows);
    }
    reset();
}

template <class T> void Stream<T>::reset() {
    for (int64_t layer = 0; layer < layers(); ++layer) {
        std::fill_n(h[layer].get(), rows * cell(layer).recurrent, T(0));
        std::fill_n(c[layer].get(), rows * cells[layer]->padded(cell(layer).hidden), T(0));
    }
}

template <class T> void Stream<T>::get(int64_t layer, T* to_h, T* to_c) const {
    std::copy_n(h[layer].get(), rows * cell(layer).recurrent, to_h);
    narrow(to_c, c[layer].get(), rows, cell(layer).hidden, cells[layer]->padded(cell(layer).hidden));
}

template <class T> void Stream<T>::set(int64_t layer, const T* from_h, const T* from_c) {
    std::copy_n(from_h, rows * cell(layer).recurrent, h[layer].get());
    widen(c[layer].get(), from_c, rows, cell(layer).hidden, cells[layer]->padded(cell(layer).hidden));
}

template <class T> bool Stream<T>::push(const T* x, int64_t time, T* y, Poll poll) {
    for (int64_t layer = 0; layer < layers(); ++layer) {
        const int64_t R = cell(layer).recurrent;
        T* const out = layer + 1 == layers() ? y : between[layer % 2].at_least(time * rows * R);
        Forward<T> call = calls[layer];
        call.time = time, call.taken = taken, call.x = x, call.h = out;
        if (!run_forward(*cells[layer], call, poll)) return false;
        if (time) std::copy_n(out + (time - 1) * rows * R, rows * R, h[layer].get());
        x = out;
    }
    taken += time;
    return true;
}

template class Buffer<float>;
template class Buffer<double>;
template class Packed<float>;
template class Packed<double>;
template class Stream<float>;
template class Stream<double>;
template bool forward(const Packed<float>&, Forward<float>, float*, Poll);
template bool forward(const Packed<double>&, Forward<double>, double*, Poll);
template bool backward(const Packed<float>&, Backward<float>, const float*, const float*, const float*, float*, float*,
                       const Gradients<float>&, Poll);
template bool backward(const Packed<double>&, Backward<double>, const double*, const double*, const double*, double*,
                       double*, const Gradients<double>&, Poll);

}  // namespace gatewise
