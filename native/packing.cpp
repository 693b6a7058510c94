// Memory, and a cell's weights, packed for one kernel.

#include <algorithm>
#include <cmath>
#include <new>

#include "engine.hpp"

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

// Pack groups of columns of the matrix whose entry (k, column) is from[k * down + column * along].
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

template <class T> bool is_plain(const CellWeights<T>& weights) {
    for (int k = 0; k < 5; ++k)
        if (weights.activation[k].function != (k == CANDIDATE || k == CELL ? Function::tanh : Function::sigmoid)) return false;
    for (const NamedNumber<T>& named : NUMBERS<T>)
        if (named.in_step && !std::isinf(weights.*named.number)) return false;
    return weights.coupling == Coupling::none && !weights.peephole;
}

}  // namespace

template <class T>
Packed<T>::Packed(const Kernel& kernel, const CellWeights<T>& weights) : functions(functions_of<T>(kernel)) {
    const int64_t I = weights.input, H = weights.hidden, R = weights.recurrent, L = functions.lanes, tiles = (H + L - 1) / L;
    const int coupled = place_of_coupled(weights.coupling);
    packed.input = I, packed.hidden = H, packed.recurrent = R;
    static_cast<Switches<T>&>(packed) = weights;
    packed.plain = is_plain(weights);
    operations = 2 * (4.0 * double(H) * double(I + R + 8) + (weights.projection ? double(H) * double(R) : 0));
    packed.peephole = packed.projection = packed.back_h = packed.back_x = packed.back_projection = nullptr;

    T* to = gates.at_least(tiles * (I + R) * 4 * L);
    for (int64_t tile = 0; tile < tiles; ++tile)
        for (int64_t column = 0; column < I + R; ++column)
            for (int gate = 0; gate < 4; ++gate)
                for (int64_t unit = tile * L; unit < (tile + 1) * L; ++unit) {
                    const int64_t at = column < I ? R + column : column - I;
                    *to++ = unit < H && gate != coupled ? weights.weight[(gate * H + unit) * (R + I) + at] : T(0);
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
    packed.bias = by_tile(bias, weights.bias, 4, coupled);
    if (weights.peephole) packed.peephole = by_tile(peephole, weights.peephole, 3, coupled);
    if (weights.projection) {
        pack(projection, weights.projection, H, R, 1, H, L);
        packed.projection = projection.get();
    }
}

template <class T> void Packed<T>::pack_backward(const CellWeights<T>& weights) const {
    std::call_once(packed_backward, [&] {
        const int64_t I = weights.input, H = weights.hidden, R = weights.recurrent, L = functions.lanes;
        std::vector<T> weight(weights.weight, weights.weight + 4 * H * (R + I));
        if (const int coupled = place_of_coupled(weights.coupling); coupled >= 0)
            std::fill_n(weight.begin() + coupled * H * (R + I), H * (R + I), T(0));
        pack(back_h, weight.data(), 4 * H, R, R + I, 1, L);
        pack(back_x, weight.data() + R, 4 * H, I, R + I, 1, L);
        packed.back_h = back_h.get(), packed.back_x = back_x.get();
        if (weights.projection) {
            pack(back_projection, weights.projection, R, H, H, 1, L);
            packed.back_projection = back_projection.get();
        }
    });
}

template <class T>
Matrix<T>::Matrix(const Kernel& kernel, const T* from, const T* added, int64_t size, int64_t depth)
    : functions(functions_of<T>(kernel)), size(size), depth(depth) {
    const int64_t lanes = functions.lanes, padded = (size + lanes - 1) / lanes * lanes;
    pack(weight, from, depth, size, 1, depth, lanes);
    std::fill_n(bias.at_least(padded), padded, T(0));
    std::copy_n(added, size, bias.get());
}

template class Buffer<float>;
template class Buffer<double>;
template class Matrix<float>;
template class Matrix<double>;
template class Packed<float>;
template class Packed<double>;

}  // namespace gatewise
