// A run over time, split into pieces and shared among threads; and streams, which are runs without an end.

#include <algorithm>
#include <cmath>
#include <limits>

#include "pieces.hpp"
#include "team.hpp"

namespace gatewise {
namespace {

// How the work of a run is shared: each thread takes some sequences, or, where those are few and steps long enough to
// be worth a barrier, some units.
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

template <class T> bool run_forward(const Packed<T>& packed, Forward<T> call, Poll poll) {
    const Functions<T>& kernel = packed.kernel();
    const Cell<T>& p = packed.cell();
    const double row = packed.work(), step = row * double(call.batch);
    call.cell = &p;
    Workspaces<T> workspaces;
    if (step * double(call.time) < WORTH_SHARING) {  // a short run, on this thread and at once: not even planned
        if (!call.batch) return true;
        workspaces.take(1, kernel.forward_workspace(p, call.batch, call.time));
        call.row = 0, call.rows = call.batch, call.first = 0, call.last = call.time;
        call.team = {0, 1, nullptr, nullptr}, call.workspace = workspaces.of(0);
        kernel.forward(call);
        return true;
    }
    Lease lease(threads(), step, call.time);
    Sharing sharing = share(lease.parts(), call.batch, packed.padded(p.hidden) / kernel.lanes, step);

    // Sequences are independent: where even one step of all of them takes long, they are done in several groups.
    const int64_t rows_at_once = at_once(call.batch, row / sharing.parts);
    for (int64_t first_row = 0; first_row < call.batch; first_row += rows_at_once) {
        const int64_t rows = std::min(rows_at_once, call.batch - first_row);
        for (int64_t first = 0; first < call.time;) {
            if (!lease.usable()) sharing = {1, false};
            const int64_t last = std::min(first + at_once(call.time, row * double(rows) / sharing.parts), call.time);
            const int64_t most = sharing.units ? rows : (rows + sharing.parts - 1) / sharing.parts;  // or one fewer
            workspaces.take(sharing.parts, std::max(kernel.forward_workspace(p, most, last - first), most > 1 ? kernel.forward_workspace(p, most - 1, last - first) : 0));
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

}  // namespace

template <class T> bool forward(const Packed<T>& packed, Forward<T> call, T* c, Poll poll) {
    const int64_t H = packed.cell().hidden, width = packed.padded(H);
    Scratch<T, 1> states;
    call.c = states.at_least(2 * call.batch * width);
    call.unprojected = call.c + call.batch * width;
    widen(call.c, c, call.batch, H, width);
    const bool completed = run_forward(packed, call, poll);
    narrow(c, call.c, call.batch, H, width);
    return completed;
}

template <class T>
Stream<T>::Stream(std::vector<std::shared_ptr<const Packed<T>>> layers, int64_t batch) : cells(std::move(layers)), batch_size(batch) {
    for (const auto& cell : cells) {
        h.emplace_back(batch_size * cell->cell().recurrent);
        const int64_t width = cell->padded(cell->cell().hidden);
        c.emplace_back(batch_size * width * 2);  // and the unprojected states
        Forward<T> call{};
        call.batch = batch_size, call.every = 1;
        call.h0 = h.back().get(), call.c = c.back().get(), call.unprojected = call.c + batch_size * width;
        calls.push_back(call);
        operations += cell->work() * double(batch_size);
    }
    reset();
}

template <class T> void Stream<T>::reset() {
    for (int64_t layer = 0; layer < layers(); ++layer) {
        std::fill_n(h[layer].get(), batch_size * cell(layer).recurrent, T(0));
        std::fill_n(c[layer].get(), batch_size * cells[layer]->padded(cell(layer).hidden), T(0));
    }
}

template <class T> void Stream<T>::get(int64_t layer, T* to_h, T* to_c) const {
    std::copy_n(h[layer].get(), batch_size * cell(layer).recurrent, to_h);
    narrow(to_c, c[layer].get(), batch_size, cell(layer).hidden, cells[layer]->padded(cell(layer).hidden));
}

template <class T> void Stream<T>::set(int64_t layer, const T* from_h, const T* from_c) {
    std::copy_n(from_h, batch_size * cell(layer).recurrent, h[layer].get());
    widen(c[layer].get(), from_c, batch_size, cell(layer).hidden, cells[layer]->padded(cell(layer).hidden));
}

template <class T> bool Stream<T>::is_finite() const {
    int found = 0;  // a number that is not finite; a loop without a branch, which is computed in vectors
    const auto look = [&found](const T* numbers, int64_t count) {
        for (int64_t k = 0; k < count; ++k) found |= !(std::abs(numbers[k]) <= std::numeric_limits<T>::max());
    };
    for (int64_t layer = 0; layer < layers(); ++layer) {
        const int64_t hidden = cell(layer).hidden, padded = cells[layer]->padded(hidden);
        look(h[layer].get(), batch_size * cell(layer).recurrent);
        for (int64_t row = 0; row < batch_size; ++row) look(c[layer].get() + row * padded, hidden);
    }
    return !found;
}

template <class T> bool Stream<T>::push(const T* x, int64_t time, T* y, Poll poll) {
    for (int64_t layer = 0; layer < layers(); ++layer) {
        const int64_t R = cell(layer).recurrent;
        T* const out = layer + 1 == layers() ? y : between[layer % 2].at_least(time * batch_size * R);
        Forward<T> call = calls[layer];
        call.time = time, call.steps_before = steps_before, call.x = x, call.h = out;
        if (!run_forward(*cells[layer], call, poll)) return false;
        if (time) std::copy_n(out + (time - 1) * batch_size * R, batch_size * R, h[layer].get());
        x = out;
    }
    steps_before += time;
    return true;
}

template class Stream<float>;
template class Stream<double>;
template bool forward(const Packed<float>&, Forward<float>, float*, Poll);
template bool forward(const Packed<double>&, Forward<double>, double*, Poll);

}  // namespace gatewise
