// One step of any network as a program: instructions that read and write one array of numbers, step after step.
#pragma once

#include <stdexcept>
#include <vector>

#include "around.hpp"
#include "engine.hpp"

namespace gatewise {

enum class Code : int32_t {
    move,                                            // numbers from a table of places, one by one
    copy,                                            // neighbouring numbers
    lstm, state, matrix, small_matrix,               // an LSTM; its h and c after the step; y = W x + b
    softmax, log_softmax, normalise,                 // of each row
    sum, mean, most, least, prod, logsumexp, norm2,  // of each row, a number
    add, sub, mul, div, pow, maximum, minimum, prelu,  // of two numbers
    sigmoid, tanh, exp, hard_sigmoid,                // of one number, in the kernel
    neg, abs, log, log1p, expm1, sqrt, reciprocal, sin, cos, tan, asin, acos, atan, sinh, cosh, asinh, acosh, atanh,
    erf, relu, softplus, softsign, silu, gelu, gelu_tanh, mish, hard_swish, leaky_relu, elu, celu, selu,
    thresholded_relu, scale, sign, floor, ceil, round, trunc,
};

struct NamedCode {
    const char* name;
    Code code;
};
inline constexpr NamedCode CODES[] = {
    {"move", Code::move}, {"copy", Code::copy}, {"lstm", Code::lstm}, {"state", Code::state}, {"matrix", Code::matrix},
    {"small_matrix", Code::small_matrix}, {"softmax", Code::softmax}, {"log_softmax", Code::log_softmax},
    {"normalise", Code::normalise}, {"reduce_sum", Code::sum}, {"reduce_mean", Code::mean}, {"reduce_max", Code::most},
    {"reduce_min", Code::least}, {"reduce_prod", Code::prod}, {"reduce_logsumexp", Code::logsumexp},
    {"reduce_norm2", Code::norm2}, {"add", Code::add}, {"sub", Code::sub}, {"mul", Code::mul}, {"div", Code::div},
    {"pow", Code::pow}, {"maximum", Code::maximum}, {"minimum", Code::minimum}, {"prelu", Code::prelu},
    {"sigmoid", Code::sigmoid}, {"tanh", Code::tanh}, {"exp", Code::exp}, {"hard_sigmoid", Code::hard_sigmoid},
    {"neg", Code::neg}, {"abs", Code::abs}, {"log", Code::log}, {"log1p", Code::log1p}, {"expm1", Code::expm1},
    {"sqrt", Code::sqrt}, {"reciprocal", Code::reciprocal}, {"sin", Code::sin}, {"cos", Code::cos}, {"tan", Code::tan},
    {"asin", Code::asin}, {"acos", Code::acos}, {"atan", Code::atan}, {"sinh", Code::sinh}, {"cosh", Code::cosh},
    {"asinh", Code::asinh}, {"acosh", Code::acosh}, {"atanh", Code::atanh}, {"erf", Code::erf}, {"relu", Code::relu},
    {"softplus", Code::softplus}, {"softsign", Code::softsign}, {"silu", Code::silu}, {"gelu", Code::gelu},
    {"gelu_tanh", Code::gelu_tanh}, {"mish", Code::mish}, {"hard_swish", Code::hard_swish},
    {"leaky_relu", Code::leaky_relu}, {"elu", Code::elu}, {"celu", Code::celu}, {"selu", Code::selu},
    {"thresholded_relu", Code::thresholded_relu}, {"scale", Code::scale}, {"sign", Code::sign}, {"floor", Code::floor},
    {"ceil", Code::ceil}, {"round", Code::round}, {"trunc", Code::trunc},
};

// `from`, `other` and `to` are places in the memory. Of functions of one or two numbers, `rows` is their count.
struct Instruction {
    Code code;
    int64_t item;                // which LSTM, matrix or table of places
    int64_t from, other, to;
    int64_t rows, depth;         // of a matrix, `depth` numbers of each row are read
    double alpha, beta;          // settings
};

// Where a step of an input or an output is in the memory. In an array of several steps, `outer` parts of it follow each
// other, each with `inner` numbers of every step; what has no steps is the same in all of them.
struct Port {
    int64_t at, outer, inner;
    bool timed;

    int64_t size(int64_t steps) const { return outer * inner * (timed ? steps : 1); }
};

// What a program is made of. Its memory begins as `memory`; at the end of a step `carried` numbers are copied from
// `following` to `state`.
template <class T> struct Plan {
    std::vector<T> memory;
    std::vector<std::vector<std::shared_ptr<const Packed<T>>>> lstms;
    std::vector<std::unique_ptr<const Matrix<T>>> matrices;
    std::vector<std::vector<T>> small_weights, small_biases;  // of matrices whose rows are added as `Dense` does
    std::vector<std::vector<int64_t>> places;
    std::vector<Instruction> instructions;
    std::vector<Port> inputs, outputs;
    int64_t batch, state, following, carried;
};

template <class T> class Program {
public:
    Program(const Kernel&, Plan<T>);  // throws std::invalid_argument if anything is outside the memory

    // Feed so many steps of every input; returns whether they were completed.
    bool push(const T* const* inputs, int64_t time, T* const* outputs, Poll poll);

    Stream<T>& lstm(int64_t number) { return lstms.at(size_t(number)); }
    int64_t num_lstms() const { return int64_t(lstms.size()); }
    T* carried() { return memory.get() + plan.state; }
    int64_t num_carried() const { return plan.carried; }
    const std::vector<Port>& inputs() const { return plan.inputs; }
    const std::vector<Port>& outputs() const { return plan.outputs; }
    bool is_finite() const;
    double work() const { return operations; }  // floating-point operations of one step, about

private:
    void check();
    bool step(Poll poll);
    void of_rows(const Instruction&);

    const Functions<T>& functions;
    Plan<T> plan;
    std::vector<Stream<T>> lstms;
    Buffer<T> memory;
    double operations = 0;
};

extern template class Program<float>;
extern template class Program<double>;

}  // namespace gatewise
