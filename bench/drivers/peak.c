// The multiply-add peak: threads that each keep enough independent multiply-adds in flight, on registers alone.
// peak THREADS FACTOR prints the floating-point operations per second of all threads together.
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#if defined(__AVX512F__)
enum { BYTES = 64 };
#elif defined(__AVX2__)
enum { BYTES = 32 };
#else
enum { BYTES = 16 };
#endif
typedef float Vector __attribute__((vector_size(BYTES)));
enum { LANES = BYTES / 4, CHAINS = 12, BURSTS = 40, STEPS = 100000 };  // 12 cover a latency of 5 or 6 cycles on two units

static pthread_barrier_t start;
static float factor;

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

struct Share { double rate; float sum; };

// The fastest of several bursts, of about a millisecond each: another program may interrupt some of them.
static void *work(void *result) {
    struct Share *share = result;
    const Vector by = (Vector){0} + factor, plus = (Vector){0} + (1 - factor);
    Vector chain[CHAINS];
    for (int n = 0; n < CHAINS; ++n) chain[n] = by + (float)n;  // all differ, or they would be computed once
    pthread_barrier_wait(&start);
    for (int burst = 0; burst < BURSTS; ++burst) {
        const double began = now();
        for (int step = 0; step < STEPS; ++step) {
#pragma GCC unroll 12
            for (int n = 0; n < CHAINS; ++n) chain[n] = chain[n] * by + plus;
        }
        const double rate = 2.0 * CHAINS * LANES * STEPS / (now() - began);
        if (rate > share->rate) share->rate = rate;
    }
    for (int n = 0; n < CHAINS; ++n)
        for (int lane = 0; lane < LANES; ++lane) share->sum += chain[n][lane];
    return NULL;
}

int main(int count, char **words) {
    if (count != 3) return 2;
    const int threads = atoi(words[1]);
    factor = strtof(words[2], NULL);
    if (threads < 1 || pthread_barrier_init(&start, NULL, (unsigned)threads)) return 2;
    pthread_t *others = calloc((size_t)threads, sizeof *others);
    struct Share *shares = calloc((size_t)threads, sizeof *shares), all = {0, 0};
    if (!others || !shares) return 2;
    for (int n = 1; n < threads; ++n)
        if (pthread_create(&others[n], NULL, work, &shares[n])) return 2;
    work(&shares[0]);
    for (int n = 0; n < threads; ++n) {
        if (n) pthread_join(others[n], NULL);
        all.rate += shares[n].rate, all.sum += shares[n].sum;
    }
    printf("%.6g %g\n", all.rate, (double)all.sum);  // without the sum, nothing would be computed
    return 0;
}
