// Every kernel of this machine, in float and double, on random cells and runs: forward and backward as the plain loops
// of plain.hpp, and bit for bit the same however a run is split, shared among threads, or kept.
//
//   check [how many runs [seed]]

#include <cstdlib>
#include <string>

#include "around.hpp"
#include "check_numbers.hpp"
#include "program.hpp"
#include "team.hpp"

using namespace gatewise;

namespace {

template <class T> void check_forward(const Subject<T>& s, const Result<T>& actual, const Plain<T>& plain) {
    check_close("the hidden state", actual.hidden, plain.hidden);
    check_close("the final hidden state", actual.h, plain.h);
    check_close("the final cell state", actual.c, plain.c);
    check_close("the cell state", actual.cells, plain.cells);
    Array<T> gates = actual.gates, unprojected = actual.unprojected;
    for (int64_t row = 0; row < s.time * s.batch; ++row)  // a step that is not valid has none: they are NaN
        if (s.valid && !s.valid[row])
            for (int64_t n = 0; n < 5 * s.cell.hidden; ++n) {
                T& number = n < 4 * s.cell.hidden ? gates[row * 4 * s.cell.hidden + n] : unprojected[row * s.cell.hidden + n % s.cell.hidden];
                if (!std::isnan(number)) fail("a gate of a step that is not valid is %.17g, but must be NaN", double(number));
                number = 0;
            }
    check_close("a gate", gates, plain.gates);
    check_close("the unprojected state", unprojected, plain.unprojected);
}

// Some gates of some units at every n-th step are those of the whole trace.
template <class T> void check_kept(Dice& dice, const Packed<T>& cell, const Subject<T>& s, const Result<T>& run) {
    const int64_t H = s.cell.hidden, lanes = cell.kernel().lanes;
    std::vector<int64_t> units, start{0}, lane, place;
    for (int64_t u = H; u-- > 0;)
        if (dice.once_in(2)) units.push_back(u);
    for (int64_t tile = 0; tile * lanes < H; ++tile) {
        for (size_t n = 0; n < units.size(); ++n)
            if (units[n] / lanes == tile) lane.push_back(units[n] % lanes), place.push_back(int64_t(n));
        start.push_back(int64_t(lane.size()));
    }
    const Pick pick{start.data(), lane.data(), place.data()};
    const int64_t every = dice.from(1, 3), slots = (s.time + every - 1) / every, count = int64_t(units.size());
    Forward<T> call{};
    call.time = s.time, call.batch = s.batch, call.reverse = s.reverse, call.x = s.x.data(), call.h0 = s.h0.data();
    call.valid = s.valid.data(), call.recurrent_mask = s.recurrent_mask.data();
    call.zoneout_cell = s.zoneout_cell.data(), call.zoneout_hidden = s.zoneout_hidden.data();
    call.every = every, call.units = count, call.pick = &pick;
    for (int& at : call.place) at = dice.once_in(3) ? -1 : call.gates_kept++;
    Array<T> hidden({s.time, s.batch, s.cell.recurrent}), gates({slots, s.batch, call.gates_kept, count}), cells({slots, s.batch, count}), c = s.c0;
    call.h = hidden.data(), call.kept_gates = gates.data(), call.kept_cell = cells.data();
    forward(cell, call, c.data(), nullptr);
    Array<T> expected_gates = gates, expected_cells = cells;
    for (int64_t slot = 0; slot < slots; ++slot)
        for (int64_t b = 0; b < s.batch; ++b)
            for (int64_t n = 0; n < count; ++n) {
                for (int k = 0; k < 4; ++k)
                    if (call.place[k] >= 0) expected_gates(slot, b, call.place[k], n) = run.gates(slot * every, b, k, units[size_t(n)]);
                expected_cells(slot, b, n) = run.cells(slot * every, b, units[size_t(n)]);
            }
    check_same("a gate that was kept alone", gates, expected_gates);
    check_same("a cell state that was kept alone", cells, expected_cells);
}

// A trace that is large enough to bypass the caches, with arrays aligned to cache lines, is bit for bit the same.
template <class T> void check_large(Dice& dice, const Kernel& kernel) {
    const int64_t TIME = 800, B = 16, I = 2, H = 64;
    Subject<T> s;
    s.time = TIME, s.batch = B, s.reverse = dice.once_in(2);
    s.cell.input = I, s.cell.hidden = s.cell.recurrent = H;
    make_plain(s.cell);
    s.weight = dice.array<T>({4, H, H + I}, 0.2), s.bias = dice.array<T>({4, H}, 1), s.x = dice.array<T>({TIME, B, I}, 2);
    s.h0 = dice.array<T>({B, H}, 1), s.c0 = dice.array<T>({B, H}, 1);
    const Packed<T> cell(kernel, weights_of(s));
    const Result<T> expected = whole_run(cell, s);
    Buffer<T> gates(TIME * B * 4 * H), cells(TIME * B * H);  // aligned to cache lines
    Array<T> hidden({TIME, B, H}), c = s.c0;
    Forward<T> call{};
    call.time = TIME, call.batch = B, call.reverse = s.reverse, call.x = s.x.data(), call.h0 = s.h0.data(), call.h = hidden.data();
    call.every = 1, call.units = H, call.gates_kept = 4, call.kept_gates = gates.get(), call.kept_cell = cells.get();
    for (int k = 0; k < 4; ++k) call.place[k] = k;
    for (int threads = 1; threads <= 2; ++threads) {
        set_threads(threads);
        c = s.c0;
        std::fill_n(gates.get(), TIME * B * 4 * H, T(7)), std::fill_n(cells.get(), TIME * B * H, T(7));
        forward(cell, call, c.data(), nullptr);
        check_same("the hidden state of a large trace", hidden, expected.hidden);
        if (!std::equal(gates.get(), gates.get() + TIME * B * 4 * H, expected.gates.data())) fail("the gates of a large trace differ");
        if (!std::equal(cells.get(), cells.get() + TIME * B * H, expected.cells.data())) fail("the cell states of a large trace differ");
    }
}

// One sequence of a batch, by itself.
template <class N> Array<N> row_of(const Array<N>& from, int64_t time, int64_t batch, int64_t row) {
    const int64_t size = from.size() / (time * batch);
    Array<N> alone({time, 1, size});
    for (int64_t t = 0; t < time; ++t) std::copy_n(from.data() + (t * batch + row) * size, size, alone.data() + t * size);
    return alone;
}

// With weights larger than the caches, a sequence is bit for bit what it is alone, and so is a run on several threads.
template <class T> void check_deep(Dice& dice, const Kernel& kernel, bool projects) {
    const int64_t TIME = 2, B = 101, I = 90, H = sizeof(T) == 4 ? 380 : 270, R = projects ? H - 70 : H;
    const double most = 2 / std::sqrt(double(R + I));
    Subject<T> s;
    s.time = TIME, s.batch = B, s.reverse = dice.once_in(2);
    s.cell.input = I, s.cell.hidden = H, s.cell.recurrent = R;
    make_plain(s.cell);
    s.weight = dice.array<T>({4, H, R + I}, most), s.bias = dice.array<T>({4, H}, 1), s.x = dice.array<T>({TIME, B, I}, 2);
    if (projects) s.projection = dice.array<T>({R, H}, most);
    s.h0 = dice.array<T>({B, R}, 1), s.c0 = dice.array<T>({B, H}, 1);
    s.dhidden = dice.array<T>({TIME, B, R}, 1), s.dh = dice.array<T>({B, R}, 1), s.dc = dice.array<T>({B, H}, 1);
    const Packed<T> cell(kernel, weights_of(s));
    set_threads(1);
    const Result<T> whole = whole_run(cell, s);
    const Derivatives<T> back = backward_pass(cell, s, whole);
    for (int64_t row : {int64_t(0), B / 2, B - 1}) {
        Subject<T> alone = s;
        alone.batch = 1;
        alone.x = row_of(s.x, TIME, B, row), alone.dhidden = row_of(s.dhidden, TIME, B, row);
        alone.h0 = row_of(s.h0, 1, B, row), alone.c0 = row_of(s.c0, 1, B, row);
        alone.dh = row_of(s.dh, 1, B, row), alone.dc = row_of(s.dc, 1, B, row);
        const Result<T> run = whole_run(cell, alone);
        const Derivatives<T> derivatives = backward_pass(cell, alone, run);
        check_same("the hidden state of a sequence of a large cell", run.hidden, row_of(whole.hidden, TIME, B, row));
        check_same("a gate of a sequence of a large cell", run.gates, row_of(whole.gates, TIME, B, row));
        check_same("the gradient with respect to the input of a sequence", derivatives.x, row_of(back.x, TIME, B, row));
        check_same("the gradient with respect to the initial state of a sequence", derivatives.h, row_of(back.h, 1, B, row));
    }
    for (int threads = 2; threads <= 3; ++threads) {
        set_threads(threads);
        check_same("what a large cell gives on several threads", whole_run(cell, s), whole);
        check_same("the gradient of a large cell on several threads", backward_pass(cell, s, whole).weight, back.weight);
    }
}

// A stream that is fed in pieces gives what the run gives.
template <class T> void check_stream(Dice& dice, std::shared_ptr<const Packed<T>> cell, const Subject<T>& s, const Result<T>& run) {
    Stream<T> stream({cell}, s.batch);
    stream.set(0, s.h0.data(), s.c0.data());
    Result<T> actual = empty(s, false);
    for (int64_t t = 0; t < s.time;) {
        const int64_t steps = dice.from(1, std::min<int64_t>(s.time - t, 9));
        stream.push(s.x.data() + t * s.batch * s.cell.input, steps, actual.hidden.data() + t * s.batch * s.cell.recurrent, nullptr);
        t += steps;
    }
    stream.get(0, actual.h.data(), actual.c.data());
    check_same("what a stream gives", actual, run);
}

// A stream through a network gives what plain loops make of its LSTM's stream.
template <class T> void check_around(Dice& dice, std::shared_ptr<const Packed<T>> cell, const Subject<T>& s) {
    const int64_t F = dice.from(1, 9), I = s.cell.input, R = s.cell.recurrent, M = dice.from(1, 20), O = dice.from(1, F);
    const int64_t rows = s.time * s.batch, skip = dice.once_in(2) ? dice.to(1) : O;
    const Array<T> w[] = {dice.array<T>({I, F}, 1), dice.array<T>({M, R}, 1), dice.array<T>({O, M}, 1)};
    const Array<T> b[] = {dice.array<T>({I}, 1), dice.array<T>({M}, 1), dice.array<T>({O}, 1)};
    const Dense<T> before{w[0].data(), b[0].data(), F, I}, middle{w[1].data(), b[1].data(), R, M}, last{w[2].data(), b[2].data(), M, O};
    Array<double> in = dice.array<double>({3, F}, 2), out = dice.array<double>({3, O}, 2);
    for (int64_t k = 0; k < F; ++k) in(1, k) = dice.real(0.5, 2);
    const Array<T> x = dice.array<T>({rows, F}, 2);
    Array<T> own({rows, F}), from({rows, I}), h({rows, R}), y({rows, O});
    for (int64_t n = 0; n < rows * F; ++n) own[n] = T((double(x[n]) - in(0, n % F)) / in(1, n % F));
    before(own.data(), rows, from.data());
    Stream<T> alone({cell}, s.batch), stream({cell}, s.batch);
    alone.push(from.data(), s.time, h.data(), nullptr);
    Around<T> around{{before}, {middle, last}, F, O, skip, in.data(), out.data(), {}, {}, {}};
    for (int64_t t = 0; t < s.time;) {
        const int64_t steps = dice.from(1, std::min<int64_t>(s.time - t, 9)), at = t * s.batch;
        around.push(stream, x.data() + at * F, steps, y.data() + at * O, nullptr);
        t += steps;
    }
    Array<Number<T>> expected({rows, O});
    for (int64_t row = 0; row < rows; ++row)
        for (int64_t k = 0; k < O; ++k) {
            Number<T> sum(b[2](k));
            for (int64_t m = 0; m < M; ++m) {
                Number<T> inner(b[1](m));
                for (int64_t r = 0; r < R; ++r) inner += Number<T>(w[1](m, r)) * Number<T>(h(row, r));
                sum += Number<T>(w[2](k, m)) * inner;
            }
            if (skip) sum += Number<T>(own(row, skip == 1 ? 0 : k));
            expected(row, k) = clip<T>(sum * Number<T>(out(1, k)) + Number<T>(out(0, k)), T(out(2, k)), std::numeric_limits<T>::infinity());
        }
    check_close("what a stream through a network gives", y, expected);
}

// A program of a matrix, an LSTM and another matrix, with a state that adds up its outputs, gives what its parts give.
template <class T> void check_program(Dice& dice, const Kernel& kernel, std::shared_ptr<const Packed<T>> cell, const Subject<T>& s) {
    const int64_t B = s.batch, F = dice.from(1, 40), I = s.cell.input, R = s.cell.recurrent, O = dice.from(1, 70);
    if (!B) return;
    const Array<T> w[] = {dice.array<T>({I, F}, 1), dice.array<T>({O, R}, 1)}, b[] = {dice.array<T>({I}, 1), dice.array<T>({O}, 1)};
    const Array<T> x = dice.array<T>({s.time, B, F}, 2);
    const auto first = std::make_unique<const Matrix<T>>(kernel, w[0].data(), b[0].data(), I, F);
    const auto last = std::make_unique<const Matrix<T>>(kernel, w[1].data(), b[1].data(), O, R);
    Array<T> read({s.time, B, I}), h({s.time, B, R}), y({s.time, B, O}), total({B, O}), expected({s.time, B, O});
    (*first)(x.data(), s.time * B, read.data());
    Stream<T>({cell}, B).push(read.data(), s.time, h.data(), nullptr);
    (*last)(h.data(), s.time * B, y.data());
    Array<Number<T>> sums({s.time, B, O});
    for (int64_t row = 0; row < s.time * B; ++row)
        for (int64_t k = 0; k < O; ++k) {
            Number<T> sum(b[1](k));
            for (int64_t r = 0; r < R; ++r) sum += Number<T>(w[1](k, r)) * Number<T>(h[row * R + r]);
            sums[row * O + k] = sum;
        }
    check_close("what a matrix gives", y, sums);
    for (int64_t t = 0; t < s.time; ++t)
        for (int64_t n = 0; n < B * O; ++n) expected[t * B * O + n] = total[n] += y[t * B * O + n];
    Plan<T> plan;
    const int64_t at_x = B * O, at_read = at_x + B * F, at_h = at_read + B * I, at_y = at_h + B * R, at_sum = at_y + B * O;
    plan.memory.resize(size_t(at_sum + B * O));
    plan.lstms.push_back({cell});
    plan.matrices.push_back(std::make_unique<const Matrix<T>>(kernel, w[0].data(), b[0].data(), I, F));
    plan.matrices.push_back(std::make_unique<const Matrix<T>>(kernel, w[1].data(), b[1].data(), O, R));
    plan.instructions = {{Code::matrix, 0, at_x, 0, at_read, B, 0, 0, 0}, {Code::lstm, 0, at_read, 0, at_h, 0, 0, 0, 0},
                         {Code::matrix, 1, at_h, 0, at_y, B, 0, 0, 0}, {Code::add, 0, 0, at_y, at_sum, B * O, 0, 0, 0}};
    plan.inputs = {{at_x, 1, B * F, true}}, plan.outputs = {{at_sum, 1, B * O, true}};
    plan.batch = B, plan.state = 0, plan.following = at_sum, plan.carried = B * O;
    Program<T> program(kernel, std::move(plan));
    Array<T> actual({s.time, B, O});
    for (int64_t t = 0; t < s.time;) {
        const int64_t steps = dice.from(1, std::min<int64_t>(s.time - t, 9));
        const T* const from[] = {x.data() + t * B * F};
        T* const to[] = {actual.data() + t * B * O};
        program.push(from, steps, to, nullptr);
        t += steps;
    }
    check_same("what a program gives", actual, expected);
}

template <class T> void check_kernel(Dice& dice, const Kernel& kernel, const Subject<T>& s, const Plain<T>& plain) {
    const auto cell = std::make_shared<const Packed<T>>(kernel, weights_of(s));
    set_threads(1);
    const Result<T> actual = whole_run(*cell, s);
    check_forward(s, actual, plain);
    const Derivatives<T> back = backward_pass(*cell, s, actual);
    check_close("the gradient with respect to the weights", back.weight, plain.dweight);
    check_close("the gradient with respect to the bias", back.bias, plain.dbias);
    check_close("the gradient with respect to the peepholes", back.peephole, plain.dpeephole);
    check_close("the gradient with respect to the projection", back.projection, plain.dprojection);
    check_close("the gradient with respect to the input", back.x, plain.dx);
    check_close("the gradient with respect to the initial hidden state", back.h, plain.dh);
    check_close("the gradient with respect to the initial cell state", back.c, plain.dc);

    Result<T> pieces = empty(s, true);
    const int64_t cut = dice.to(s.time);
    if (s.reverse) run(*cell, s, cut, s.time, pieces), run(*cell, s, 0, cut, pieces);
    else run(*cell, s, 0, cut, pieces), run(*cell, s, cut, s.time, pieces);
    check_same("what a run in two pieces gives", pieces, actual);
    Result<T> unkept = whole_run(*cell, s, false);
    unkept.gates = actual.gates, unkept.cells = actual.cells, unkept.unprojected = actual.unprojected;
    check_same("what a run that keeps nothing gives", unkept, actual);
    Result<T> usual = empty(s, true);
    usual.unprojected = {};
    run(*cell, s, 0, s.time, usual);
    usual.unprojected = actual.unprojected;
    check_same("what a run that keeps gates and cell states gives", usual, actual);
    check_kept(dice, *cell, s, actual);
    if (!s.reverse && !s.valid && !s.recurrent_mask && !s.zoneout_cell && !s.zoneout_hidden) {
        check_stream(dice, cell, s, actual);
        check_around(dice, cell, s);
        check_program(dice, kernel, cell, s);
    }

    for (int threads = 2; threads <= 3; ++threads) {
        set_threads(threads);
        check_same("what a run on several threads gives", whole_run(*cell, s), actual);
        const Derivatives<T> shared = backward_pass(*cell, s, actual);
        check_same("the gradient with respect to the weights on several threads", shared.weight, back.weight);
        check_same("the gradient with respect to the bias on several threads", shared.bias, back.bias);
        check_same("the gradient with respect to the peepholes on several threads", shared.peephole, back.peephole);
        check_same("the gradient with respect to the projection on several threads", shared.projection, back.projection);
        check_same("the gradient with respect to the input on several threads", shared.x, back.x);
        check_same("the gradient with respect to the initial hidden state on several threads", shared.h, back.h);
        check_same("the gradient with respect to the initial cell state on several threads", shared.c, back.c);
    }
}

// The nonlinearities on their own, over their range and at its ends.
template <class T> void check_nonlinearities(Dice& dice, const Kernel& kernel) {
    const T inf = std::numeric_limits<T>::infinity(), least = std::numeric_limits<T>::min();
    std::vector<T> a{0, -inf, inf, T(NAN), least, -least, T(1e-6), T(-1e-6), 1000, -1000};
    while (a.size() < 5003) a.push_back(T(dice.real(-1, 1) * std::exp2(dice.real(-30, 6.5))));
    for (const NamedFunction& named : FUNCTIONS) {
        const Activation<T> by{named.function, T(0.2), T(0.5)};
        std::vector<T> y(a.size());
        if constexpr (sizeof(T) == 4) kernel.float32.apply(by, a.data(), y.data(), int64_t(a.size()));
        else kernel.float64.apply(by, a.data(), y.data(), int64_t(a.size()));
        for (size_t n = 0; n < a.size(); ++n) {
            const Number<T> exact = apply<T>(by, Number<T>(a[n]));
            const double ulp = std::exp2(std::ilogb(double(exact.value))) * std::numeric_limits<T>::epsilon();
            const double allowed = by.function == Function::hard_sigmoid ? double(exact.error) * std::numeric_limits<T>::epsilon() : 2 * ulp;
            if (std::isnan(a[n]) ? std::isnan(y[n]) : y[n] == exact.value || std::abs(y[n] - exact.value) <= allowed + least) continue;
            fail("the nonlinearity %s of %.17g is %.17g, but must be %.17g", named.name, double(a[n]), double(y[n]), double(exact.value));
        }
    }
}

template <class T> int check_type(const Kernel* const* kernels, int count, int64_t runs, uint64_t seed) {
    const char* type = sizeof(T) == 4 ? "float" : "double";
    int passed = 0;
    const auto check = [&](const Kernel& kernel, const char* subject, int64_t number, auto work) {
        try {
            work();
        } catch (const std::runtime_error& wrong) {
            fail("%s, %s, %s %lld of seed %llu: %s", kernel.name, type, subject, (long long)number, (unsigned long long)seed, wrong.what());
        }
        ++passed;
    };
    for (int k = 0; k < count; ++k)
        check(*kernels[k], "nonlinearities", 0, [&] { Dice dice(seed); check_nonlinearities<T>(dice, *kernels[k]); });
    for (int k = 0; k < count; ++k)
        if (kernels[k]->float32.lanes * sizeof(float) == 64)
            check(*kernels[k], "large trace", 0, [&] { Dice dice(seed); check_large<T>(dice, *kernels[k]); });
    for (int k = 0; k < count; ++k)
        for (bool projects : {false, true})
            check(*kernels[k], "large cell", projects, [&] { Dice dice(seed); check_deep<T>(dice, *kernels[k], projects); });
    for (int64_t number = 0; number < runs; ++number) {
        Dice dice(seed * 1000003 + uint64_t(number));
        const Subject<T> subject = random_subject<T>(dice, number);
        const Plain<T> plain(subject);
        for (int k = 0; k < count; ++k)
            check(*kernels[k], "run", number, [&] { check_kernel(dice, *kernels[k], subject, plain); });
    }
    return passed;
}

}  // namespace

int main(int count, char** words) {
    const int64_t runs = count > 1 ? std::atoll(words[1]) : 200;
    const uint64_t seed = count > 2 ? uint64_t(std::atoll(words[2])) : 0;
    const Kernel* kernels[4];
    const int num_kernels = available(kernels);
    for (int k = 0; k < num_kernels; ++k) std::printf("%s%s", kernels[k]->name, k + 1 < num_kernels ? ", " : "\n");
    try {
        const int passed = check_type<float>(kernels, num_kernels, runs, seed) + check_type<double>(kernels, num_kernels, runs, seed);
        const double part = double(tight) / double(compared);
        std::printf("errors were at most %.2f of what is allowed; %.1f %% of the numbers had a tight bound\n", largest, 100 * part);
        if (!(part > 0.8)) fail("with so few tight bounds a check says little");
        std::printf("%d passed, 0 failed\n", passed);
    } catch (const std::exception& wrong) {
        std::fprintf(stderr, "%s\n", wrong.what());
        return 1;
    }
}
