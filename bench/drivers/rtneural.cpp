// Times RTNeural with layers whose sizes are known at compile time, as Proteus and NeuralPi use it: sample by sample.
//
//     rtneural MODEL.json INPUTS HIDDEN LAYERS SKIP SECONDS < x.float32 > y.float32
//
// To build it, beside a clone of RTNeural (here with Eigen, which is part of it; -DRTNEURAL_USE_XSIMD=1 with xsimd's
// include folder, or -DRTNEURAL_USE_STL=1, otherwise):
//
//     g++ -O3 -march=native -std=c++17 -DRTNEURAL_USE_EIGEN=1 -DRTNEURAL_DEFAULT_ALIGNMENT=32
//         -I RTNeural -I RTNeural/modules/Eigen -I RTNeural/modules/json rtneural.cpp -o rtneural
#include "driver.hpp"

#include <RTNeural/RTNeural.h>
#include <cstdlib>
#include <fstream>

#if RTNEURAL_USE_EIGEN
static const char* version = "RTNeural (Eigen)";
#elif RTNEURAL_USE_XSIMD
static const char* version = "RTNeural (xsimd)";
#else
static const char* version = "RTNeural (STL)";
#endif

template <int I, int H>
using One = RTNeural::ModelT<float, I, 1, RTNeural::LSTMLayerT<float, I, H>, RTNeural::DenseT<float, H, 1>>;
template <int I, int H>
using Two = RTNeural::ModelT<float, I, 1, RTNeural::LSTMLayerT<float, I, H>, RTNeural::LSTMLayerT<float, H, H>, RTNeural::DenseT<float, H, 1>>;

template <int I, class Model>
int run(const char* path, bool skip, double seconds) {
    static Model model;
    std::ifstream file(path);
    model.parseJson(file, false);
    model.reset();
    const std::vector<float> x = read_all();
    const size_t samples = x.size() / I;
    std::vector<float> y(samples);
    alignas(RTNEURAL_DEFAULT_ALIGNMENT) float input[8] = {};
    return drive(version, samples, seconds, y, [&] {
        for (size_t t = 0; t < samples; ++t) {
            for (int i = 0; i < I; ++i) input[i] = x[t * I + i];
            y[t] = model.forward(input) + (skip ? input[0] : 0.0f);
        }
    });
}

int main(int count, char** given) {
    if (count != 7) return 2;
    const int inputs = atoi(given[2]), hidden = atoi(given[3]), layers = atoi(given[4]);
    const bool skip = atoi(given[5]);
    const double seconds = atof(given[6]);
    if (inputs == 1 && hidden == 20 && layers == 1) return run<1, One<1, 20>>(given[1], skip, seconds);
    if (inputs == 2 && hidden == 40 && layers == 1) return run<2, One<2, 40>>(given[1], skip, seconds);
    if (inputs == 1 && hidden == 3 && layers == 1) return run<1, One<1, 3>>(given[1], skip, seconds);
    if (inputs == 1 && hidden == 16 && layers == 2) return run<1, Two<1, 16>>(given[1], skip, seconds);
    fprintf(stderr, "no model of these sizes is built in\n");
    return 3;
}
