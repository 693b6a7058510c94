// Times NeuralAudio's layers whose sizes are known at compile time, with the nonlinearities of the standard library.
// bench/audio.py builds it. Its models have one input; where there are more, the layer and the head are put together here
// as they are there.
#include "driver.hpp"

#include <NeuralAudio/LSTM.h>

using namespace NeuralAudio;

template <int I, int H, int L> int run(Weights& weights, double seconds) {
    LSTMDef definition;
    for (size_t layer = 0, inputs = I; layer < L; ++layer, inputs = H)
        definition.Layers.push_back({weights.row(inputs * 4 * H), weights.row(size_t(H) * 4 * H), weights.row(4 * H)});
    definition.HeadWeights = weights.row(H);
    definition.HeadBias = weights.row(1)[0];
    if constexpr (I == 1) {
        static LSTMModelT<L, H> model;
        model.SetWeights(definition);
        return drive<I>(seconds, [&](const float* x) {
            float y;
            model.Process(x, &y, 1);
            return y;
        });
    } else {
        static LSTMLayerT<I, H> layer;
        static Eigen::Vector<float, H> head = Eigen::Map<Eigen::Vector<float, H>>(definition.HeadWeights.data());
        layer.SetWeights(definition.Layers[0]);
        return drive<I>(seconds, [&](const float* x) {
            layer.Process(x);
            return head.dot(layer.GetHiddenState()) + definition.HeadBias;
        });
    }
}

MAIN
