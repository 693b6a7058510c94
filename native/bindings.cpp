// What Python sees. Sizes are checked here once more before any pointer is passed on; the messages for users come from
// the Python code, which has checked them already.

#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#include <numpy/arrayobject.h>

#include <limits>

#include "around.hpp"
#include "gil.hpp"
#include "program_stream.hpp"
#include "run_records.hpp"
#include "team.hpp"

namespace nb = nanobind;
using namespace gatewise;

namespace {

const Kernel& kernel_named(const std::string& name) {
    const Kernel* kernels[4];
    const int count = available(kernels);
    for (int n = 0; n < count; ++n)
        if (name == kernels[n]->name) return *kernels[n];
    throw nb::value_error(("this machine has no kernel '" + name + "'").c_str());
}

std::vector<std::string> kernel_names() {
    const Kernel* kernels[4];
    const int count = available(kernels);
    std::vector<std::string> names;
    for (int n = 0; n < count; ++n) names.emplace_back(kernels[n]->name);
    return names;
}

Function function_named(const std::string& name) {
    for (const NamedFunction& named : FUNCTIONS)
        if (name == named.name) return named.function;
    throw nb::value_error(("there is no nonlinearity '" + name + "' here").c_str());
}

using Activations = std::vector<std::tuple<std::string, double, double>>;

template <class T> class PyCell {
public:
    template <class... Numbers>
    PyCell(const std::string& kernel, In<T> weight, In<T> bias, In<T> peephole, In<T> projection,
           const Activations& activations, const std::string& coupling, Numbers... numbers)
        : weight(weight), bias(bias), peephole(peephole), projection(projection) {
        if (weight.ndim() != 3 || activations.size() != 5) throw nb::value_error("a cell has 3 axes of weights, 5 nonlinearities");
        weights.hidden = int64_t(weight.shape(1));
        weights.recurrent = projection.is_valid() ? int64_t(projection.shape(0)) : weights.hidden;
        weights.input = int64_t(weight.shape(2)) - weights.recurrent;
        if (weights.input < 1) throw nb::value_error("a cell has at least one input");
        for (int k = 0; k < 5; ++k) {
            const auto& [name, slope, shift] = activations[size_t(k)];
            weights.activation[k] = {function_named(name), T(slope), T(shift)};
        }
        weights.coupling = coupling == "forget" ? Coupling::forget : coupling == "input" ? Coupling::input : Coupling::none;
        const NamedNumber<T>* named = NUMBERS<T>;
        for (double number : {double(numbers)...}) weights.*(named++)->number = T(number);
        weights.weight = checked("weight", weight, {4, weights.hidden, weights.recurrent + weights.input});
        weights.bias = checked("bias", bias, {4, weights.hidden});
        weights.peephole = checked_or_null("peephole", peephole, {3, weights.hidden});
        weights.projection = checked_or_null("projection", projection, {weights.recurrent, weights.hidden});
        packed = std::make_shared<Packed<T>>(kernel_named(kernel), weights);
    }

    void forward(const ForwardRecord<T>& run) const {
        const int64_t I = weights.input, H = weights.hidden, R = weights.recurrent;
        if (run.places.size() != 4 || run.every < 1) throw nb::value_error("there are 4 gates, every is at least 1");
        Forward<T> call{};
        describe(call, run);
        const int64_t time = call.time, batch = call.batch, kept = (time + run.every - 1) / run.every;
        call.x = checked("x", run.x, {time, batch, I});
        call.h0 = checked("h0", run.h0, {batch, R});
        call.h = checked("h", run.h, {time, batch, R});
        T* const states = checked("c", run.c, {batch, H});
        call.every = run.every, call.units = run.units ? int64_t(run.units->size()) : H;
        for (int k = 0; k < 4; ++k) call.place[k] = run.places[size_t(k)], call.gates_kept += call.place[k] >= 0;
        for (int place : run.places)
            if (place >= call.gates_kept) throw nb::value_error("the gates that are kept lie side by side");
        call.kept_gates = checked_or_null("gates", run.gates, {kept, batch, call.gates_kept, call.units});
        call.kept_cell = checked_or_null("cells", run.cells, {kept, batch, call.units});
        call.kept_unprojected = checked_or_null("unprojected", run.unprojected, {kept, batch, call.units});
        std::vector<int64_t> start, lane, place;
        Pick pick{};
        if (run.units) {
            const int64_t lanes = packed->kernel().lanes;
            for (int64_t tile = 0; tile * lanes < H; ++tile) {
                start.push_back(int64_t(lane.size()));
                for (size_t n = 0; n < run.units->size(); ++n) {
                    const int64_t unit = (*run.units)[n];
                    if (unit < 0 || unit >= H) throw nb::value_error("there is no such unit");
                    if (unit / lanes == tile) lane.push_back(unit % lanes), place.push_back(int64_t(n));
                }
            }
            start.push_back(int64_t(lane.size()));
            pick = {start.data(), lane.data(), place.data()};
            call.pick = &pick;
        }
        without_gil([&] { return gatewise::forward(*packed, call, states, interrupted); });
    }

    void backward(const BackwardRecord<T>& run) const {
        const int64_t I = weights.input, H = weights.hidden, R = weights.recurrent;
        if (run.dpeephole.is_valid() != peephole.is_valid() || run.dprojection.is_valid() != projection.is_valid())
            throw nb::value_error("peepholes and projection have a gradient exactly where the cell has them");
        Backward<T> call{};
        describe(call, run);
        const int64_t time = call.time, batch = call.batch;
        call.gates = checked("gates", run.gates, {time, batch, 4, H});
        call.cells = checked("cells", run.cells, {time, batch, H});
        call.unprojected = checked("unprojected", run.unprojected, {time, batch, H});
        call.c0 = checked("c0", run.c0, {batch, H});
        call.dhidden = checked("dhidden", run.dhidden, {time, batch, R});
        call.dx = checked("dx", run.dx, {time, batch, I});
        const T* const inputs = checked("x", run.x, {time, batch, I});
        const T* const hidden = checked("h", run.h, {time, batch, R});
        const T* const initial = checked("h0", run.h0, {batch, R});
        T* const dh = checked("dh", run.dh, {batch, R});
        T* const dc = checked("dc", run.dc, {batch, H});
        const Gradients<T> gradients{
            checked("dweight", run.dweight, {4, H, R + I}), checked("dbias", run.dbias, {4, H}),
            checked_or_null("dpeephole", run.dpeephole, {3, H}), checked_or_null("dprojection", run.dprojection, {R, H})};
        without_gil([&] {
            packed->pack_backward(weights);
            return gatewise::backward(*packed, call, inputs, hidden, initial, dh, dc, gradients, interrupted);
        });
    }

    std::shared_ptr<const Packed<T>> packed;

private:
    // The sizes and masks, which both passes read.
    template <class Call> void describe(Call& call, const RunRecord<T>& run) const {
        if (!run.x.is_valid() || run.x.ndim() != 3) throw nb::value_error("x has 3 axes");
        const int64_t time = int64_t(run.x.shape(0)), batch = int64_t(run.x.shape(1));
        call.time = time, call.batch = batch, call.reverse = run.reverse;
        call.valid = (const uint8_t*)checked_or_null("valid", run.valid, {time, batch});
        call.recurrent_mask = checked_or_null("recurrent_mask", run.recurrent_mask, {time, batch, weights.recurrent});
        call.zoneout_cell = checked_or_null("zoneout_cell", run.zoneout_cell, {time, batch, weights.hidden});
        call.zoneout_hidden = checked_or_null("zoneout_hidden", run.zoneout_hidden, {time, batch, weights.recurrent});
    }

    In<T> weight, bias, peephole, projection;  // held, so that the pointers of `weights` stay valid
    CellWeights<T> weights{};
};

template <class T> Dense<T> dense(const In<T>& weight, const In<T>& bias, int64_t depth) {
    if (weight.ndim() != 2) throw nb::value_error("weight has two axes");
    const int64_t size = int64_t(weight.shape(0));
    return {checked("weight", weight, {size, depth}), checked("bias", bias, {size}), depth, size};
}

template <class T> class PyStream {
public:
    PyStream(const std::vector<const PyCell<T>*>& cells, int64_t batch, bool with_batch, nb::object converter)
        : batched(with_batch), stream(packed_layers(cells), batch), converters{converter, {}} {
        input = stream.cell(0).input, output = stream.cell(stream.layers() - 1).recurrent;
    }
    PyStream(const PyStream&) = delete;

    // The output for x (input,) or (time, input), with a batch axis before the last where there is one. If x is not such
    // an array, there is a mask, `out` does not fit the output, or it shares memory with x, `converter` does what is needed
    // or says what is wrong.
    template <bool PREDICTS>
    static nb::object push(nb::pointer_and_handle<PyStream> self, nb::handle x, nb::handle mask, nb::handle out) {
        if (mask.is_none())
            if (nb::object y = self.p->pushed(x, out, PREDICTS); y.is_valid()) return y;
        PyObject* const y = call_python([&] {
            return PyObject_CallFunctionObjArgs(self.p->converters[PREDICTS].ptr(), self.h.ptr(), x.ptr(), mask.ptr(), out.ptr(), nullptr);
        });
        if (!y) throw nb::python_error();
        return nb::steal(y);
    }

    // What the LSTM has around it in `predict`: layers before and after it, each as weight, bias, weight, bias, …
    void surround(int64_t features, const std::vector<In<T>>& before, const std::vector<In<T>>& after, int64_t skip,
                  In<double> inputs, In<double> outputs, nb::object converter) {
        const Busy alone(busy);
        Around<T> parts{chain(before, features, input), chain(after, output, -1), features, output, skip};
        if (!parts.after.empty()) parts.outputs = parts.after.back().size;
        if (skip < 0 || skip > features || (skip > 1 && skip != parts.outputs)) throw nb::value_error("no such skip connection");
        parts.in_scaling = checked_or_null("inputs", inputs, {3, features});
        parts.out_scaling = checked_or_null("outputs", outputs, {3, parts.outputs});
        around = std::move(parts), converters[1] = converter;
        kept = std::make_tuple(before, after, inputs, outputs);
    }

    // As `push`, or nothing. The GIL is kept where the work takes less time than releasing it.
    nb::object pushed(nb::handle x, nb::handle out, bool predicts) {
        const int fixed = batched ? 2 : 1;
        if (!PyArray_CheckExact(x.ptr())) return {};  // a subclass may mean more, as a mask does
        auto* const in = (PyArrayObject*)x.ptr();
        const int axes = PyArray_NDIM(in);
        if (PyArray_TYPE(in) != NUMPY_TYPE<T> || !PyArray_ISCARRAY_RO(in) || axes < fixed || axes > fixed + 1) return {};
        const npy_intp* const shape = PyArray_DIMS(in);
        const int64_t features = predicts ? around.features : input, outputs = predicts ? around.outputs : output;
        if (shape[axes - 1] != features || (batched && shape[axes - 2] != stream.batch())) return {};
        npy_intp sizes[3];
        for (int axis = 0; axis < axes; ++axis) sizes[axis] = shape[axis];
        sizes[axes - 1] = outputs;
        const nb::object y = out.is_none() ? nb::steal(PyArray_SimpleNew(axes, sizes, NUMPY_TYPE<T>)) : nb::borrow(out);
        if (!y.is_valid()) throw nb::python_error();
        auto* const array = (PyArrayObject*)y.ptr();
        if (y.is(out) && (!PyArray_Check(y.ptr()) || PyArray_TYPE(array) != NUMPY_TYPE<T> || !PyArray_ISCARRAY(array) ||
                          PyArray_NDIM(array) != axes || !PyArray_CompareLists(PyArray_DIMS(array), sizes, axes)))
            return {};
        const int64_t time = axes > fixed ? shape[0] : 1;
        const T* const from = (const T*)PyArray_DATA(in);
        T* const to = (T*)PyArray_DATA(array);
        const auto rows = uintptr_t(time * stream.batch()), in_at = uintptr_t(from), out_at = uintptr_t(to);
        if (in_at < out_at + rows * uintptr_t(outputs) * sizeof(T) && out_at < in_at + rows * uintptr_t(features) * sizeof(T)) return {};
        const Busy alone(busy);
        if (stream.work() * double(time) < 1e6) run(from, time, to, predicts, nullptr);
        else run_long(from, time, to, predicts);
        return y;
    }

    void get(int64_t layer, Out<T> h, Out<T> c) {
        const Busy alone(busy);
        stream.get(layer, checked("h", h, {stream.batch(), at(layer).recurrent}), checked("c", c, {stream.batch(), at(layer).hidden}));
    }

    bool is_finite() {
        const Busy alone(busy);
        return stream.is_finite();
    }

    void set(int64_t layer, In<T> h, In<T> c) {
        const Busy alone(busy);
        stream.set(layer, checked("h", h, {stream.batch(), at(layer).recurrent}), checked("c", c, {stream.batch(), at(layer).hidden}));
    }

    static std::vector<std::shared_ptr<const Packed<T>>> packed_layers(const std::vector<const PyCell<T>*>& cells) {
        if (cells.empty()) throw nb::value_error("a stream has at least one layer");
        std::vector<std::shared_ptr<const Packed<T>>> layers;
        for (const auto* cell : cells) {
            if (!layers.empty() && cell->packed->cell().input != layers.back()->cell().recurrent)
                throw nb::value_error("the input size of each layer of a stream is the output size of the layer below it");
            layers.push_back(cell->packed);
        }
        return layers;
    }

private:
    bool run(const T* from, int64_t time, T* to, bool predicts, Poll poll) {
        return predicts ? around.push(stream, from, time, to, poll) : stream.push(from, time, to, poll);
    }

    // Without the GIL; if a signal interrupts it, the state is left as it was.
    void run_long(const T* from, int64_t time, T* to, bool predicts) {
        std::vector<std::vector<T>> before;
        for (int64_t layer = 0; layer < stream.layers(); ++layer) {
            before.emplace_back(size_t(stream.batch() * at(layer).recurrent));
            before.emplace_back(size_t(stream.batch() * at(layer).hidden));
            stream.get(layer, before[size_t(2 * layer)].data(), before[size_t(2 * layer + 1)].data());
        }
        try {
            without_gil([&] { return run(from, time, to, predicts, interrupted); });
        } catch (...) {
            for (int64_t layer = 0; layer < stream.layers(); ++layer)
                stream.set(layer, before[size_t(2 * layer)].data(), before[size_t(2 * layer + 1)].data());
            throw;
        }
    }

    // Dense layers from so many features to so many outputs, or to any number of them.
    static std::vector<Dense<T>> chain(const std::vector<In<T>>& arrays, int64_t features, int64_t outputs) {
        std::vector<Dense<T>> layers;
        for (size_t n = 0; n + 1 < arrays.size(); n += 2, features = layers.back().size)
            layers.push_back(dense<T>(arrays[n], arrays[n + 1], features));
        if (outputs >= 0 && features != outputs) throw nb::value_error("the layers do not fit onto the LSTM");
        return layers;
    }

    const Cell<T>& at(int64_t layer) const {
        if (layer < 0 || layer >= stream.layers()) throw nb::index_error("there is no such layer");
        return stream.cell(layer);
    }

    bool busy = false, batched;
    Stream<T> stream;
    Around<T> around{};
    std::tuple<std::vector<In<T>>, std::vector<In<T>>, In<double>, In<double>> kept;  // so that the pointers of `around` stay valid
    nb::object converters[2];  // of push, and of predict
    int64_t input, output;
};

template <class T>
void make_program(PyProgram<T>* self, const std::string& kernel, In<T> memory, const std::vector<std::vector<const PyCell<T>*>>& lstms,
                                      const std::vector<std::tuple<In<T>, In<T>, bool>>& matrices, const std::vector<In<int64_t>>& places,
                                      const std::vector<InstructionRow>& instructions, const std::vector<PortRow>& inputs,
                                      const std::vector<PortRow>& outputs, const std::tuple<int64_t, int64_t, int64_t>& carried,
                                      int64_t batch, nb::object converter) {
    Plan<T> plan;
    for (const auto& cells : lstms) plan.lstms.push_back(PyStream<T>::packed_layers(cells));
    new (self) PyProgram<T>(kernel_named(kernel), std::move(plan), memory, matrices, places, instructions, inputs,
                                          outputs, carried, batch, converter);
}

template <class T> void apply(const std::string& kernel, const std::string& name, double slope, double shift, In<T> a, Out<T> y) {
    const Kernel& chosen = kernel_named(kernel);
    const int64_t count = int64_t(a.size());
    if (a.ndim() != 1) throw nb::value_error("a has one axis");
    const T* const from = checked("a", a, {count});
    T* const to = checked("y", y, {count});
    const Activation<T> by{function_named(name), T(slope), T(shift)};
    if constexpr (sizeof(T) == 4) chosen.float32.apply(by, from, to, count);
    else chosen.float64.apply(by, from, to, count);
}

template <class T> void linear(In<T> x, In<T> weight, In<T> bias, Out<T> y) {
    if (x.ndim() != 2) throw nb::value_error("x has two axes");
    const int64_t rows = int64_t(x.shape(0));
    const Dense<T> layer = dense<T>(weight, bias, int64_t(x.shape(1)));
    const T* const from = x.data();
    T* const to = checked("y", y, {rows, layer.size});
    const WithoutGil released;
    layer(from, rows, to);
}

// N: the constructor of a cell has an argument for each of the NUMBERS.
template <class T, size_t... N> void bind(nb::module_& m, const char* cell, const char* stream, const char* program_name, std::index_sequence<N...>) {
    using namespace nb::literals;
    nb::class_<PyCell<T>> cell_class(m, cell);
    cell_class
        .def(nb::init<const std::string&, In<T>, In<T>, In<T>, In<T>, const Activations&, const std::string&, std::enable_if_t<(N >= 0), double>...>(),
             "kernel"_a, "weight"_a.noconvert(), "bias"_a.noconvert(), "peephole"_a.noconvert().none(),
             "projection"_a.noconvert().none(), "activations"_a, "coupling"_a, nb::arg(NUMBERS<T>[N].name)...)
        .def("forward", &PyCell<T>::forward, "run"_a)
        .def("backward", &PyCell<T>::backward, "run"_a);
    bind_records<T>(cell_class);
    nb::class_<PyStream<T>>(m, stream)
        .def(nb::init<const std::vector<const PyCell<T>*>&, int64_t, bool, nb::object>(), "cells"_a, "batch"_a, "batched"_a, "converter"_a)
        .def("push", &PyStream<T>::template push<false>, "x"_a.none(), nb::kw_only(), "mask"_a.none() = nb::none(), "out"_a.none() = nb::none(), "See gatewise.Stream.push.")
        .def("surround", &PyStream<T>::surround, "features"_a, "before"_a.noconvert(), "after"_a.noconvert(), "skip"_a, "inputs"_a.noconvert().none(), "outputs"_a.noconvert().none(), "converter"_a, nb::sig("def surround(self, **parts: object) -> None"))
        .def("predict", &PyStream<T>::template push<true>, "x"_a.none(), nb::kw_only(), "mask"_a.none() = nb::none(), "out"_a.none() = nb::none(), "See gatewise.network.NetworkStream.push.")
        .def_prop_ro("is_finite", &PyStream<T>::is_finite)
        .def("get", &PyStream<T>::get, "layer"_a, "h"_a.noconvert(), "c"_a.noconvert())
        .def("set", &PyStream<T>::set, "layer"_a, "h"_a.noconvert(), "c"_a.noconvert());
    nb::class_<PyProgram<T>>(m, program_name)
        .def("__init__", &make_program<T>, "kernel"_a, "memory"_a.noconvert(), "lstms"_a, "matrices"_a.noconvert(), "places"_a.noconvert(), "instructions"_a, "inputs"_a, "outputs"_a, "carried"_a, "batch"_a, "converter"_a, nb::sig("def __init__(self, **parts: object) -> None"))
        .def("push", &PyProgram<T>::push, nb::sig("def push(self, *inputs: object) -> object"), "See gatewise.network.graph_stream.GraphStream.push.")
        .def("run", &PyProgram<T>::run, "steps"_a.none(), "inputs"_a.noconvert(), nb::sig("def run(self, steps: int | None, inputs: Sequence[object]) -> object"))
        .def_prop_ro("is_finite", &PyProgram<T>::is_finite)
        .def("get", &PyProgram<T>::get, "lstm"_a, "h"_a.noconvert(), "c"_a.noconvert())
        .def("set", &PyProgram<T>::set, "lstm"_a, "h"_a.noconvert(), "c"_a.noconvert())
        .def("get_carried", &PyProgram<T>::get_carried, "numbers"_a.noconvert())
        .def("set_carried", &PyProgram<T>::set_carried, "numbers"_a.noconvert());
    m.def("apply", &apply<T>, "kernel"_a, "name"_a, "slope"_a, "shift"_a, "a"_a.noconvert(), "y"_a.noconvert());
    m.def("linear", &linear<T>, "x"_a.noconvert(), "weight"_a.noconvert(), "bias"_a.noconvert(), "y"_a.noconvert());
}

}  // namespace

// Its threads outlive a run and do not know interpreters apart: in a second one a run would wait for the first one's
// lock. Without the lock it has not been tested.
void refuse_other_interpreters() {
#if defined(Py_GIL_DISABLED)
    throw nb::import_error("the extension is not made for Python without a global lock");
#endif
    if (PyInterpreterState_GetID(PyInterpreterState_Get()) != 0)  // that of the first one
        throw nb::import_error("the extension cannot be used in a sub-interpreter");
}

NB_MODULE(_native, m) {
    refuse_other_interpreters();
    // At its exit Python abandons daemon threads, with the cells and streams that their frames hold: the system takes
    // that memory, and a report of leaks would be of nothing. The setting is of a domain (CMakeLists.txt), so that it is
    // neither another extension's nor changed by one.
    nb::set_leak_warnings(false);
    if (_import_array() < 0) throw nb::python_error();
    m.doc() = "The native kernels; gatewise.engine.native calls them.";
    m.def("kernels", &kernel_names);
    m.def("threads", &threads);
    m.def("set_threads", &set_threads, nb::arg("count"));
    bind<float>(m, "CellFloat32", "StreamFloat32", "ProgramFloat32", std::make_index_sequence<std::size(NUMBERS<float>)>());
    bind<double>(m, "CellFloat64", "StreamFloat64", "ProgramFloat64", std::make_index_sequence<std::size(NUMBERS<double>)>());
}
