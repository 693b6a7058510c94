// A stream of any network as Python sees it: arrays in and out of a program.
#pragma once

#include <nanobind/nanobind.h>

#define NPY_NO_DEPRECATED_API NPY_2_0_API_VERSION
#include <numpy/arrayobject.h>

#include <algorithm>
#include <optional>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

#include "gil.hpp"
#include "program.hpp"
#include "run_records.hpp"

namespace gatewise {

namespace nb = nanobind;

template <class T> constexpr int NUMPY_TYPE = sizeof(T) == 4 ? NPY_FLOAT32 : NPY_FLOAT64;

// The fields of an instruction, and of a port: its place, the shape of a step, and where in it the axis of time goes, or -1.
using InstructionRow = std::tuple<std::string, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, double, double>;
using PortRow = std::tuple<int64_t, std::vector<int64_t>, int64_t>;

template <class T> class PyProgram {
public:
    PyProgram(const Kernel& kernel, Plan<T> plan, In<T> memory, const std::vector<std::tuple<In<T>, In<T>, bool>>& matrices,
              const std::vector<In<int64_t>>& places, const std::vector<InstructionRow>& instructions,
              const std::vector<PortRow>& inputs, const std::vector<PortRow>& outputs,
              const std::tuple<int64_t, int64_t, int64_t>& carried, int64_t batch, nb::object converter)
        : ins(axes(inputs)), outs(axes(outputs)), converter(converter) {
        const T* const numbers = checked("memory", memory, {int64_t(memory.size())});
        plan.memory.assign(numbers, numbers + memory.size());
        for (const auto& [weight, bias, small] : matrices) {
            if (weight.ndim() != 2) throw nb::value_error("a matrix has two axes");
            const int64_t size = int64_t(weight.shape(0)), depth = int64_t(weight.shape(1));
            const T *const from = weight.data(), *const added = checked("bias", bias, {size});
            if (small) {
                plan.small_weights.emplace_back(from, from + size * depth);
                plan.small_biases.emplace_back(added, added + size);
            } else {
                plan.matrices.push_back(std::make_unique<const Matrix<T>>(kernel, from, added, size, depth));
            }
        }
        for (const auto& table : places) {
            const int64_t* const from = checked("places", table, {int64_t(table.size())});
            plan.places.emplace_back(from, from + table.size());
        }
        for (const auto& [name, item, from, other, to, rows, depth, alpha, beta] : instructions)
            plan.instructions.push_back({code_named(name), item, from, other, to, rows, depth, alpha, beta});
        plan.inputs = ports(inputs, int64_t(memory.size())), plan.outputs = ports(outputs, int64_t(memory.size()));
        std::tie(plan.state, plan.following, plan.carried) = carried;
        plan.batch = batch;
        program = std::make_unique<Program<T>>(kernel, std::move(plan));
    }
    PyProgram(const PyProgram&) = delete;

    // The outputs for a step of every input, or a block of steps. If they are not arrays that are taken as they are,
    // `converter` does what is needed or says what is wrong.
    static nb::object push(nb::pointer_and_handle<PyProgram> self, nb::args inputs) {
        if (nb::object y = self.p->pushed(inputs); y.is_valid()) return y;
        PyObject* const y = call_python([&] {
            return PyObject_CallFunctionObjArgs(self.p->converter.ptr(), self.h.ptr(), inputs.ptr(), nullptr);
        });
        if (!y) throw nb::python_error();
        return nb::steal(y);
    }

    // The same for arrays with any axes in the order of their numbers; `steps` is absent for a single step.
    nb::object run(std::optional<int64_t> steps, const std::vector<In<T>>& inputs) {
        if (inputs.size() != ins.size() || steps.value_or(1) < 0) throw nb::value_error("a program has other inputs");
        std::vector<const T*> from;
        for (size_t n = 0; n < inputs.size(); ++n) {
            if (int64_t(inputs[n].size()) != program->inputs()[n].size(steps.value_or(1)))
                throw nb::value_error("an input of a program has another size");
            from.push_back(inputs[n].data());
        }
        return pushed(from.data(), steps ? *steps : -1);
    }

    void get(int64_t number, Out<T> h, Out<T> c) {
        const Busy alone(busy);
        Stream<T>& stream = at(number);
        stream.get(0, checked("h", h, {stream.batch(), stream.cell(0).recurrent}), checked("c", c, {stream.batch(), stream.cell(0).hidden}));
    }

    void set(int64_t number, In<T> h, In<T> c) {
        const Busy alone(busy);
        Stream<T>& stream = at(number);
        stream.set(0, checked("h", h, {stream.batch(), stream.cell(0).recurrent}), checked("c", c, {stream.batch(), stream.cell(0).hidden}));
    }

    void get_carried(Out<T> numbers) {
        const Busy alone(busy);
        std::copy_n(program->carried(), program->num_carried(), checked("numbers", numbers, {program->num_carried()}));
    }

    void set_carried(In<T> numbers) {
        const Busy alone(busy);
        std::copy_n(checked("numbers", numbers, {program->num_carried()}), program->num_carried(), program->carried());
    }

    bool is_finite() {
        const Busy alone(busy);
        return program->is_finite();
    }

private:
    struct Axes {
        std::vector<npy_intp> shape;  // of a step
        int64_t time;                 // where the axis of time goes, or -1
    };
    static constexpr int64_t MAX_PORTS = 16;

    static std::vector<Axes> axes(const std::vector<PortRow>& rows) {
        std::vector<Axes> result;
        for (const auto& [place, shape, time] : rows) {
            if (shape.size() >= 16 || time < -1 || time > int64_t(shape.size())) throw nb::value_error("an array has no such axes");
            result.push_back({{shape.begin(), shape.end()}, time});
        }
        if (rows.empty() || int64_t(rows.size()) > MAX_PORTS) throw nb::value_error("a program has 1 to 16 inputs and outputs");
        return result;
    }

    static std::vector<Port> ports(const std::vector<PortRow>& rows, int64_t memory) {
        std::vector<Port> result;
        for (const auto& [place, shape, time] : rows) {
            Port port{place, 1, 1, time >= 0};
            for (size_t axis = 0; axis < shape.size(); ++axis) {
                int64_t& part = int64_t(axis) < time ? port.outer : port.inner;
                if (shape[axis] < 0 || (part && shape[axis] > memory / part)) throw std::invalid_argument("an array reaches outside of its memory");
                part *= shape[axis];
            }
            result.push_back(port);
        }
        return result;
    }

    static Code code_named(const std::string& name) {
        for (const NamedCode& named : CODES)
            if (name == named.name) return named.code;
        throw nb::value_error(("a program has no instruction '" + name + "'").c_str());
    }

    nb::object pushed(const nb::args& inputs) {
        if (inputs.size() != ins.size()) return {};
        const T* from[MAX_PORTS];
        int64_t steps = -2;  // not known yet; -1 for a single step
        for (size_t n = 0; n < ins.size(); ++n) {
            PyObject* const x = inputs[n].ptr();
            if (!PyArray_CheckExact(x)) return {};
            auto* const in = (PyArrayObject*)x;
            const auto& [shape, time] = ins[n];
            const int count = int(shape.size()), dims = PyArray_NDIM(in);
            if (PyArray_TYPE(in) != NUMPY_TYPE<T> || !PyArray_ISCARRAY_RO(in)) return {};
            const npy_intp* const sizes = PyArray_DIMS(in);
            if (dims == count && std::equal(shape.begin(), shape.end(), sizes)) {
                if (time >= 0 && steps != -2 && steps != -1) return {};
                if (time >= 0) steps = -1;
            } else if (time >= 0 && dims == count + 1 && std::equal(shape.begin(), shape.begin() + time, sizes) &&
                       std::equal(shape.begin() + time, shape.end(), sizes + time + 1)) {
                if (steps != -2 && steps != sizes[time]) return {};
                steps = sizes[time];
            } else {
                return {};
            }
            from[n] = (const T*)PyArray_DATA(in);
        }
        return steps == -2 || steps == 0 ? nb::object() : pushed(from, steps);
    }

    // steps: -1 for a single one.
    nb::object pushed(const T* const* from, int64_t steps) {
        nb::object results[MAX_PORTS];
        T* to[MAX_PORTS];
        for (size_t n = 0; n < outs.size(); ++n) {
            const auto& [shape, time] = outs[n];
            npy_intp sizes[17];
            int count = 0;
            for (int64_t axis = 0; axis <= int64_t(shape.size()); ++axis) {
                if (axis == time && steps >= 0) sizes[count++] = steps;
                if (axis < int64_t(shape.size())) sizes[count++] = shape[size_t(axis)];
            }
            results[n] = nb::steal(PyArray_SimpleNew(count, sizes, NUMPY_TYPE<T>));
            if (!results[n].is_valid()) throw nb::python_error();
            to[n] = (T*)PyArray_DATA((PyArrayObject*)results[n].ptr());
        }
        const int64_t time = steps < 0 ? 1 : steps;
        const Busy alone(busy);
        if (program->work() * double(time) < 1e6) program->push(from, time, to, nullptr);
        else push_long(from, time, to);
        if (outs.size() == 1) return results[0];
        nb::object all = nb::steal(PyTuple_New(Py_ssize_t(outs.size())));
        if (!all.is_valid()) throw nb::python_error();
        for (size_t n = 0; n < outs.size(); ++n) PyTuple_SetItem(all.ptr(), Py_ssize_t(n), results[n].release().ptr());
        return all;
    }

    // Without the GIL; if a signal interrupts it, the state is left as it was.
    void push_long(const T* const* from, int64_t time, T* const* to) {
        const std::vector<T> carried(program->carried(), program->carried() + program->num_carried());
        std::vector<std::vector<T>> states;
        for (int64_t n = 0; n < program->num_lstms(); ++n) {
            const Stream<T>& stream = program->lstm(n);
            for (int64_t layer = 0; layer < stream.layers(); ++layer) {
                states.emplace_back(size_t(stream.batch() * stream.cell(layer).recurrent));
                states.emplace_back(size_t(stream.batch() * stream.cell(layer).hidden));
                stream.get(layer, states[states.size() - 2].data(), states.back().data());
            }
        }
        try {
            without_gil([&] { return program->push(from, time, to, interrupted); });
        } catch (...) {
            std::copy(carried.begin(), carried.end(), program->carried());
            size_t place = 0;
            for (int64_t n = 0; n < program->num_lstms(); ++n)
                for (int64_t layer = 0; layer < program->lstm(n).layers(); ++layer, place += 2)
                    program->lstm(n).set(layer, states[place].data(), states[place + 1].data());
            throw;
        }
    }

    Stream<T>& at(int64_t number) {
        if (number < 0 || number >= program->num_lstms()) throw nb::index_error("there is no such LSTM");
        return program->lstm(number);
    }

    bool busy = false;
    std::vector<Axes> ins, outs;
    nb::object converter;
    std::unique_ptr<Program<T>> program;
};

}  // namespace gatewise
