#include "pointwise.hpp"

#include <cmath>
#include <cstring>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "denormals.hpp"
#include "dispatch.hpp"
#include "parallel.hpp"

namespace pyrnn {
namespace {

// Vectors are split into tasks of this many numbers, some microseconds' work, whatever the number of threads.
constexpr Index kTaskNumbers = Index{1} << 13;

// Calls f(first, count) for each task of n numbers.
template <class F>
void for_tasks(Index n, F f) {
    parallel_for_to_the_end((n + kTaskNumbers - 1) / kTaskNumbers, [&](Index task) {
        const Index first = task * kTaskNumbers;
        f(first, n - first < kTaskNumbers ? n - first : kTaskNumbers);
    });
}

// Calls f(first, count) for ranges of rows of n numbers, in the caller's floating-point mode.
template <class F>
void for_rows(Index rows, Index n, F f) {
    const Index each = kTaskNumbers / (n > 0 ? n : 1) + 1;
    parallel_for_to_the_end((rows + each - 1) / each, in_this_mode([&](Index task) {
                                const Index first = task * each;
                                f(first, rows - first < each ? rows - first : each);
                            }));
}

// Where a task begins in a vector that may be null.
template <class T>
T* from(T* vector, Index first) {
    return vector ? vector + first : nullptr;
}

}  // namespace

template <class T>
void activation_forward(Activation kind, const T* x, T* y, Index rows, Index n) {
    for_rows(rows, n, [&](Index first, Index count) {
        kernels<T>().activate(kind, x + first * n, n, y + first * n, n, count, n);
    });
}

template <class T>
void activation_backward(Activation kind, const T* x, const T* y, const T* dy, T* dx, Index rows, Index n) {
    for_rows(rows, n, [&](Index first, Index count) {
        const Index at = first * n;
        kernels<T>().activate_backward(kind, y + at, from(x, at), n, dy + at, n, dx + at, n, count, n);
    });
}

template <class T>
void glu_forward(const T* x, T* y, Index rows, Index half) {
    for_rows(rows, 2 * half, [&](Index first, Index count) {
        for (Index r = first; r < first + count; ++r) {
            const T* const in = x + r * 2 * half;
            T* const out = y + r * half;
            kernels<T>().activate(Activation::kSigmoid, in + half, half, out, half, 1, half);
            for (Index i = 0; i < half; ++i) out[i] *= in[i];
        }
    });
}

template <class T>
void glu_backward(const T* x, const T* dy, T* dx, Index rows, Index half) {
    for_rows(rows, 2 * half, [&](Index first, Index count) {
        for (Index r = first; r < first + count; ++r) {
            const T *const in = x + r * 2 * half, *const slope = dy + r * half;
            T* const out = dx + r * 2 * half;
            kernels<T>().activate(Activation::kSigmoid, in + half, half, out, half, 1, half);
            for (Index i = 0; i < half; ++i) {
                const T gate = out[i];
                out[half + i] = slope[i] * in[i] * gate * (1 - gate);
                out[i] = slope[i] * gate;
            }
        }
    });
}

template <class T>
double squared_error(const T* y, const T* p, T* gradient, Index n) {
    const double weight = 1 / static_cast<double>(n > 0 ? n : 1);
    std::vector<double> sums(static_cast<std::size_t>((n + kTaskNumbers - 1) / kTaskNumbers));
    for_tasks(n, [&](Index first, Index count) {
        sums[static_cast<std::size_t>(first / kTaskNumbers)] =
            kernels<T>().squared_error(y + first, p + first, gradient + first, count, T(2 * weight));
    });
    return std::accumulate(sums.begin(), sums.end(), 0.0) * weight;
}

template <class T>
void sgd_step(T* w, const T* g, T* momentum, Index n, double rate, double momentum_rate, bool nesterov) {
    for_tasks(n, [&](Index i, Index count) {
        kernels<T>().sgd(w + i, g + i, from(momentum, i), count, T(rate), T(momentum_rate), nesterov);
    });
}

template <class T>
void rmsprop_step(T* w, const T* g, T* velocity, T* momentum, T* average, Index n, double rate, double rho,
                  double momentum_rate, double epsilon) {
    for_tasks(n, [&](Index i, Index count) {
        kernels<T>().rmsprop(w + i, g + i, velocity + i, from(momentum, i), from(average, i), count, T(rate), T(rho),
                             T(1 - rho), T(momentum_rate), T(epsilon));
    });
}

template <class T>
void adam_step(T* w, const T* g, T* momentum, T* velocity, T* largest_velocity, Index n, double rate, double beta_1,
               double beta_2, double epsilon, Index step) {
    const double count = static_cast<double>(step);
    const double alpha = rate * std::sqrt(1 - std::pow(beta_2, count)) / (1 - std::pow(beta_1, count));
    for_tasks(n, [&](Index i, Index numbers) {
        kernels<T>().adam(w + i, g + i, momentum + i, velocity + i, from(largest_velocity, i), numbers, T(alpha),
                          T(1 - beta_1), T(1 - beta_2), T(epsilon));
    });
}

RowNumbers::RowNumbers(const std::int64_t* numbers, Index count, Index rows) : at(numbers), count(count) {
    for (Index i = 0; i < count; ++i)
        if (at[i] < 0 || at[i] >= rows)
            throw std::out_of_range("indices must lie in 0.." + std::to_string(rows - 1) + ", got " +
                                    std::to_string(at[i]));
}

template <class T>
void gather_rows(const T* from, const RowNumbers& numbers, T* to, Index length) {
    constexpr Index kTaskBytes = Index{1} << 17;
    const Index rows = kTaskBytes / (length * static_cast<Index>(sizeof(T)) + 1) + 1;
    parallel_for((numbers.count + rows - 1) / rows, [&](Index task) {
        for (Index i = task * rows; i < (task + 1) * rows && i < numbers.count; ++i)
            std::memcpy(to + i * length, from + numbers.at[i] * length, static_cast<std::size_t>(length) * sizeof(T));
    });
}

template <class T>
void scatter_rows(const T* from, const RowNumbers& numbers, T* to, Index rows, Index length) {
    for_tasks(rows * length, [&](Index first, Index count) {
        std::memset(to + first, 0, static_cast<std::size_t>(count) * sizeof(T));
    });
    // A task adds some columns of all rows, so each sum is one chain.
    constexpr Index kLine = 64 / static_cast<Index>(sizeof(T));
    const Index lines = (length + kLine - 1) / kLine, work = numbers.count * length / kTaskNumbers + 1;
    const Index tasks = lines < work ? lines : work;
    parallel_for_to_the_end(tasks, in_this_mode([&](Index task) {
                                const Index first = task * lines / tasks * kLine,
                                            end = (task + 1) * lines / tasks * kLine;
                                const Index last = end < length ? end : length;
                                for (Index i = 0; i < numbers.count; ++i) {
                                    const T* const source = from + i * length;
                                    T* const row = to + numbers.at[i] * length;
                                    for (Index j = first; j < last; ++j) row[j] += source[j];
                                }
                            }));
}

#define PYRNN_INSTANTIATE(T)                                                                         \
    template void activation_forward(Activation, const T*, T*, Index, Index);                        \
    template void activation_backward(Activation, const T*, const T*, const T*, T*, Index, Index);   \
    template void glu_forward(const T*, T*, Index, Index);                                           \
    template void glu_backward(const T*, const T*, T*, Index, Index);                                \
    template double squared_error(const T*, const T*, T*, Index);                                    \
    template void sgd_step(T*, const T*, T*, Index, double, double, bool);                           \
    template void rmsprop_step(T*, const T*, T*, T*, T*, Index, double, double, double, double);     \
    template void adam_step(T*, const T*, T*, T*, T*, Index, double, double, double, double, Index); \
    template void gather_rows(const T*, const RowNumbers&, T*, Index);                               \
    template void scatter_rows(const T*, const RowNumbers&, T*, Index, Index);
PYRNN_INSTANTIATE(float)
PYRNN_INSTANTIATE(double)
#undef PYRNN_INSTANTIATE

}  // namespace pyrnn
