// What Python sees. Sizes are checked here once more before any pointer is passed on; the messages for users come from
// the Python code, which has checked them already.

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#include <numpy/arrayobject.h>

#include <chrono>
#include <limits>

#include "engine.hpp"
#include "team.hpp"

namespace nb = nanobind;
using namespace gatewise;

namespace {

template <class T> using In = nb::ndarray<const T, nb::c_contig, nb::device::cpu>;
template <class T> using Out = nb::ndarray<T, nb::c_contig, nb::device::cpu>;
template <class Array> using Maybe = std::optional<Array>;
using Sizes = std::initializer_list<int64_t>;

template <class Array> auto checked(const char* name, const Array& array, Sizes sizes) {
    bool fits = array.ndim() == sizes.size();
    size_t axis = 0;
    for (int64_t size : sizes) fits = fits && int64_t(array.shape(axis++)) == size;
    if (!fits) throw nb::value_error((std::string("the array ") + name + " has the wrong shape").c_str());
    return array.data();
}

template <class Array> auto checked(const char* name, const Maybe<Array>& array, Sizes sizes) {
    return array ? checked(name, *array, sizes) : nullptr;
}

const Kernel& kernel_called(const std::string& name) {
    const Kernel* found[4];
    const int count = available(found);
    for (int n = 0; n < count; ++n)
        if (name == found[n]->name) return *found[n];
    throw nb::value_error(("this machine has no kernel '" + name + "'").c_str());
}

std::vector<std::string> kernels() {
    const Kernel* found[4];
    const int count = available(found);
    std::vector<std::string> names;
    for (int n = 0; n < count; ++n) names.emplace_back(found[n]->name);
    return names;
}

// Whether a signal has arrived whose Python handler raised; the GIL is not held.
bool interrupted() {
    using Clock = std::chrono::steady_clock;
    static thread_local Clock::time_point next;
    const auto now = Clock::now();
    if (now < next) return false;
    next = now + std::chrono::milliseconds(50);
    const nb::gil_scoped_acquire held;
    return PyErr_CheckSignals() != 0;
}

template <class Work> void without_gil(Work work) {
    bool whole;
    {
        const nb::gil_scoped_release released;
        whole = work();
    }
    if (!whole) throw nb::python_error();
}

Function function_called(const std::string& name) {
    for (const NamedFunction& named : FUNCTIONS)
        if (name == named.name) return named.function;
    throw nb::value_error(("there is no nonlinearity '" + name + "' here").c_str());
}

using Activations = std::vector<std::tuple<std::string, double, double>>;

template <class T> class PyCell {
public:
    template <class... Numbers>
    PyCell(const std::string& kernel, In<T> weight, In<T> bias, Maybe<In<T>> peephole, Maybe<In<T>> projection,
           const Activations& activations, const std::string& coupling, Numbers... numbers)
        : weight(weight), bias(bias), peephole(peephole), projection(projection) {
        if (weight.ndim() != 3 || activations.size() != 5) throw nb::value_error("a cell has 3 axes of weights, 5 nonlinearities");
        given.hidden = int64_t(weight.shape(1));
        given.recurrent = projection ? int64_t(projection->shape(0)) : given.hidden;
        given.input = int64_t(weight.shape(2)) - given.recurrent;
        if (given.input < 1) throw nb::value_error("a cell has at least one input");
        for (int k = 0; k < 5; ++k) {
            const auto& [name, slope, shift] = activations[size_t(k)];
            given.activation[k] = {function_called(name), T(slope), T(shift)};
        }
        given.coupling = coupling == "forget" ? Coupling::forget : coupling == "input" ? Coupling::input : Coupling::none;
        const NamedNumber<T>* named = NUMBERS<T>;
        for (double number : {double(numbers)...}) given.*(named++)->number = T(number);
        given.weight = checked("weight", weight, {4, given.hidden, given.recurrent + given.input});
        given.bias = checked("bias", bias, {4, given.hidden});
        given.peephole = checked("peephole", peephole, {3, given.hidden});
        given.projection = checked("projection", projection, {given.recurrent, given.hidden});
        packed = std::make_shared<Packed<T>>(kernel_called(kernel), given);
    }

    void forward(In<T> x, In<T> h0, Out<T> h, Out<T> c, bool reverse, Maybe<In<bool>> valid, Maybe<In<T>> recurrent_mask,
                 Maybe<In<T>> zoneout_cell, Maybe<In<T>> zoneout_hidden, int64_t every, const std::vector<int>& places,
                 Maybe<Out<T>> gates, Maybe<Out<T>> cells, Maybe<Out<T>> unprojected,
                 const Maybe<std::vector<int64_t>>& units) const {
        const int64_t I = given.input, H = given.hidden, R = given.recurrent;
        if (x.ndim() != 3 || places.size() != 4 || every < 1) throw nb::value_error("x has 3 axes, there are 4 gates, every is at least 1");
        const int64_t time = int64_t(x.shape(0)), batch = int64_t(x.shape(1)), kept = (time + every - 1) / every;
        Forward<T> call{};
        call.time = time, call.batch = batch, call.reverse = reverse;
        call.x = checked("x", x, {time, batch, I});
        call.h0 = checked("h0", h0, {batch, R});
        call.h = checked("h", h, {time, batch, R});
        T* const states = checked("c", c, {batch, H});
        call.valid = (const uint8_t*)checked("valid", valid, {time, batch});
        call.recurrent_mask = checked("recurrent_mask", recurrent_mask, {time, batch, R});
        call.zoneout_cell = checked("zoneout_cell", zoneout_cell, {time, batch, H});
        call.zoneout_hidden = checked("zoneout_hidden", zoneout_hidden, {time, batch, R});
        call.every = every, call.units = units ? int64_t(units->size()) : H;
        for (int k = 0; k < 4; ++k) call.place[k] = places[size_t(k)], call.gates_kept += places[size_t(k)] >= 0;
        for (int place : places)
            if (place >= call.gates_kept) throw nb::value_error("the gates that are kept lie side by side");
        call.kept_gates = checked("gates", gates, {kept, batch, call.gates_kept, call.units});
        call.kept_cell = checked("cells", cells, {kept, batch, call.units});
        call.kept_unprojected = checked("unprojected", unprojected, {kept, batch, call.units});
        std::vector<int64_t> start, lane, place;
        Pick pick{};
        if (units) {
            const int64_t lanes = packed->kernel().lanes;
            for (int64_t tile = 0; tile * lanes < H; ++tile) {
                start.push_back(int64_t(lane.size()));
                for (size_t n = 0; n < units->size(); ++n) {
                    const int64_t unit = (*units)[n];
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

    void backward(In<T> x, In<T> h, In<T> h0, In<T> c0, In<T> gates, In<T> cells, In<T> unprojected, bool reverse,
                  Maybe<In<bool>> valid, Maybe<In<T>> recurrent_mask, Maybe<In<T>> zoneout_cell,
                  Maybe<In<T>> zoneout_hidden, In<T> dhidden, Out<T> dh, Out<T> dc, Out<T> dx, Out<T> dweight,
                  Out<T> dbias, Maybe<Out<T>> dpeephole, Maybe<Out<T>> dprojection) const {
        const int64_t I = given.input, H = given.hidden, R = given.recurrent;
        if (x.ndim() != 3) throw nb::value_error("x has 3 axes");
        if (bool(dpeephole) != bool(peephole) || bool(dprojection) != bool(projection))
            throw nb::value_error("peepholes and projection have a gradient exactly where the cell has them");
        const int64_t time = int64_t(x.shape(0)), batch = int64_t(x.shape(1));
        Backward<T> call{};
        call.time = time, call.batch = batch, call.reverse = reverse;
        call.gates = checked("gates", gates, {time, batch, 4, H});
        call.cells = checked("cells", cells, {time, batch, H});
        call.unprojected = checked("unprojected", unprojected, {time, batch, H});
        call.c0 = checked("c0", c0, {batch, H});
        call.valid = (const uint8_t*)checked("valid", valid, {time, batch});
        call.recurrent_mask = checked("recurrent_mask", recurrent_mask, {time, batch, R});
        call.zoneout_cell = checked("zoneout_cell", zoneout_cell, {time, batch, H});
        call.zoneout_hidden = checked("zoneout_hidden", zoneout_hidden, {time, batch, R});
        call.dhidden = checked("dhidden", dhidden, {time, batch, R});
        call.dx = checked("dx", dx, {time, batch, I});
        const T* const inputs = checked("x", x, {time, batch, I});
        const T* const hidden = checked("h", h, {time, batch, R});
        const T* const initial = checked("h0", h0, {batch, R});
        T* const dh_state = checked("dh", dh, {batch, R});
        T* const dc_state = checked("dc", dc, {batch, H});
        const Gradients<T> gradients{
            checked("dweight", dweight, {4, H, R + I}), checked("dbias", dbias, {4, H}),
            checked("dpeephole", dpeephole, {3, H}), checked("dprojection", dprojection, {R, H})};
        without_gil([&] {
            packed->pack_backward(given);
            return gatewise::backward(*packed, call, inputs, hidden, initial, dh_state, dc_state, gradients, interrupted);
        });
    }

    std::shared_ptr<const Packed<T>> packed;

private:
    In<T> weight, bias;  // held, so that `given` stays valid
    Maybe<In<T>> peephole, projection;
    Given<T> given{};
};

template <class T> constexpr int NUMPY_TYPE = sizeof(T) == 4 ? NPY_FLOAT32 : NPY_FLOAT64;

template <class T> class PyStream {
public:
    PyStream(const std::vector<const PyCell<T>*>& cells, int64_t batch, bool with_batch, nb::object other)
        : batched(with_batch), stream(taken(cells), batch), other(other) {
        input = stream.cell(0).input, output = stream.cell(stream.layers() - 1).recurrent;
    }

    // The output for x (input,) or (time, input), with a batch axis before the last where there is one. If x is not such
    // an array, `out` does not fit the output, or the two share memory, `other` converts them or says what is wrong.
    static nb::object push(nb::pointer_and_handle<PyStream> self, nb::handle x, nb::handle out) {
        nb::object y = self.p->pushed(x, out);
        return y.is_valid() ? y : push_other(self, x, nb::none(), out);
    }

    // An overload of its own, so that a push without a mask costs nothing extra.
    static nb::object push_other(nb::pointer_and_handle<PyStream> self, nb::handle x, nb::handle mask, nb::handle out) {
        return self.p->other(self.h, x, mask, out);
    }

    // As `push`, or nothing. The GIL is kept where the work takes less time than releasing it.
    nb::object pushed(nb::handle x, nb::handle out) {
        const int fixed = batched ? 2 : 1;
        if (!PyArray_CheckExact(x.ptr())) return {};  // a subclass may mean more, as a mask does
        auto* const in = (PyArrayObject*)x.ptr();
        const int axes = PyArray_NDIM(in);
        if (PyArray_TYPE(in) != NUMPY_TYPE<T> || !PyArray_ISCARRAY_RO(in) || axes < fixed || axes > fixed + 1) return {};
        const npy_intp* const shape = PyArray_DIMS(in);
        if (shape[axes - 1] != input || (batched && shape[axes - 2] != stream.batch())) return {};
        npy_intp sizes[3];
        for (int axis = 0; axis < axes; ++axis) sizes[axis] = shape[axis];
        sizes[axes - 1] = output;
        nb::object y;
        if (out.is_none()) {
            y = nb::steal(PyArray_SimpleNew(axes, sizes, NUMPY_TYPE<T>));
            if (!y.is_valid()) throw nb::python_error();
        } else {
            auto* const to = (PyArrayObject*)out.ptr();
            if (!PyArray_Check(out.ptr()) || PyArray_TYPE(to) != NUMPY_TYPE<T> || !PyArray_ISCARRAY(to) ||
                PyArray_NDIM(to) != axes || !PyArray_CompareLists(PyArray_DIMS(to), sizes, axes))
                return {};
            y = nb::borrow(out);
        }
        const int64_t time = axes > fixed ? shape[0] : 1;
        const T* const from = (const T*)PyArray_DATA(in);
        T* const to = (T*)PyArray_DATA((PyArrayObject*)y.ptr());
        const auto rows = uintptr_t(time * stream.batch()), in_at = uintptr_t(from), out_at = uintptr_t(to);
        if (in_at < out_at + rows * uintptr_t(output) * sizeof(T) && out_at < in_at + rows * uintptr_t(input) * sizeof(T)) return {};
        const Busy alone(busy);
        if (stream.work() * double(time) < 1e6) stream.push(from, time, to, nullptr);
        else push_long(from, time, to);
        return y;
    }

    void get(int64_t layer, Out<T> h, Out<T> c) {
        const Busy alone(busy);
        stream.get(layer, checked("h", h, {stream.batch(), at(layer).recurrent}), checked("c", c, {stream.batch(), at(layer).hidden}));
    }

    void set(int64_t layer, In<T> h, In<T> c) {
        const Busy alone(busy);
        stream.set(layer, checked("h", h, {stream.batch(), at(layer).recurrent}), checked("c", c, {stream.batch(), at(layer).hidden}));
    }

private:
    // Two threads in one stream at once are a caller's error, and must lead to nothing worse than an exception. The flag
    // is read and set with the GIL held.
    struct Busy {
        explicit Busy(bool& flag) : flag(flag) {
            if (flag) throw std::runtime_error("a stream is used by one thread at a time");
            flag = true;
        }
        ~Busy() { flag = false; }
        bool& flag;
    };

    // Without the GIL; if a signal interrupts it, the state is left as it was.
    void push_long(const T* from, int64_t time, T* to) {
        std::vector<std::vector<T>> before;
        for (int64_t layer = 0; layer < stream.layers(); ++layer) {
            before.emplace_back(size_t(stream.batch() * at(layer).recurrent));
            before.emplace_back(size_t(stream.batch() * at(layer).hidden));
            stream.get(layer, before[size_t(2 * layer)].data(), before[size_t(2 * layer + 1)].data());
        }
        try {
            without_gil([&] { return stream.push(from, time, to, interrupted); });
        } catch (...) {
            for (int64_t layer = 0; layer < stream.layers(); ++layer)
                stream.set(layer, before[size_t(2 * layer)].data(), before[size_t(2 * layer + 1)].data());
            throw;
        }
    }

    static std::vector<std::shared_ptr<const Packed<T>>> taken(const std::vector<const PyCell<T>*>& cells) {
        if (cells.empty()) throw nb::value_error("a stream has at least one layer");
        std::vector<std::shared_ptr<const Packed<T>>> found;
        for (const auto* cell : cells) {
            if (!found.empty() && cell->packed->cell().input != found.back()->cell().recurrent)
                throw nb::value_error("each layer of a stream takes what the one below it puts out");
            found.push_back(cell->packed);
        }
        return found;
    }

    const Cell<T>& at(int64_t layer) const {
        if (layer < 0 || layer >= stream.layers()) throw nb::index_error("there is no such layer");
        return stream.cell(layer);
    }

    bool busy = false, batched;
    Stream<T> stream;
    nb::object other;
    int64_t input, output;
};

template <class T> void apply(const std::string& kernel, const std::string& name, double slope, double shift, In<T> a, Out<T> y) {
    const Kernel& chosen = kernel_called(kernel);
    const int64_t count = int64_t(a.size());
    if (a.ndim() != 1) throw nb::value_error("a has one axis");
    const T* const from = checked("a", a, {count});
    T* const to = checked("y", y, {count});
    const Activation<T> by{function_called(name), T(slope), T(shift)};
    if constexpr (sizeof(T) == 4) chosen.float32.apply(by, from, to, count);
    else chosen.float64.apply(by, from, to, count);
}

// y = W x + b, row by row: each row's numbers are added in an order of their own, whatever the other rows are. For layers
// whose weights fit into the first-level cache; compiled for every machine alike.
template <class T> void linear(In<T> x, In<T> weight, In<T> bias, Out<T> y) {
    if (x.ndim() != 2 || weight.ndim() != 2) throw nb::value_error("x and weight have two axes");
    const int64_t rows = int64_t(x.shape(0)), depth = int64_t(x.shape(1)), size = int64_t(weight.shape(0));
    const T *from = x.data(), *const w = checked("weight", weight, {size, depth}), *const b = checked("bias", bias, {size});
    T* to = checked("y", y, {rows, size});
    const nb::gil_scoped_release released;
    constexpr int64_t LANES = 32 / sizeof(T);
    const int64_t whole = depth - depth % LANES;
    for (int64_t row = 0; row < rows; ++row, from += depth)
        for (int64_t unit = 0; unit < size; ++unit) {
            const T* const of = w + unit * depth;
            T sums[LANES] = {};
            for (int64_t k = 0; k < whole; k += LANES)
                for (int64_t lane = 0; lane < LANES; ++lane) sums[lane] += of[k + lane] * from[k + lane];
            for (int64_t k = whole; k < depth; ++k) sums[k - whole] += of[k] * from[k];
            for (int64_t half = LANES / 2; half > 0; half /= 2)
                for (int64_t lane = 0; lane < half; ++lane) sums[lane] += sums[lane + half];
            *to++ = b[unit] + sums[0];
        }
}

// N: the constructor of a cell has an argument for each of the NUMBERS.
template <class T, size_t... N> void bind(nb::module_& m, const char* cell, const char* stream, std::index_sequence<N...>) {
    using namespace nb::literals;
    nb::class_<PyCell<T>>(m, cell)
        .def(nb::init<const std::string&, In<T>, In<T>, Maybe<In<T>>, Maybe<In<T>>, const Activations&, const std::string&, std::enable_if_t<(N >= 0), double>...>(),
             "kernel"_a, "weight"_a.noconvert(), "bias"_a.noconvert(), "peephole"_a.noconvert().none(),
             "projection"_a.noconvert().none(), "activations"_a, "coupling"_a, nb::arg(NUMBERS<T>[N].name)...)
        .def("forward", &PyCell<T>::forward, "x"_a.noconvert(), "h0"_a.noconvert(), "h"_a.noconvert(), "c"_a.noconvert(),
             "reverse"_a, "valid"_a.noconvert().none(), "recurrent_mask"_a.noconvert().none(),
             "zoneout_cell"_a.noconvert().none(), "zoneout_hidden"_a.noconvert().none(), "every"_a, "places"_a,
             "gates"_a.noconvert().none(), "cells"_a.noconvert().none(), "unprojected"_a.noconvert().none(), "units"_a.none())
        .def("backward", &PyCell<T>::backward, "x"_a.noconvert(), "h"_a.noconvert(), "h0"_a.noconvert(), "c0"_a.noconvert(),
             "gates"_a.noconvert(), "cells"_a.noconvert(), "unprojected"_a.noconvert(), "reverse"_a,
             "valid"_a.noconvert().none(), "recurrent_mask"_a.noconvert().none(), "zoneout_cell"_a.noconvert().none(),
             "zoneout_hidden"_a.noconvert().none(), "dhidden"_a.noconvert(), "dh"_a.noconvert(), "dc"_a.noconvert(),
             "dx"_a.noconvert(), "dweight"_a.noconvert(), "dbias"_a.noconvert(), "dpeephole"_a.noconvert().none(),
             "dprojection"_a.noconvert().none());
    nb::class_<PyStream<T>>(m, stream)
        .def(nb::init<const std::vector<const PyCell<T>*>&, int64_t, bool, nb::object>(), "cells"_a, "batch"_a, "batched"_a, "other"_a)
        .def("push", &PyStream<T>::push, "x"_a.none(), nb::kw_only(), "out"_a.none() = nb::none(), "See gatewise.Stream.push.")
        .def("push", &PyStream<T>::push_other, "x"_a.none(), nb::kw_only(), "mask"_a.none(), "out"_a.none() = nb::none(), "See gatewise.Stream.push.")
        .def("get", &PyStream<T>::get, "layer"_a, "h"_a.noconvert(), "c"_a.noconvert())
        .def("set", &PyStream<T>::set, "layer"_a, "h"_a.noconvert(), "c"_a.noconvert());
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
    if (_import_array() < 0) throw nb::python_error();
    m.doc() = "The native kernels; gatewise.engine.native calls them.";
    m.def("kernels", &kernels);
    m.def("threads", &threads);
    m.def("set_threads", &set_threads, nb::arg("count"));
    bind<float>(m, "CellFloat32", "StreamFloat32", std::make_index_sequence<std::size(NUMBERS<float>)>());
    bind<double>(m, "CellFloat64", "StreamFloat64", std::make_index_sequence<std::size(NUMBERS<double>)>());
}
