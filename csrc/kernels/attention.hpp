// Attention between its matrix products: scores to weights, P queries at a time, and back.
#pragma once

#include "tile.hpp"

namespace pyrnn {
namespace PYRNN_ISA_NAMESPACE {
namespace {

template <int kVectors>
struct Count {
    static constexpr int kCount = kVectors;
};

// Writes the bias of a query's scores, minus infinity beyond the last value, and what the masks alone allow. Returns
// whether the query may read any value.
template <class T>
bool write_bias(const Weigh<T>& p, Index row) {
    std::memset(p.allowed, 1, static_cast<std::size_t>(p.n));
    for (int i = 0; i < p.mask_count; ++i) {
        const unsigned char* mask = p.masks[i].at + row * p.masks[i].query;
        if (p.masks[i].value == 0) {
            if (!*mask) std::memset(p.allowed, 0, static_cast<std::size_t>(p.n));
            continue;
        }
        for (Index v = 0; v < p.n; ++v) p.allowed[v] &= mask[v] != 0;
    }
    const Index past = p.first_query + row + 1, end = p.causal && past < p.n ? past : p.n;
    for (Index v = 0; v < end; ++v) p.bias[v] = p.allowed[v] ? T(0) : -p.penalty;
    for (Index v = end; v < p.n; ++v) p.bias[v] = -p.penalty;
    for (Index v = p.n; v < p.ld; ++v) p.bias[v] = -std::numeric_limits<T>::infinity();
    return std::memchr(p.allowed, 1, static_cast<std::size_t>(end)) != nullptr;
}

// The same after the query before, if the masks are the same for all: a causal query may read one value more.
template <class T>
bool extend_bias(const Weigh<T>& p, Index row, bool reads) {
    const Index last = p.first_query + row;
    if (!p.causal || last >= p.n || !p.allowed[last]) return reads;
    p.bias[last] = 0;
    return true;
}

// Weights of the queries [first, first + count), count at most P. A NaN in a row spreads over it.
template <class T>
PYRNN_INLINE
void weigh_rows(const Weigh<T>& p, Index first, Index count, bool same_masks, bool& reads) {
    constexpr Index kP = kLanes<T>;
    constexpr T kNothing = -std::numeric_limits<T>::infinity();
    const auto larger_lanes = [](Vec<T> a, Vec<T> b) { return a > b ? a : b; };
    Vec<T> tops[kP], sums[kP];
    bool row_reads[kP];
    for (Index r = 0; r < kP; ++r) tops[r] = splat(kNothing), sums[r] = Vec<T>{};
    for (Index r = 0; r < count; ++r) {
        const Index row = first + r;
        reads = row == 0 || !same_masks ? write_bias(p, row) : extend_bias(p, row, reads);
        row_reads[r] = reads;
        T* scores = p.scores + (first + r) * p.ld;
        Vec<T> top = splat(kNothing);
        for (Index v = 0; v < p.ld; v += kP) {
            const Vec<T> x = load(scores + v) * p.scale + load(p.bias + v);
            store(scores + v, x);
            top = larger_lanes(x, top);
        }
        tops[r] = top;
    }
    T top[kP], factor[kP];
    store(top, joined_lanes<T>(tops, larger_lanes));
    for (Index r = 0; r < count; ++r) {
        const T highest = top[r];
        T* scores = p.scores + (first + r) * p.ld;
        Vec<T> sum = {};
        const auto power = [&](Index v, auto many) __attribute__((always_inline)) {
            constexpr int kMany = decltype(many)::kCount;
            Several<T, kMany> x;
#pragma GCC unroll 4
            for (int i = 0; i < kMany; ++i) x.v[i] = load(scores + v + i * kP) - highest;
            x = vector_exp(x);
#pragma GCC unroll 4
            for (int i = 0; i < kMany; ++i) {
                sum += x.v[i];
                store(scores + v + i * kP, x.v[i]);
            }
        };
        Index v = 0;
        for (; v + 4 * kP <= p.ld; v += 4 * kP) power(v, Count<4>{});
        for (; v < p.ld; v += kP) power(v, Count<1>{});
        sums[r] = sum;
    }
    store(factor, T(1) / joined_lanes<T>(sums, [](Vec<T> a, Vec<T> b) { return a + b; }));
    for (Index r = 0; r < count; ++r) {
        const bool empty = p.zero_unread && !row_reads[r];
        const T times = factor[r];
        T* scores = p.scores + (first + r) * p.ld;
        T* weights = p.weights ? p.weights + (first + r) * p.n : nullptr;
        const T* factors = p.factors ? p.factors + (first + r) * p.n : nullptr;
        for_vectors<T>(p.n, [&](Index v, Index lanes) __attribute__((always_inline)) {
            const Vec<T> w = empty ? Vec<T>{} : load(scores + v) * times;
            if (weights) put(weights + v, w, lanes);
            store(scores + v, factors ? w * some(factors + v, lanes) : w);
        });
    }
}

template <class T>
void weigh(const Weigh<T>& p) {
    bool same_masks = true, reads = false;
    for (int i = 0; i < p.mask_count; ++i) same_masks = same_masks && p.masks[i].query == 0;
    for (Index row = 0; row < p.rows; row += kLanes<T>) {
        const Index rows = row + kLanes<T> < p.rows ? kLanes<T> : p.rows - row;
        weigh_rows(p, row, rows, same_masks, reads);
    }
}

template <class T>
void weigh_backward(const WeighBackward<T>& p) {
    constexpr Index kP = kLanes<T>;
    for (Index first = 0; first < p.rows; first += kP) {
        const Index count = first + kP < p.rows ? kP : p.rows - first;
        Vec<T> sums[kP];
        for (Index r = 0; r < kP; ++r) sums[r] = Vec<T>{};
        for (Index r = 0; r < count; ++r) {
            const Index at = (first + r) * p.n;
            T* d = p.d + (first + r) * p.ld;
            Vec<T> sum = {};
            for_vectors<T>(p.n, [&](Index v, Index lanes) __attribute__((always_inline)) {
                const Vec<T> w = some(p.weights + at + v, lanes);
                Vec<T> g = load(d + v);
                if (p.factors) {
                    const Vec<T> factor = some(p.factors + at + v, lanes);
                    g *= factor;
                    store(p.used + (first + r) * p.ld + v, w * factor);
                }
                if (p.d_weights) g += some(p.d_weights + at + v, lanes);
                store(d + v, g);
                sum += lanes == kP ? g * w : cleared(g * w, lanes_before_end<T>(lanes));
            });
            sums[r] = sum;
        }
        T sum[kP];
        store(sum, joined_lanes<T>(sums, [](Vec<T> a, Vec<T> b) { return a + b; }));
        for (Index r = 0; r < count; ++r) {
            T* d = p.d + (first + r) * p.ld;
            for_vectors<T>(p.n, [&](Index v, Index lanes) __attribute__((always_inline)) {
                const Vec<T> w = some(p.weights + (first + r) * p.n + v, lanes);
                store(d + v, w * (load(d + v) - sum[r]) * p.factor);
            });
        }
    }
}

// tanh of a query's vector plus those of kMany keys.
template <int kMany, class T>
PYRNN_INLINE
Several<T, kMany> tanh_of_sums(Vec<T> query, const T* keys, Index stride, Index lanes) {
    Several<T, kMany> x;
#pragma GCC unroll 4
    for (int i = 0; i < kMany; ++i) x.v[i] = query + some(keys + i * stride, lanes);
    return vector_tanh(x);
}

template <class T>
void additive_scores(const AdditiveScores<T>& p) {
    constexpr Index kP = kLanes<T>;
    for (Index row = 0; row < p.rows; ++row) {
        const T* query = p.query + row * p.query_row;
        for (Index first = 0; first < p.ld; first += kP) {
            const Index count = first + kP < p.n ? kP : p.n - first;
            Vec<T> sums[kP];
            for (Index i = 0; i < kP; ++i) sums[i] = Vec<T>{};
            const auto add = [&](Index i, auto many) __attribute__((always_inline)) {
                constexpr int kMany = decltype(many)::kCount;
                Vec<T> acc[kMany] = {};
                const T* keys = p.key + (first + i) * p.key_row;
                for_vectors<T>(p.depth, [&](Index at, Index lanes) __attribute__((always_inline)) {
                    const auto y = tanh_of_sums<kMany>(some(query + at, lanes), keys + at, p.key_row, lanes);
                    const Vec<T> weights = some(p.weights + at, lanes);
#pragma GCC unroll 4
                    for (int m = 0; m < kMany; ++m) acc[m] += weights * y.v[m];
                });
#pragma GCC unroll 4
                for (int m = 0; m < kMany; ++m) sums[i + m] = acc[m];
            };
            constexpr int kTogether = kP < 4 ? kP : 4;
            Index i = 0;
            for (; i + kTogether <= count; i += kTogether) add(i, Count<kTogether>{});
            for (; i < count; ++i) add(i, Count<1>{});
            store(p.scores + row * p.ld + first, joined_lanes<T>(sums, [](Vec<T> a, Vec<T> b) { return a + b; }));
        }
    }
}

template <class T>
void additive_scores_backward(const AdditiveScoresBackward<T>& gradients) {
    const AdditiveScores<T>& p = gradients.problem;
    for (Index row = 0; row < p.rows; ++row) {
        const T* d = p.scores + row * p.ld;
        for_vectors<T>(p.depth, [&](Index at, Index lanes) __attribute__((always_inline)) {
            const Vec<T> query = some(p.query + row * p.query_row + at, lanes), weights = some(p.weights + at, lanes);
            Vec<T> d_query = {}, d_weights = load(gradients.d_weights + at);
            const auto add = [&](Index v, auto many) __attribute__((always_inline)) {
                constexpr int kMany = decltype(many)::kCount;
                const auto y = tanh_of_sums<kMany>(query, p.key + v * p.key_row + at, p.key_row, lanes);
#pragma GCC unroll 4
                for (int m = 0; m < kMany; ++m) {
                    T* d_key = gradients.d_key + (v + m) * gradients.d_key_row + at;
                    const Vec<T> by_sum = (weights * d[v + m]) * (T(1) - y.v[m] * y.v[m]);
                    d_weights += y.v[m] * d[v + m];
                    d_query += by_sum;
                    store(d_key, load(d_key) + by_sum);
                }
            };
            Index v = 0;
            for (; v + 4 <= p.n; v += 4) add(v, Count<4>{});
            for (; v < p.n; ++v) add(v, Count<1>{});
            put(gradients.d_query + row * p.query_row + at, d_query, lanes);
            store(gradients.d_weights + at, d_weights);
        });
    }
}

}  // namespace
}  // namespace PYRNN_ISA_NAMESPACE
}  // namespace pyrnn
