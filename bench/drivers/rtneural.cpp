// Times RTNeural with layers whose sizes are known at compile time. bench/audio.py builds it, with Eigen or xsimd.
#include "driver.hpp"

#include <RTNeural/RTNeural.h>

using namespace RTNeural;

template <int I, int H, int L> struct Types;
template <int I, int H> struct Types<I, H, 1> { using Model = ModelT<float, I, 1, LSTMLayerT<float, I, H>, DenseT<float, H, 1>>; };
template <int I, int H> struct Types<I, H, 2> {
    using Model = ModelT<float, I, 1, LSTMLayerT<float, I, H>, LSTMLayerT<float, H, H>, DenseT<float, H, 1>>;
};

template <class Layer> void set(Layer& layer, Weights& weights, size_t inputs, size_t hidden) {
    layer.setWVals(weights.rows(inputs, 4 * hidden));
    layer.setUVals(weights.rows(hidden, 4 * hidden));
    std::vector<float> biases = weights.row(4 * hidden);
    layer.setBVals(biases);
}

template <int I, int H, int L> int run(Weights& weights, double seconds) {
    static typename Types<I, H, L>::Model model;
    set(model.template get<0>(), weights, I, H);
    if constexpr (L == 2) set(model.template get<1>(), weights, H, H);
    auto& head = model.template get<L>();
    head.setWeights(weights.rows(1, H));
    head.setBias(weights.row(1).data());
    model.reset();
    alignas(64) static float input[(I + 15) / 16 * 16] = {};  // it reads whole vectors
    return drive<I>(seconds, [&](const float* x) {
        for (int k = 0; k < I; ++k) input[k] = x[k];
        return model.forward(input);
    });
}

MAIN
