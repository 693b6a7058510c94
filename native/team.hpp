// Threads that wait for work and do it together.
#pragma once

#include <stdint.h>

namespace gatewise {

// How many threads a run may use at most. Initially the number of CPUs that this process may use, given its affinity and
// its control group's quota.
int threads();
void set_threads(int count);

// Whether threads that meet at every step recently had to wait for one that was not running, because other programs use
// the CPUs too. Every step then costs a time slice of the scheduler, and one thread alone is faster.
bool crowded();

// The right to use this process's one set of threads: while one run holds it, others use a single thread.
// After a fork the child has a set of its own.
class Lease {
public:
    // `step`: the operations of a step that the threads compute together; `steps`: how many there are.
    explicit Lease(int requested, double step = 0, int64_t steps = 1);
    ~Lease();
    Lease(const Lease&) = delete;

    int parts() const { return count; }  // at most as many as requested, at least 1
    bool usable() const;                 // false in a forked child: its parts are done in turn, and must not meet

    template <class Work> void run(Work work) {  // work(part) for every part, concurrently; returns when all are done
        start([](void* data, int part) { (*(Work*)data)(part); }, &work);
    }

    static bool meet(void* lease);  // a barrier for the parts of one run; returns false if one of them was late

private:
    void start(void (*work)(void*, int), void* data);

    int count = 1;
    int64_t patience = 0, at_first = 0;  // nanoseconds
    void* workers = nullptr;  // the set of threads that it holds, or null
    alignas(64) uint32_t arrived = 0;
    alignas(64) uint32_t passed = 0;
    uint32_t late = 0, on_time = 1;  // set by a thread that has waited too long; by the last to arrive, for all
};

}  // namespace gatewise
