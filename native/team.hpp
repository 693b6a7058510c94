// Threads that wait for work, and go through it together.
#pragma once

#include <stdint.h>

namespace gatewise {

// How many threads a run may use at most. At first: GATEWISE_NUM_THREADS, or the CPUs that this process may use
// (affinity and the control group's quota respected).
int threads();
void set_threads(int count);

// Whether, a moment ago, threads that take every step together had to wait for one that had no CPU: other programs want
// them too. Then each step costs a turn of the scheduler, and one thread alone is faster.
bool crowded();

// The right to the threads of this process, of which there is one set: while one run has it, others work alone.
// After a fork the child has threads of its own.
class Lease {
public:
    // `step`: operations of a step that the parts take together; `steps`: how many there are.
    explicit Lease(int wanted, double step = 0, int64_t steps = 1);
    ~Lease();
    Lease(const Lease&) = delete;

    int parts() const { return count; }  // at most what was wanted, at least 1
    bool alive() const;                  // false in a child of a fork: its parts are done in turn, and must not meet

    template <class Work> void run(Work work) {  // work(part) for every part, at the same time; returns when all are done
        start([](void* data, int part) { (*(Work*)data)(part); }, &work);
    }

    static bool meet(void* lease);  // for the parts of one run: returns when all have come here; false if it took long

private:
    void start(void (*work)(void*, int), void* data);

    int count = 1;
    int64_t patience = 0, at_first = 0;  // nanoseconds
    void* workers = nullptr;  // whose threads it has, or null
    alignas(64) uint32_t arrived = 0;
    alignas(64) uint32_t passed = 0;
    uint32_t late = 0, on_time = 1;  // what one has seen who waits; what the last to come has told all
};

}  // namespace gatewise
