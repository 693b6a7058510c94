// The backward pass over a run, some steps at a time, shared among threads; and the sums of the parameters' gradients.

#include <algorithm>

#include "pieces.hpp"
#include "team.hpp"

namespace gatewise {
namespace {

constexpr int64_t ROWS_BACK = 256;  // steps · batch of the backward pass between two additions to the weights' gradients

template <class T> struct Pointers {
    std::vector<const T*> da, dr, x, h, unprojected;
    void clear() { da.clear(), dr.clear(), x.clear(), h.clear(), unprojected.clear(); }
};

template <class T> class BackwardRun {
    const Functions<T>& kernel;
    const Cell<T>& p;
    Backward<T> call;
    const T* const x;
    const Gradients<T> gradients;
    const Poll poll;
    const int64_t I = p.input, H = p.hidden, R = p.recurrent, B = call.batch;
    const int64_t steps = std::max<int64_t>(1, ROWS_BACK / std::max<int64_t>(B, 1));  // at most, between two additions
    const int64_t width, width_r;  // padded
    const double row;              // operations per step of one sequence
    Lease lease;
    const int parts = lease.parts();
    Scratch<T, 1> buffer;
    Scratch<T, 2> masked;
    Workspaces<T> workspaces;
    Pointers<T> rows;  // one for each valid step of each sequence

public:
    BackwardRun(const Packed<T>& packed, const Backward<T>& description, const T* x, const T* h, const T* h0,
            const Gradients<T>& gradients, Poll poll)
        : kernel(packed.kernel()), p(packed.cell()), call(description), x(x), gradients(gradients), poll(poll),
          width(packed.padded(H)), width_r(packed.padded(R)), row(2 * packed.work()),
          lease(row * double(B) * double(call.time) < WORTH_SHARING ? 1 : threads()) {
        T* const space = buffer.at_least(B * (width + width_r) + steps * B * (4 * H + (p.projection ? R : 0)));
        call.cell = &p, call.h = h, call.h0 = h0;
        call.dh = space, call.dc = call.dh + B * width_r, call.da = call.dc + B * width;
        call.dr = p.projection ? call.da + steps * B * 4 * H : nullptr;
        call.masked_h = call.recurrent_mask ? masked.at_least(steps * B * R) : nullptr;
        call.dpeephole = p.peephole ? gradients.peephole : nullptr;
    }

    bool operator()(T* dh, T* dc) {
        widen(call.dh, dh, B, R, width_r);
        widen(call.dc, dc, B, H, width);
        for (int64_t first = 0; first < call.time; first += steps) {
            call.first = first, call.last = std::min(first + steps, call.time);
            if (!take_steps()) return false;
            call.row = 0, call.rows = B;
            kernel.gather(call);
            collect();
            if (!add_up()) return false;
        }
        narrow(dh, call.dh, B, R, width_r);
        narrow(dc, call.dc, B, H, width);
        return true;
    }

private:
    // The steps of all sequences, which the threads share.
    bool take_steps() {
        const int64_t piece = std::min(B, parts * at_once(B, row * double(call.last - call.first)));
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
        return true;
    }

    // Pointers to the numbers of every valid step of every sequence.
    void collect() {
        rows.clear();
        for (int64_t step = call.first; step < call.last; ++step) {
            const int64_t in_order = call.time - 1 - step, t = call.reverse ? step : in_order;
            const int64_t before = call.reverse ? t + 1 : t - 1;
            for (int64_t b = 0; b < B; ++b) {
                if (call.valid && !call.valid[t * B + b]) continue;
                const int64_t at = t * B + b, place = (step - call.first) * B + b;
                rows.da.push_back(call.da + place * 4 * H);
                rows.h.push_back(call.masked_h  ? call.masked_h + place * R
                                 : in_order ? call.h + (before * B + b) * R
                                            : call.h0 + b * R);
                rows.x.push_back(x + at * I);
                if (p.projection) {
                    rows.dr.push_back(call.dr + place * R);
                    rows.unprojected.push_back(call.unprojected + at * H);
                }
            }
        }
    }

    // A coupled gate has no weights of its own, and what those would be multiplied by may be NaN.
    bool add_up() {
        const int64_t end = p.coupling == Coupling::forget ? H : p.coupling == Coupling::input ? 0 : 4 * H;
        const int64_t begin = p.coupling == Coupling::none ? 4 * H : end + H;
        const int64_t count = int64_t(rows.x.size());
        const Outer<T> of_weight{count, 0, 0, rows.da.data(), {rows.h.data(), rows.x.data()}, {R, I},
                                 gradients.weight, gradients.bias, nullptr};
        if (!add(0, end, of_weight) || !add(begin, 4 * H, of_weight)) return false;
        const Outer<T> of_projection{count, 0, 0, rows.dr.data(), {rows.unprojected.data(), nullptr}, {H, 0},
                                     gradients.projection, nullptr, nullptr};
        return !p.projection || add(0, R, of_projection);
    }

    // For the columns [from, to) of the left side, which the threads share.
    bool add(int64_t from, int64_t to, const Outer<T>& sums) {
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
    }
};

}  // namespace

template <class T>
bool backward(const Packed<T>& packed, Backward<T> call, const T* x, const T* h, const T* h0, T* dh, T* dc,
              const Gradients<T>& gradients, Poll poll) {
    return BackwardRun<T>(packed, call, x, h, h0, gradients, poll)(dh, dc);
}

template bool backward(const Packed<float>&, Backward<float>, const float*, const float*, const float*, float*, float*,
                       const Gradients<float>&, Poll);
template bool backward(const Packed<double>&, Backward<double>, const double*, const double*, const double*, double*,
                       double*, const Gradients<double>&, Poll);

}  // namespace gatewise
