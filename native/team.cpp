#include "team.hpp"

#include <stdio.h>
#include <stdlib.h>

#if !defined(_WIN32)
#include <pthread.h>
#include <sched.h>
#endif

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

namespace gatewise {
namespace {

void pause() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

int64_t now() {  // nanoseconds
    using namespace std::chrono;
    return duration_cast<nanoseconds>(steady_clock::now().time_since_epoch()).count();
}

constexpr int64_t PATIENCE = 200'000, WAKING = 2'000'000;

// Return as soon as ready() holds: spin for a while, then call `impatient` once and yield the CPU between checks.
template <class Ready, class Impatient> void spin_until(Ready ready, int64_t patience, Impatient impatient) {
    int64_t until = 0;
    for (bool waited = false; !ready();) {
        if (waited) {
            std::this_thread::yield();
            continue;
        }
        for (int n = 0; n < 64 && !ready(); ++n) pause();
        if (!until) until = now() + patience;
        else if (now() > until) impatient(), waited = true;
    }
}

// After a thread was late, runs use a single thread for a while: briefly at first, and longer each time that another
// thread is late soon afterwards.
constexpr int64_t SHORTEST = 10'000'000, LONGEST = 100'000'000;
std::atomic<int64_t> crowded_until{0}, crowded_for{0};

void remember_crowd() {
    const int64_t time = now(), before = crowded_for.load(std::memory_order_relaxed);
    const bool again = time - crowded_until.load(std::memory_order_relaxed) < 8 * before;
    const int64_t longer = 2 * before < LONGEST ? 2 * before : LONGEST, span = again ? longer : SHORTEST;
    crowded_for.store(span, std::memory_order_relaxed);
    crowded_until.store(time + span, std::memory_order_relaxed);
}

int cpus() {
    int count = int(std::thread::hardware_concurrency());
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) count = CPU_COUNT(&set);
    if (FILE* file = fopen("/sys/fs/cgroup/cpu.max", "r")) {  // "max 100000" or "150000 100000"
        long long quota, period;
        if (fscanf(file, "%lld %lld", &quota, &period) == 2 && period > 0) {
            const int allowed = int((quota + period - 1) / period);
            if (allowed < count) count = allowed;
        }
        fclose(file);
    }
#endif
    return count > 0 ? count : 1;
}

std::atomic<int> limit{0};

// Workers 1, 2, …; the thread that holds the lease is part 0.
struct Workers {
    std::atomic<bool> in_use{false};
    std::mutex asleep;
    std::condition_variable wake;
    std::vector<std::thread> threads;
    alignas(64) std::atomic<uint64_t> round{0};  // counts the runs; the lowest 16 bits: how many parts this one has
    alignas(64) std::atomic<int> running{0};
    std::atomic<int> sleepers{0};
    void (*work)(void*, int) = nullptr;
    void* data = nullptr;

    void grow(int count) {
        while (int(threads.size()) + 1 < count) {
            const int part = int(threads.size()) + 1;
            const uint64_t known_round = round.load();
            threads.emplace_back([this, part, known_round] { serve(part, known_round); });
            threads.back().detach();
        }
    }

    void serve(int part, uint64_t known_round) {
        for (;;) {
            await(known_round);
            known_round = round.load(std::memory_order_acquire);
            if (part >= int(known_round & 0xffff)) continue;
            work(data, part);
            running.fetch_sub(1, std::memory_order_release);
        }
    }

    void await(uint64_t known_round) {  // spin for about 0.1 ms, then sleep
        const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(100);
        do
            for (int n = 0; n < 64; ++n) {
                if (round.load(std::memory_order_acquire) != known_round) return;
                pause();
            }
        while (std::chrono::steady_clock::now() < until);
        std::unique_lock<std::mutex> lock(asleep);
        sleepers.fetch_add(1);
        wake.wait(lock, [&] { return round.load() != known_round; });
        sleepers.fetch_sub(1);
    }

    void run(int count, void (*task)(void*, int), void* with) {
        work = task, data = with;
        running.store(count - 1, std::memory_order_relaxed);
        round.store((((round.load() >> 16) + 1) << 16) | uint64_t(count));
        if (sleepers.load()) {
            { std::lock_guard<std::mutex> lock(asleep); }
            wake.notify_all();
        }
        task(with, 0);
        spin_until([&] { return running.load(std::memory_order_acquire) == 0; }, PATIENCE, [] {});
    }
};

std::atomic<Workers*> workers{nullptr};
std::mutex making;

Workers& all_workers() {
    std::lock_guard<std::mutex> lock(making);
    if (!workers) {
        workers = new Workers;  // never deleted: its threads run as long as the process
#if !defined(_WIN32)
        [[maybe_unused]] static const int once = pthread_atfork(nullptr, nullptr, [] {
            workers = nullptr;  // the child has none of the threads
            new (&making) std::mutex;
        });
#endif
    }
    return *workers.load();
}

}  // namespace

int threads() {
    int count = limit.load();
    if (!count) limit.store(count = cpus());
    return count;
}

void set_threads(int count) { limit.store(count); }

bool crowded() {
    const int64_t until = crowded_until.load(std::memory_order_relaxed);
    return until && now() < until;
}

Lease::Lease(int requested, double step, int64_t steps) {
    if (requested < 2) return;
    Workers& all = all_workers();
    if (all.in_use.exchange(true, std::memory_order_acquire)) return;
    workers = &all;
    try {
        all.grow(requested);
    } catch (...) {  // the system has no more threads: use those that there are
    }
    count = int(all.threads.size()) + 1 < requested ? int(all.threads.size()) + 1 : requested;
    const auto slow = int64_t(step / count / 4);  // at 4 operations a nanosecond; a thread that slow is not late
    patience = slow > PATIENCE ? slow : PATIENCE;
    at_first = steps > 1 ? patience + WAKING : patience;  // for a single step it is not worth waking a thread
}

Lease::~Lease() {
    if (workers && usable()) ((Workers*)workers)->in_use.store(false, std::memory_order_release);
}

bool Lease::usable() const { return !workers || workers == gatewise::workers.load(); }

void Lease::start(void (*work)(void*, int), void* data) {
    if (count > 1 && usable()) return ((Workers*)workers)->run(count, work, data);
    for (int part = 0; part < count; ++part) work(data, part);
}

// The last to arrive tells all of them whether one was late, so that either all go on or all stop.
bool Lease::meet(void* lease) {
    Lease& all = *(Lease*)lease;
    const uint32_t before = __atomic_load_n(&all.passed, __ATOMIC_ACQUIRE);
    if (__atomic_add_fetch(&all.arrived, 1, __ATOMIC_ACQ_REL) == uint32_t(all.count)) {
        const bool late = __atomic_exchange_n(&all.late, 0, __ATOMIC_ACQ_REL);
        if (late) remember_crowd();
        __atomic_store_n(&all.on_time, uint32_t(!late), __ATOMIC_RELAXED);
        __atomic_store_n(&all.arrived, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&all.passed, before + 1, __ATOMIC_RELEASE);
    } else {
        spin_until([&] { return __atomic_load_n(&all.passed, __ATOMIC_ACQUIRE) != before; }, before ? all.patience : all.at_first,
                   [&] { __atomic_store_n(&all.late, 1, __ATOMIC_RELEASE); });
    }
    return __atomic_load_n(&all.on_time, __ATOMIC_RELAXED);
}

}  // namespace gatewise
