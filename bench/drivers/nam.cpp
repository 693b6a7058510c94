// Times NeuralAmpModelerCore on a .nam file, in blocks.
//
//     nam MODEL.nam BLOCK SECONDS < x.float32 > y.float32
//
// To build it, beside clones of NeuralAmpModelerCore and Eigen:
//
//     g++ -O3 -march=native -std=c++20 -DNAM_SAMPLE_FLOAT -I NeuralAmpModelerCore -I eigen
//         -I NeuralAmpModelerCore/Dependencies/nlohmann nam.cpp NeuralAmpModelerCore/NAM/*.cpp
//         NeuralAmpModelerCore/NAM/wavenet/*.cpp -o nam
#include "driver.hpp"

#include <NAM/dsp.h>
#include <NAM/get_dsp.h>
#include <NAM/version.h>
#include <cstdlib>
#include <filesystem>

#define TEXT(number) #number
#define VERSION(major, minor, patch) TEXT(major) "." TEXT(minor) "." TEXT(patch)

int main(int count, char** given) {
    if (count != 4) return 2;
    nam::DspLoadOptions options;
    options.prewarm = false;
    const auto model = nam::get_dsp(std::filesystem::path(given[1]), options);
    const int block = atoi(given[2]);
    std::vector<float> x = read_all(), y(x.size());
    const char* version = "NAM " VERSION(NEURAL_AMP_MODELER_DSP_VERSION_MAJOR, NEURAL_AMP_MODELER_DSP_VERSION_MINOR, NEURAL_AMP_MODELER_DSP_VERSION_PATCH);
    return drive(version, x.size(), atof(given[3]), y, [&] {
        for (size_t at = 0; at < x.size(); at += size_t(block)) {
            float *in = &x[at], *out = &y[at];
            model->process(&in, &out, int(std::min(size_t(block), x.size() - at)));
        }
    });
}
