// The table of functions of one instruction set.

#include "kernel.hpp"

namespace gatewise::GATEWISE_ISA {

template <class T> int64_t forward(const Forward<T>&);
template <class T> void backward(const Backward<T>&);
template <class T> void gather(const Backward<T>&);
template <class T> void outer(const Outer<T>&);
template <class T> void apply(const Activation<T>&, const T*, T*, int64_t);
template <class T> void affine(const Affine<T>&);
template <class T> int64_t forward_workspace(const Cell<T>&, int64_t, int64_t);
template <class T> int64_t backward_workspace(const Cell<T>&, int64_t, int64_t);
template <class T> int64_t outer_workspace();

#define QUOTED(name) #name
#define NAME(isa) QUOTED(isa)

template <class T>
constexpr Functions<T> functions = {
    GATEWISE_BYTES / sizeof(T), forward<T>,           backward<T>,           gather<T>,          outer<T>,
    apply<T>,                   affine<T>,            forward_workspace<T>,  backward_workspace<T>, outer_workspace<T>,
};

extern const Kernel kernel;
const Kernel kernel = {NAME(GATEWISE_ISA), functions<float>, functions<double>};

}  // namespace gatewise::GATEWISE_ISA
