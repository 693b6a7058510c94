/* Play a sound of 16 bits through a model: docs/export.md. */
#include "amp.h"
#include <stdio.h>

enum { BLOCK = 512 };

int main(int count, char **names)
{
    unsigned char head[44], bytes[2 * BLOCK];
    float x[BLOCK], y[BLOCK];
    amp_state state;
    size_t n, k;
    FILE *in, *out;

    in = count == 3 ? fopen(names[1], "rb") : NULL;
    out = in ? fopen(names[2], "wb") : NULL;
    if (!out || fread(head, 1, 44, in) != 44 || memcmp(head, "RIFF", 4) || head[20] != 1 || head[22] != 1 ||
        head[34] != 16) {
        fprintf(stderr, "usage: amplifier IN.wav OUT.wav (one channel, 16 bits)\n");
        return 1;
    }
    fwrite(head, 1, 44, out);

#if AMP_HAS_REST
    amp_rest(&state);
#else
    amp_reset(&state);
#endif
    while ((n = fread(bytes, 2, BLOCK, in)) > 0) {
        for (k = 0; k < n; k++) x[k] = (float)(int16_t)(bytes[2 * k] | bytes[2 * k + 1] << 8) / 32768.0f;
        amp_block(&state, x, y, n);
        for (k = 0; k < n; k++) {
            const float scaled = y[k] < -1.0f ? -32768.0f : y[k] >= 1.0f ? 32767.0f : y[k] * 32767.0f;
            const int sample = (int)lrintf(scaled);
            bytes[2 * k] = (unsigned char)(sample & 255);
            bytes[2 * k + 1] = (unsigned char)(sample >> 8 & 255);
        }
        fwrite(bytes, 2, n, out);
    }
    return fclose(out);
}
