// A program of one step. Compiled for every machine alike, and without contraction: sums and products are rounded as
// NumPy rounds them.

#include "program.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

namespace gatewise {
namespace {

constexpr double ROOT_HALF = 0.70710678118654752440, GELU_SCALE = 0.79788456080286535588, GELU_CUBIC = 0.044715;

// A sum in several lanes, which a compiler adds in vectors, of term(0), term(1), …
template <class T, class Term> T sum_of(int64_t count, Term term) {
    constexpr int64_t LANES = 32 / sizeof(T);
    T sums[LANES] = {};
    const int64_t in_vectors = count - count % LANES;
    for (int64_t k = 0; k < in_vectors; k += LANES)
        for (int64_t lane = 0; lane < LANES; ++lane) sums[lane] += term(k + lane);
    for (int64_t k = in_vectors; k < count; ++k) sums[k - in_vectors] += term(k);
    for (int64_t half = LANES / 2; half > 0; half /= 2)
        for (int64_t lane = 0; lane < half; ++lane) sums[lane] += sums[lane + half];
    return sums[0];
}

// The larger, or NaN if one of them is.
template <class T> T larger(T a, T b) { return a > b || a != a ? a : b; }
template <class T> T smaller(T a, T b) { return a < b || a != a ? a : b; }

template <class T> T largest(const T* x, int64_t count) {
    T found = -std::numeric_limits<T>::infinity();
    for (int64_t k = 0; k < count; ++k) found = larger(found, x[k]);
    return found;
}

template <class T> T softplus(T a) { return larger(a, T(0)) + std::log1p(std::exp(-std::abs(a))); }
template <class T> T sigmoid(T a) {
    const T e = std::exp(-std::abs(a));
    return (a >= 0 ? T(1) : e) / (1 + e);
}

// Whether `code` reads whole rows.
bool of_rows(Code code) { return code >= Code::softmax && code <= Code::norm2; }
bool of_two(Code code) { return code >= Code::add && code <= Code::prelu; }
bool in_kernel(Code code) { return code >= Code::sigmoid && code <= Code::hard_sigmoid; }

template <class T, class Function> void each(T* y, int64_t count, Function function) {
    for (int64_t k = 0; k < count; ++k) y[k] = function(k);
}

template <class T> void two(Code code, const T* a, const T* b, T* y, int64_t count) {
    switch (code) {
        case Code::add: return each(y, count, [=](int64_t k) { return a[k] + b[k]; });
        case Code::sub: return each(y, count, [=](int64_t k) { return a[k] - b[k]; });
        case Code::mul: return each(y, count, [=](int64_t k) { return a[k] * b[k]; });
        case Code::div: return each(y, count, [=](int64_t k) { return a[k] / b[k]; });
        case Code::pow: return each(y, count, [=](int64_t k) { return std::pow(a[k], b[k]); });
        case Code::maximum: return each(y, count, [=](int64_t k) { return larger(a[k], b[k]); });
        case Code::minimum: return each(y, count, [=](int64_t k) { return smaller(a[k], b[k]); });
        default: return each(y, count, [=](int64_t k) { return a[k] >= 0 ? a[k] : b[k] * a[k]; });  // prelu
    }
}

template <class T> void one(Code code, const T* x, T* y, int64_t count, T alpha, T beta) {
    const auto of = [=](auto function) { each(y, count, [=](int64_t k) { return T(function(x[k])); }); };
    switch (code) {
        case Code::neg: return of([](T a) { return -a; });
        case Code::abs: return of([](T a) { return std::abs(a); });
        case Code::log: return of([](T a) { return std::log(a); });
        case Code::log1p: return of([](T a) { return std::log1p(a); });
        case Code::expm1: return of([](T a) { return std::expm1(a); });
        case Code::sqrt: return of([](T a) { return std::sqrt(a); });
        case Code::reciprocal: return of([](T a) { return 1 / a; });
        case Code::sin: return of([](T a) { return std::sin(a); });
        case Code::cos: return of([](T a) { return std::cos(a); });
        case Code::tan: return of([](T a) { return std::tan(a); });
        case Code::asin: return of([](T a) { return std::asin(a); });
        case Code::acos: return of([](T a) { return std::acos(a); });
        case Code::atan: return of([](T a) { return std::atan(a); });
        case Code::sinh: return of([](T a) { return std::sinh(a); });
        case Code::cosh: return of([](T a) { return std::cosh(a); });
        case Code::asinh: return of([](T a) { return std::asinh(a); });
        case Code::acosh: return of([](T a) { return std::acosh(a); });
        case Code::atanh: return of([](T a) { return std::atanh(a); });
        case Code::erf: return of([](T a) { return std::erf(a); });
        case Code::relu: return of([](T a) { return larger(a, T(0)); });
        case Code::softplus: return of([](T a) { return softplus(a); });
        case Code::softsign: return of([](T a) { return a / (1 + std::abs(a)); });
        case Code::silu: return of([](T a) { return a * sigmoid(a); });
        case Code::gelu: return of([](T a) { return a * ((1 + std::erf(a * T(ROOT_HALF))) / 2); });
        case Code::gelu_tanh:
            return of([](T a) { return a * ((1 + std::tanh(T(GELU_SCALE) * (a + T(GELU_CUBIC) * a * a * a))) / 2); });
        case Code::mish: return of([](T a) { return a * std::tanh(softplus(a)); });
        case Code::hard_swish: return of([](T a) { return a * smaller(larger(a / 6 + T(0.5), T(0)), T(1)); });
        case Code::leaky_relu: return of([=](T a) { return a >= 0 ? a : alpha * a; });
        case Code::elu: return of([=](T a) { return a > 0 ? a : alpha * std::expm1(a); });
        case Code::celu: return of([=](T a) { return a > 0 ? a : alpha * std::expm1(a / alpha); });
        case Code::selu: return of([=](T a) { return beta * (a > 0 ? a : alpha * std::expm1(a)); });
        case Code::thresholded_relu: return of([=](T a) { return a > alpha ? a : T(0); });
        case Code::scale: return of([=](T a) { return a * alpha + beta; });
        case Code::sign: return of([](T a) { return a > 0 ? T(1) : a < 0 ? T(-1) : a == 0 ? T(0) : a; });
        case Code::floor: return of([](T a) { return std::floor(a); });
        case Code::ceil: return of([](T a) { return std::ceil(a); });
        case Code::round: return of([](T a) { return std::nearbyint(a); });
        default: return of([](T a) { return std::trunc(a); });
    }
}

Function function_of(Code code) {
    return code == Code::sigmoid ? Function::sigmoid : code == Code::tanh ? Function::tanh
        : code == Code::exp ? Function::exponential : Function::hard_sigmoid;
}

}  // namespace

template <class T>
Program<T>::Program(const Kernel& kernel, Plan<T> all) : functions(functions_of<T>(kernel)), plan(std::move(all)) {
    for (const auto& layers : plan.lstms) lstms.emplace_back(layers, plan.batch);
    check();
    std::copy(plan.memory.begin(), plan.memory.end(), memory.at_least(int64_t(plan.memory.size())));
}

template <class T> void Program<T>::check() {
    const int64_t size = int64_t(plan.memory.size());
    const auto require = [](bool holds) { if (!holds) throw std::invalid_argument("a program reaches outside of its memory"); };
    const auto inside = [&](int64_t at, int64_t count) { require(at >= 0 && count >= 0 && at <= size && count <= size - at); };
    const auto known = [&](int64_t item, size_t count) { require(item >= 0 && item < int64_t(count)); return size_t(item); };
    const auto area = [&](int64_t rows, int64_t columns) {
        require(rows >= 0 && columns >= 0 && (!columns || rows <= size / columns));
        return rows * columns;
    };
    for (const Instruction& i : plan.instructions) {
        if (i.code == Code::move) {
            const std::vector<int64_t>& places = plan.places[known(i.item, plan.places.size())];
            for (int64_t place : places) inside(place, 1);
            inside(i.to, int64_t(places.size()));
        } else if (i.code == Code::lstm || i.code == Code::state) {
            const Stream<T>& stream = lstms[known(i.item, lstms.size())];
            const Cell<T>& last = stream.cell(stream.layers() - 1);
            if (i.code == Code::lstm) inside(i.from, plan.batch * stream.cell(0).input);
            else inside(i.other, plan.batch * last.hidden), require(stream.layers() == 1);
            inside(i.to, plan.batch * last.recurrent);
            operations += i.code == Code::lstm ? stream.work() : 0;
        } else if (i.code == Code::matrix) {
            const Matrix<T>& matrix = *plan.matrices[known(i.item, plan.matrices.size())];
            inside(i.from, area(i.rows, matrix.depth)), inside(i.to, area(i.rows, matrix.size));
            operations += 2.0 * double(i.rows) * double(matrix.depth) * double(matrix.size);
        } else if (i.code == Code::small_matrix) {
            const size_t item = known(i.item, plan.small_biases.size());
            const int64_t outputs = int64_t(plan.small_biases[item].size());
            require(i.depth >= 0 && int64_t(plan.small_weights[item].size()) == outputs * i.depth);
            inside(i.from, area(i.rows, i.depth)), inside(i.to, area(i.rows, outputs));
            operations += 2.0 * double(i.rows) * double(i.depth) * double(outputs);
        } else if (gatewise::of_rows(i.code)) {
            inside(i.from, area(i.rows, i.depth)), inside(i.to, i.code <= Code::normalise ? area(i.rows, i.depth) : i.rows);
            operations += 20.0 * double(i.rows) * double(i.depth);
        } else {
            inside(i.from, i.rows), inside(i.to, i.rows);
            if (of_two(i.code)) inside(i.other, i.rows);
            operations += 20.0 * double(i.rows);
        }
    }
    for (const auto* ports : {&plan.inputs, &plan.outputs})
        for (const Port& port : *ports) inside(port.at, area(port.outer, port.inner));
    inside(plan.state, plan.carried), inside(plan.following, plan.carried);
    require(plan.batch > 0);
}

template <class T> bool Program<T>::push(const T* const* inputs, int64_t time, T* const* outputs, Poll poll) {
    T* const at = memory.get();
    for (int64_t step_number = 0; step_number < time; ++step_number) {
        for (size_t n = 0; n < plan.inputs.size(); ++n) {
            const Port& port = plan.inputs[n];
            if (!port.timed && step_number) continue;
            const int64_t apart = port.timed ? time * port.inner : port.inner, first = port.timed ? step_number * port.inner : 0;
            for (int64_t part = 0; part < port.outer; ++part)
                std::copy_n(inputs[n] + part * apart + first, port.inner, at + port.at + part * port.inner);
        }
        if (!step(poll)) return false;
        for (size_t n = 0; n < plan.outputs.size(); ++n) {
            const Port& port = plan.outputs[n];
            if (!port.timed && step_number + 1 < time) continue;
            const int64_t apart = port.timed ? time * port.inner : port.inner, first = port.timed ? step_number * port.inner : 0;
            for (int64_t part = 0; part < port.outer; ++part)
                std::copy_n(at + port.at + part * port.inner, port.inner, outputs[n] + part * apart + first);
        }
        if (plan.carried) std::copy_n(at + plan.following, plan.carried, at + plan.state);
        if (poll && poll()) return false;
    }
    return true;
}

template <class T> bool Program<T>::step(Poll poll) {
    T* const at = memory.get();
    for (const Instruction& i : plan.instructions) {
        const T* const x = at + i.from;
        T* const y = at + i.to;
        if (i.code == Code::move) {
            const std::vector<int64_t>& places = plan.places[size_t(i.item)];
            for (size_t k = 0; k < places.size(); ++k) y[k] = at[places[k]];
        } else if (i.code == Code::copy) {
            std::copy_n(x, i.rows, y);
        } else if (i.code == Code::lstm) {
            if (!lstms[size_t(i.item)].push(x, 1, y, poll)) return false;
        } else if (i.code == Code::state) {
            lstms[size_t(i.item)].get(0, y, at + i.other);
        } else if (i.code == Code::matrix) {
            (*plan.matrices[size_t(i.item)])(x, i.rows, y);
        } else if (i.code == Code::small_matrix) {
            const std::vector<T>&weight = plan.small_weights[size_t(i.item)], &bias = plan.small_biases[size_t(i.item)];
            Dense<T>{weight.data(), bias.data(), i.depth, int64_t(bias.size())}(x, i.rows, y);
        } else if (gatewise::of_rows(i.code)) {
            of_rows(i);
        } else if (of_two(i.code)) {
            two(i.code, x, at + i.other, y, i.rows);
        } else if (in_kernel(i.code)) {
            functions.apply({function_of(i.code), T(i.alpha), T(i.beta)}, x, y, i.rows);
        } else {
            one(i.code, x, y, i.rows, T(i.alpha), T(i.beta));
        }
    }
    return true;
}

template <class T> void Program<T>::of_rows(const Instruction& i) {
    const int64_t depth = i.depth, width = i.code <= Code::normalise ? depth : 1;
    const Activation<T> exponential{Function::exponential, 0, 0};
    const T* x = memory.get() + i.from;
    T* y = memory.get() + i.to;
    for (int64_t row = 0; row < i.rows; ++row, x += depth, y += width) {
        const auto total = [=](auto term) { return sum_of<T>(depth, term); };
        switch (i.code) {
            case Code::softmax: {
                const T top = largest(x, depth);
                each(y, depth, [=](int64_t k) { return x[k] - top; });
                functions.apply(exponential, y, y, depth);
                const T sum = total([=](int64_t k) { return y[k]; });
                each(y, depth, [=](int64_t k) { return y[k] / sum; });
                break;
            }
            case Code::log_softmax: {
                const T top = largest(x, depth), sum = std::log(total([=](int64_t k) { return std::exp(x[k] - top); }));
                each(y, depth, [=](int64_t k) { return x[k] - top - sum; });
                break;
            }
            case Code::normalise: {
                const T mean = total([=](int64_t k) { return x[k]; }) / T(depth);
                each(y, depth, [=](int64_t k) { return x[k] - mean; });
                const T variance = total([=](int64_t k) { return y[k] * y[k]; }) / T(depth);
                const T factor = 1 / std::sqrt(variance + T(i.alpha));
                each(y, depth, [=](int64_t k) { return y[k] * factor; });
                break;
            }
            case Code::sum: *y = total([=](int64_t k) { return x[k]; }); break;
            case Code::mean: *y = total([=](int64_t k) { return x[k]; }) / T(depth); break;
            case Code::most: *y = largest(x, depth); break;
            case Code::least: {
                T found = std::numeric_limits<T>::infinity();
                for (int64_t k = 0; k < depth; ++k) found = smaller(found, x[k]);
                *y = found;
                break;
            }
            case Code::prod: {
                T product = 1;
                for (int64_t k = 0; k < depth; ++k) product *= x[k];
                *y = product;
                break;
            }
            case Code::logsumexp: {
                const T found = largest(x, depth), top = std::isfinite(found) ? found : T(0);
                *y = std::log(total([=](int64_t k) { return std::exp(x[k] - top); })) + top;
                break;
            }
            default: *y = std::sqrt(total([=](int64_t k) { return x[k] * x[k]; }));
        }
    }
}

template <class T> bool Program<T>::is_finite() const {
    int found = 0;
    const T* const state = memory.get() + plan.state;
    for (int64_t k = 0; k < plan.carried; ++k) found |= !(std::abs(state[k]) <= std::numeric_limits<T>::max());
    return !found && std::all_of(lstms.begin(), lstms.end(), [](const Stream<T>& stream) { return stream.is_finite(); });
}

template class Program<float>;
template class Program<double>;

}  // namespace gatewise
