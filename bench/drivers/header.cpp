// Times what header.c makes of a header, step by step. bench/audio.py builds it.
//
//     program INPUTS SECONDS < x.float32 > y.float32
#include "driver.hpp"

extern "C" void header_reset(void);
extern "C" void header_pass(const float* x, size_t steps, float* y);

int main(int count, char** given) {
    if (count != 3) return 2;
    header_reset();
    return drive_passes(size_t(atoi(given[1])), atof(given[2]), header_pass);
}
