// Attention. A task is one head of one row of the batch: its keys and values are packed once, and its queries pass in
// blocks whose scores stay in L2. Blocks depend on sizes only.
#include <algorithm>
#include <cstring>
#include <initializer_list>
#include <vector>

#include "operations.hpp"
#include "packs.hpp"
#include "parallel.hpp"

namespace pyrnn {
namespace {

constexpr Index kBlockQueries = 64;

// Consecutive arrays in the thread's scratch memory, each rounded up to whole vectors.
template <class T>
class Carved {
public:
    explicit Carved(T* memory) : next_(memory) {}
    T* take(Index count) {
        T* const taken = next_;
        next_ += padded<T>(count);
        return taken;
    }

private:
    T* next_;
};

// Where one head of one row of the batch is in the arrays, whose rows are rows(depth) apart.
template <class T>
struct Head {
    const Attention<T>& p;
    Index b, n;
    Index rows(Index depth) const { return p.heads * depth; }
    Index at_query(Index query, Index depth) const { return ((b * p.queries + query) * p.heads + n) * depth; }
    Index at_value(Index depth) const { return (b * p.values * p.heads + n) * depth; }
    Index at_weight(Index query) const { return ((b * p.heads + n) * p.queries + query) * p.values; }
    // What this head asks L2 for with its first block: one of N parts of an array's next row (N steps, depth), which
    // its thread is likely to use next. Rows that do not fit into L2 together are left alone.
    Coming<T> coming(Index first, const T* array, Index steps, Index depth) const {
        constexpr Index kMost = Index{1} << 16;  // bytes of an array's row
        const Index part = steps * depth;
        if (first > 0 || b + 1 == p.batch || part * p.heads * static_cast<Index>(sizeof(T)) > kMost) return {};
        return {array + ((b + 1) * p.heads + n) * part, part};
    }
};

// y = a W for rows of a.
template <class T>
void multiply(const T* a, Index lda, Index rows, Index length, const T* panels, Index columns, T* y, Index ldy,
              std::initializer_list<Coming<T>> coming) {
    Gemm<T> p{};
    p.a = a, p.lda = lda, p.rows = rows, p.ranges = 1, p.length = length, p.panels = panels, p.n = columns;
    p.y = y, p.ldy = ldy, p.activation = Activation::kLinear;
    std::copy(coming.begin(), coming.end(), p.coming);
    kernels<T>().gemm(p);
}

template <class T>
void copy_rows(T* to, Index stride, const T* from, Index from_stride, Index rows, Index length, T factor) {
    for (Index r = 0; r < rows; ++r)
        for (Index i = 0; i < length; ++i) to[r * stride + i] = from[r * from_stride + i] * factor;
}

// A sum over blocks of queries, (V, columns) with rows `ld` apart: the result itself, or memory of whole vectors whose
// first columns become the result.
template <class T>
struct Sum {
    T* at;
    Index ld, rows, columns;
    T* result;
    Index result_ld;

    // `memory` (V, padded columns) is used if rows of the result are not whole vectors.
    Sum(T* memory, Index rows, Index columns, T* result, Index result_ld)
        : at(result),
          ld(result_ld),
          rows(rows),
          columns(columns),
          result(result),
          result_ld(result_ld) {
        const Index width = padded<T>(columns);
        if (width != columns) at = memory, ld = width;
        for (Index r = 0; r < rows; ++r) std::memset(at + r * ld, 0, static_cast<std::size_t>(width) * sizeof(T));
    }
    // += a^T b, where b is packed: panels of `count` vectors.
    void add(const T* a, Index lda, const T* panels, Index count) const {
        const Index lanes = kernels<T>().lanes;
        kernels<T>().gemm_tn({a, lda, 0, panels, lanes, 0, 1, count, rows, padded<T>(columns) / lanes, lanes,
                              count * lanes, at, ld, lanes,
                              thread_scratch<T, ThreadUse::kCopies>(gemm_tn_scratch(rows)), interrupted});
    }
    void finish(T factor) const {
        if (at != result || factor != T(1)) copy_rows<T>(result, result_ld, at, ld, rows, columns, factor);
    }
};

// Calls f(first query, queries) for each block.
template <class F>
void for_blocks(Index queries, F f) {
    const Index blocks = (queries + kBlockQueries - 1) / kBlockQueries;
    for (Index block = 0; block < blocks && !interrupted(); ++block) {
        const Index first = block * queries / blocks;
        f(first, (block + 1) * queries / blocks - first);
    }
}

// The sum of the products of two arrays, in chains that the compiler can make vectors of.
template <class T>
T products(const T* a, const T* b, Index stride, Index rows, Index length) {
    constexpr Index kChains = 16;
    T sums[kChains] = {};
    for (Index r = 0; r < rows; ++r, a += stride, b += stride) {
        Index i = 0;
        for (; i + kChains <= length; i += kChains)
            for (Index chain = 0; chain < kChains; ++chain) sums[chain] += a[i + chain] * b[i + chain];
        for (; i < length; ++i) sums[0] += a[i] * b[i];
    }
    T sum = 0;
    for (const T each : sums) sum += each;
    return sum;
}

// Where the kernel finds the scores of `rows` queries from `first` on.
template <class T>
AdditiveScores<T> additive_problem(const Head<T>& head, Index first, Index rows, T* scores, Index ld) {
    const Attention<T>& p = head.p;
    const Index row = head.rows(p.depth);
    return {rows,    p.values,
            p.depth, p.query + head.at_query(first, p.depth),
            row,     p.key + head.at_value(p.depth),
            row,     p.additive,
            scores,  ld};
}

template <class T>
Weigh<T> weigh_problem(const Head<T>& head, Index first, Index rows) {
    const Attention<T>& p = head.p;
    Weigh<T> q{};
    q.rows = rows, q.n = p.values, q.scale = p.scale, q.penalty = p.penalty;
    for (int i = 0; i < p.mask_count; ++i) {
        const AttentionMask& mask = p.masks[i];
        q.masks[i] = {mask.at + head.b * mask.batch + head.n * mask.head + first * mask.query, mask.query, mask.value};
    }
    q.mask_count = p.mask_count, q.causal = p.causal, q.zero_unread = p.zero_unread, q.first_query = first;
    q.factors = p.factors ? p.factors + head.at_weight(first) : nullptr;
    return q;
}

template <class T>
void forward_head(const Head<T>& head, T* y, T* weights) {
    const Attention<T>& p = head.p;
    const auto& k = kernels<T>();
    const Index ld = padded<T>(p.values), most = std::min(kBlockQueries, p.queries), width = padded<T>(p.width);
    Carved<T> memory(thread_scratch<T, ThreadUse::kAttention>(ld * (p.depth + most + 1) + p.values * width));
    T* const keys = memory.take(ld * p.depth);
    T* const values = memory.take(p.values * width);
    T* const scores = memory.take(most * ld);
    T* const bias = memory.take(ld);
    if (!p.additive) k.pack(keys, p.key + head.at_value(p.depth), p.depth, p.values, 1, head.rows(p.depth));
    k.pack(values, p.value + head.at_value(p.width), p.values, p.width, head.rows(p.width), 1);
    for_blocks(p.queries, [&](Index first, Index rows) {
        const T* const query = p.query + head.at_query(first, p.depth);
        if (p.additive) k.additive_scores(additive_problem(head, first, rows, scores, ld));
        else
            multiply<T>(query, head.rows(p.depth), rows, p.depth, keys, ld, scores, ld,
                        {head.coming(first, p.key, p.values, p.depth), head.coming(first, p.query, p.queries, p.depth),
                         head.coming(first, p.value, p.values, p.width), head.coming(first, y, p.queries, p.width)});
        Weigh<T> q = weigh_problem(head, first, rows);
        q.scores = scores, q.ld = ld, q.bias = bias;
        q.weights = weights ? weights + head.at_weight(first) : nullptr;
        q.allowed = thread_scratch<unsigned char, ThreadUse::kAllowed>(p.values);
        k.weigh(q);
        multiply<T>(scores, ld, rows, p.values, values, p.width, y + head.at_query(first, p.width), head.rows(p.width),
                    {});
    });
}

// What a task adds up for all of them: the gradients of `additive` and of the scale.
template <class T>
struct Sums {
    T *additive, *scale;
};

// The memory of a task in backward. Arrays of values and keys are for all values, the others for a block of queries.
template <class T>
struct BackwardMemory {
    Index ld, depth, width;  // padded V, D and E
    T *values, *keys, *d, *used, *queries, *dy, *d_key, *d_value;
    explicit BackwardMemory(const Attention<T>& p)
        : ld(padded<T>(p.values)),
          depth(padded<T>(p.depth)),
          width(padded<T>(p.width)) {
        const Index most = std::min(kBlockQueries, p.queries);
        Carved<T> memory(thread_scratch<T, ThreadUse::kAttention>(
            ld * (p.width + 2 * most) + (2 * p.values + most) * depth + (p.values + most) * width));
        values = memory.take(ld * p.width);
        keys = memory.take(p.values * depth);
        d = memory.take(most * ld);
        used = memory.take(most * ld);
        queries = memory.take(most * depth);
        dy = memory.take(most * width);
        d_key = memory.take(p.values * depth);
        d_value = memory.take(p.values * width);
    }
};

// The gradients of a block's scores, `memory.d`, to those of queries and keys.
template <class T>
void scores_backward(const Head<T>& head, const BackwardMemory<T>& memory, const AttentionGradients<T>& g, Index first,
                     Index rows, T* d_query, const Sum<T>& d_key, const Sums<T>& sums) {
    const Attention<T>& p = head.p;
    const Index row = head.rows(p.depth);
    if (p.additive) {
        kernels<T>().additive_scores_backward(
            {additive_problem(head, first, rows, memory.d, memory.ld), d_query, d_key.at, d_key.ld, sums.additive});
        return;
    }
    const T* const query = p.query + head.at_query(first, p.depth);
    kernels<T>().pack(memory.queries, query, rows, p.depth, row, 1);
    d_key.add(memory.d, memory.ld, memory.queries, rows);
    multiply<T>(memory.d, memory.ld, rows, p.values, memory.keys, p.depth, d_query, row,
                {head.coming(first, p.key, p.values, p.depth), head.coming(first, p.query, p.queries, p.depth),
                 head.coming(first, g.d_key, p.values, p.depth), head.coming(first, g.d_value, p.values, p.width)});
    if (sums.scale) *sums.scale += products<T>(query, d_query, row, rows, p.depth);
}

// The gradients of the scores are multiplied by the scale, or where its own gradient is wanted, which is the product of
// gradients and scores before that, the results are.
template <class T>
void backward_head(const Head<T>& head, const T* weights, const AttentionGradients<T>& g, const Sums<T>& sums) {
    const Attention<T>& p = head.p;
    const auto& k = kernels<T>();
    const BackwardMemory<T> memory(p);
    const Index by_depth = head.rows(p.depth), by_width = head.rows(p.width);
    const T factor = sums.scale ? T(1) : p.scale, rest = sums.scale ? p.scale : T(1);
    const Sum<T> d_key(memory.d_key, p.values, p.depth, g.d_key + head.at_value(p.depth), by_depth);
    const Sum<T> d_value(memory.d_value, p.values, p.width, g.d_value + head.at_value(p.width), by_width);
    k.pack(memory.values, p.value + head.at_value(p.width), p.width, p.values, 1, by_width);
    if (!p.additive) k.pack(memory.keys, p.key + head.at_value(p.depth), p.values, p.depth, by_depth, 1);
    for_blocks(p.queries, [&](Index first, Index rows) {
        const Index at = head.at_weight(first);
        const T* const dy = g.dy + head.at_query(first, p.width);
        T* const d_query = g.d_query + head.at_query(first, p.depth);
        multiply<T>(dy, by_width, rows, p.width, memory.values, memory.ld, memory.d, memory.ld,
                    {head.coming(first, p.value, p.values, p.width), head.coming(first, g.dy, p.queries, p.width),
                     head.coming(first, g.d_query, p.queries, p.depth)});
        k.weigh_backward({rows, p.values, memory.d, memory.ld, weights + at, p.factors ? p.factors + at : nullptr,
                          g.d_weights ? g.d_weights + at : nullptr, p.factors ? memory.used : nullptr, factor});
        k.pack(memory.dy, dy, rows, p.width, by_width, 1);
        if (p.factors) d_value.add(memory.used, memory.ld, memory.dy, rows);
        else d_value.add(weights + at, p.values, memory.dy, rows);
        scores_backward(head, memory, g, first, rows, d_query, d_key, sums);
        if (sums.scale) copy_rows<T>(d_query, by_depth, d_query, by_depth, rows, p.depth, rest);
    });
    d_key.finish(rest);
    d_value.finish(T(1));
    if (!sums.scale || !p.additive) return;
    *sums.scale = products<T>(sums.additive, p.additive, 0, 1, p.depth);
    copy_rows<T>(sums.additive, 0, sums.additive, 0, 1, p.depth, rest);
}

}  // namespace

template <class T>
void attention_forward(const Attention<T>& p, T* y, T* weights) {
    parallel_for(p.batch * p.heads,
                 [&](Index task) { forward_head(Head<T>{p, task / p.heads, task % p.heads}, y, weights); });
}

template <class T>
void attention_backward(const Attention<T>& p, const T* weights, const AttentionGradients<T>& g) {
    const Index tasks = p.batch * p.heads, depth = padded<T>(p.depth), each = (g.d_additive ? depth : 0) + 1;
    std::vector<T> sums(static_cast<std::size_t>(tasks * each));
    parallel_for(tasks, [&](Index task) {
        T* const scale = &sums[static_cast<std::size_t>(task * each)];
        backward_head(Head<T>{p, task / p.heads, task % p.heads}, weights, g,
                      Sums<T>{g.d_additive ? scale + 1 : nullptr, g.d_scale ? scale : nullptr});
    });
    if (g.d_scale) *g.d_scale = 0;
    if (g.d_additive) std::fill(g.d_additive, g.d_additive + p.depth, T(0));
    for (Index task = 0; task < tasks; ++task) {
        const T* const scale = &sums[static_cast<std::size_t>(task * each)];
        if (g.d_scale) *g.d_scale += scale[0];
        for (Index i = 0; g.d_additive && i < p.depth; ++i) g.d_additive[i] += scale[1 + i];
    }
}

#define PYRNN_INSTANTIATE(T)                                      \
    template void attention_forward(const Attention<T>&, T*, T*); \
    template void attention_backward(const Attention<T>&, const T*, const AttentionGradients<T>&);
PYRNN_INSTANTIATE(float)
PYRNN_INSTANTIATE(double)
#undef PYRNN_INSTANTIATE

}  // namespace pyrnn
