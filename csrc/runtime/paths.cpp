// Sample paths: a stream's layers from its present states on, each value drawn and read at the next step.
#include <cstring>

#include "distribution.hpp"
#include "parallel.hpp"
#include "rnn_layout.hpp"
#include "stream.hpp"

namespace pyrnn {
namespace {

// Rows of a task. No bits depend on it.
constexpr Index kPathRows = 12;

constexpr Index rounded_up(Index n) {
    constexpr Index kMultiple = 16;  // numbers; of doubles, two cache lines
    return (n + kMultiple - 1) / kMultiple * kMultiple;
}

// Multiply-adds of a step of one row.
template <class T>
Index row_step_work(const std::vector<StreamStage<T>>& stages) {
    constexpr Index kDrawWork = 2000;  // what takes as long as a draw
    Index work = kDrawWork;
    for (const StreamStage<T>& stage : stages) {
        if (stage.is_recurrent()) {
            const RnnForward<T>& q = stage.recurrent;
            work += info(stage.cell).gates * q.units * (q.features + q.units);
        } else if (stage.kind == StreamStage<T>::Kind::kDense) {
            work += stage.dense.n * stage.dense.length;
        }
    }
    return work;
}

// The layers of a stream for other rows: the weights are shared, states and outputs are in the thread's memory.
template <class T>
class Rows {
public:
    Rows(const std::vector<StreamStage<T>>& stages, Index rows, Index features) : stages_(stages), rows_(rows) {
        Index count = rounded_up(rows * features);
        for (const StreamStage<T>& stage : stages_) {
            count += rounded_up(rows * stage.width);
            if (stage.is_recurrent()) count += rounded_up(rnn_step_memory(stage.recurrent, rows));
        }
        T* memory = thread_scratch<T, ThreadUse::kPaths>(count);
        const auto take = [&memory](Index n) {
            T* const taken = memory;
            memory += rounded_up(n);
            return taken;
        };
        x = take(rows * features);
        for (StreamStage<T>& stage : stages_) {
            stage.output = take(rows * stage.width);
            if (stage.is_recurrent()) {
                stage.recurrent = rnn_step_of(stage.recurrent, rows, take(rnn_step_memory(stage.recurrent, rows)));
                stage.recurrent.out.states = stage.output;
            }
            stage.dense.rows = rows, stage.dense.y = stage.output;
        }
    }

    // Row r continues from row from(r) of the stream.
    template <class From>
    void copy_states(const std::vector<StreamStage<T>>& stages, const From& from) {
        for (std::size_t i = 0; i < stages.size(); ++i) {
            if (!stages[i].is_recurrent()) continue;
            const RnnForward<T>&source = stages[i].recurrent, &target = stages_[i].recurrent;
            for (Index r = 0; r < rows_; ++r) {
                std::memcpy(const_cast<T*>(target.in.initial_state) + r * target.units,
                            source.in.initial_state + from(r) * source.units, bytes(source.units));
                if (source.saved.carry)
                    std::memcpy(target.saved.carry + r * target.saved.carry_at.row,
                                source.saved.carry + from(r) * source.saved.carry_at.row, bytes(source.units));
            }
        }
    }

    const T* step() { return run_stages(stages_, rows_, x); }

    T* x;  // (rows, features): what the next step reads

private:
    static std::size_t bytes(Index n) { return static_cast<std::size_t>(n) * sizeof(T); }
    std::vector<StreamStage<T>> stages_;
    Index rows_;
};

template <class T>
void sample_rows(const std::vector<StreamStage<T>>& stages, const Paths<T>& p, Index width, Index first, Index count,
                 T* values) {
    const Index features = p.features;
    Rows<T> rows(stages, count, features);
    const auto series = [&](Index r) { return (first + r) / p.paths; };
    rows.copy_states(stages, series);
    std::vector<double> read(static_cast<std::size_t>(count));  // the last values, in the units that the model reads
    for (Index s = 0; s < p.steps; ++s) {
        if (interrupted()) return;
        for (Index r = 0; r < count; ++r) {
            T* const x = rows.x + r * features;
            std::memcpy(x, p.inputs + (series(r) * p.steps + s) * features,
                        static_cast<std::size_t>(features) * sizeof(T));
            if (s > 0) x[p.column] = static_cast<T>(read[static_cast<std::size_t>(r)]);
        }
        const T* const outputs = rows.step();
        for (Index r = 0; r < count; ++r) {
            const Index row = first + r, b = series(r), place = b * p.steps + s;
            T raw[kMostOutputs];
            for (Index i = 0; i < width; ++i)
                raw[i] = outputs[r * width + i] + (p.offset ? p.offset[place * width + i] : T{0});
            const Draws draws(p.seed, static_cast<std::uint32_t>(b), static_cast<std::uint32_t>(row % p.paths),
                              static_cast<std::uint32_t>(s));
            const double value = drawn(p.distribution, raw, static_cast<double>(p.base[place]),
                                       static_cast<double>(p.width[place]), draws);
            values[row * p.steps + s] = static_cast<T>(value);
            read[static_cast<std::size_t>(r)] =
                (value - static_cast<double>(p.origin[b])) / static_cast<double>(p.unit[b]);
        }
    }
}

}  // namespace

template <class T>
void Stream<T>::sample(const Paths<T>& p, T* values) const {
    const Index rows = batch_ * p.paths, row_steps = kCallWork / row_step_work(stages_) + 1;
    const auto sample_task = [&](Index task) {
        const Index first = task * kPathRows;
        sample_rows(stages_, p, width_, first, std::min(kPathRows, rows - first), values);
    };
    // Each thread gets at least kCallWork.
    parallel_for((rows + kPathRows - 1) / kPathRows, sample_task, std::max<Index>(1, rows * p.steps / row_steps));
}

template void Stream<float>::sample(const Paths<float>&, float*) const;
template void Stream<double>::sample(const Paths<double>&, double*) const;

}  // namespace pyrnn
