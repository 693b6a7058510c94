// How a thread gives the GIL away for a long run, and takes it back: also while the interpreter ends.
#pragma once

#include <nanobind/nanobind.h>

#include <chrono>
#include <stdexcept>
#include <thread>

namespace gatewise {

namespace nb = nanobind;

// Call Python where it may wait for the GIL. Once the interpreter ends, no other thread gets the GIL: Python 3.14 lets
// such a thread wait for ever, older ones call pthread_exit(), which on Linux unwinds the stack as an exception does. On
// the way are destructors, of which one that throws calls terminate(), and which must not touch objects without the GIL;
// and nanobind's catch (...), which must not swallow it. So the unwinding stops here, having passed C frames alone, and
// the thread waits as in Python 3.14: nobody joins it, and the end of the process takes it. To ask Py_IsFinalizing()
// before would not do: the end may begin while the thread waits. No other exception leaves a function of Python.
template <class Call> auto call_python(Call call) noexcept {
    try {
        return call();
    } catch (...) {
        for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
    }
}

// Holds no GIL while it exists; whatever the kernel throws, the thread has the GIL again.
class WithoutGil {
public:
    WithoutGil() { state = PyEval_SaveThread(); }
    ~WithoutGil() { call_python([] { PyEval_RestoreThread(state); }); }
    WithoutGil(const WithoutGil&) = delete;

    // Of this thread. PyGILState_Ensure() would look it up where the end of the interpreter has freed it.
    static thread_local PyThreadState* state;
};
inline thread_local PyThreadState* WithoutGil::state = nullptr;

// Whether a signal has arrived whose Python handler raised; the GIL is not held.
inline bool interrupted() {
    using Clock = std::chrono::steady_clock;
    static thread_local Clock::time_point next;
    const auto now = Clock::now();
    if (now < next) return false;
    next = now + std::chrono::milliseconds(50);
    return call_python([] {
        PyEval_RestoreThread(WithoutGil::state);
        const bool raised = PyErr_CheckSignals() != 0;
        WithoutGil::state = PyEval_SaveThread();
        return raised;
    });
}

template <class Work> void without_gil(Work work) {
    bool completed;
    {
        const WithoutGil released;
        completed = work();
    }
    if (!completed) throw nb::python_error();
}

// Two threads in one stream at once are a caller's error, and must lead to nothing worse than an exception. The flag
// is read and set with the GIL held.
struct Busy {
    explicit Busy(bool& flag) : flag(flag) {
        if (flag) throw std::runtime_error("a stream is used by one thread at a time");
        flag = true;
    }
    ~Busy() { flag = false; }
    bool& flag;
};

}  // namespace gatewise
