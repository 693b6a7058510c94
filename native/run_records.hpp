// The records in which Python hands a run to the kernels: arrays, switches, and what is kept.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/vector.h>

#include <initializer_list>
#include <string>

namespace gatewise {

namespace nb = nanobind;

template <class T> using In = nb::ndarray<const T, nb::c_contig, nb::device::cpu>;
template <class T> using Out = nb::ndarray<T, nb::c_contig, nb::device::cpu>;
using Sizes = std::initializer_list<int64_t>;

template <class Array> auto checked(const char* name, const Array& array, Sizes sizes) {
    bool fits = array.is_valid() && array.ndim() == sizes.size();
    size_t axis = 0;
    for (int64_t size : sizes) fits = fits && int64_t(array.shape(axis++)) == size;
    if (!fits) throw nb::value_error((std::string("the array ") + name + " has the wrong shape").c_str());
    return array.data();
}

template <class Array> auto checked_or_null(const char* name, const Array& array, Sizes sizes) {
    return array.is_valid() ? checked(name, array, sizes) : nullptr;
}

// One cell's run as Python describes it, field by field; kernel.hpp says what each array holds. A field that is not set,
// or None, is absent.
template <class T> struct RunRecord {
    RunRecord() = default;
    RunRecord(const RunRecord&) = delete;  // nor would anybody copy one, in Python either
    In<T> x, h0;
    bool reverse = false;
    In<bool> valid;
    In<T> recurrent_mask, zoneout_cell, zoneout_hidden;
};

template <class T> struct ForwardRecord : RunRecord<T> {
    Out<T> h, c;
    int64_t every = 1;
    std::vector<int> places = {-1, -1, -1, -1};  // of the four gates among those that are kept, or -1
    std::optional<std::vector<int64_t>> units;   // that are kept; absent: all
    Out<T> gates, cells, unprojected;
};

template <class T> struct BackwardRecord : RunRecord<T> {
    In<T> h, c0, gates, cells, unprojected, dhidden;
    Out<T> dh, dc, dx, dweight, dbias, dpeephole, dprojection;
};

template <class T, class Class> void bind_records(Class& cell_class) {
    const auto required = nb::for_setter(nb::arg("value").noconvert());
    const auto optional = nb::for_setter(nb::arg("value").noconvert().none());
    nb::class_<RunRecord<T>>(cell_class, "RunRecord")
        .def_rw("x", &RunRecord<T>::x, required)
        .def_rw("h0", &RunRecord<T>::h0, required)
        .def_rw("reverse", &RunRecord<T>::reverse)
        .def_rw("valid", &RunRecord<T>::valid, optional)
        .def_rw("recurrent_mask", &RunRecord<T>::recurrent_mask, optional)
        .def_rw("zoneout_cell", &RunRecord<T>::zoneout_cell, optional)
        .def_rw("zoneout_hidden", &RunRecord<T>::zoneout_hidden, optional);
    using Forward = ForwardRecord<T>;
    nb::class_<Forward, RunRecord<T>>(cell_class, "ForwardRecord")
        .def(nb::init<>())
        .def_rw("h", &Forward::h, required)
        .def_rw("c", &Forward::c, required)
        .def_rw("every", &Forward::every)
        .def_rw("places", &Forward::places)
        .def_rw("units", &Forward::units, optional)
        .def_rw("gates", &Forward::gates, optional)
        .def_rw("cells", &Forward::cells, optional)
        .def_rw("unprojected", &Forward::unprojected, optional);
    using Backward = BackwardRecord<T>;
    nb::class_<Backward, RunRecord<T>>(cell_class, "BackwardRecord")
        .def(nb::init<>())
        .def_rw("h", &Backward::h, required)
        .def_rw("c0", &Backward::c0, required)
        .def_rw("gates", &Backward::gates, required)
        .def_rw("cells", &Backward::cells, required)
        .def_rw("unprojected", &Backward::unprojected, required)
        .def_rw("dhidden", &Backward::dhidden, required)
        .def_rw("dh", &Backward::dh, required)
        .def_rw("dc", &Backward::dc, required)
        .def_rw("dx", &Backward::dx, required)
        .def_rw("dweight", &Backward::dweight, required)
        .def_rw("dbias", &Backward::dbias, required)
        .def_rw("dpeephole", &Backward::dpeephole, optional)
        .def_rw("dprojection", &Backward::dprojection, optional);
}

}  // namespace gatewise
