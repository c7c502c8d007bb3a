// What the outputs of a model say about the next value of a series, and how one is drawn.
#pragma once

#include <algorithm>

#include "../abi/problem.hpp"
#include "random.hpp"

namespace pyrnn {

enum class Distribution { kPoint, kGaussian, kGaussianSpread, kStudent, kNegativeBinomial, kCount };
struct DistributionInfo {
    const char* name;
    Index outputs;  // of the model for each row
};
constexpr Index kMostOutputs = 3;
constexpr DistributionInfo kDistributions[] = {
    {"point", 1}, {"gaussian", 2}, {"gaussian_spread", 2}, {"student", kMostOutputs}, {"negative_binomial", 2}};

inline double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); }

// A value in units of the series: base + unit * z, where the outputs describe z, or a count whose mean is a multiple of
// unit. NaN or infinite outputs give NaN.
template <class T>
double drawn(Distribution distribution, const T* outputs, double base, double unit, Draws draws) {
    constexpr double kLeastSpread = 1e-3, kLeastFreedom = 2, kLargestLogRatio = 8, kLeastDispersion = 1e-3;
    double raw[kMostOutputs] = {};
    for (Index i = 0; i < kDistributions[static_cast<int>(distribution)].outputs; ++i) {
        raw[i] = static_cast<double>(outputs[i]);
        if (!std::isfinite(raw[i])) return std::nan("");
    }
    switch (distribution) {
        case Distribution::kGaussian: return base + unit * (raw[0] + std::exp(0.5 * raw[1]) * draws.normal());
        case Distribution::kGaussianSpread:
            return base + unit * (raw[0] + (softplus(raw[1]) + kLeastSpread) * draws.normal());
        case Distribution::kStudent: {
            const double spread = softplus(raw[1]) + kLeastSpread, freedom = softplus(raw[2]) + kLeastFreedom;
            return base + unit * (raw[0] + spread * draws.student(freedom));
        }
        case Distribution::kNegativeBinomial: {
            const double mean = unit * std::exp(std::clamp(raw[0], -kLargestLogRatio, kLargestLogRatio));
            return draws.negative_binomial(mean, 1 / (softplus(raw[1]) + kLeastDispersion));
        }
        default: return base + unit * raw[0];
    }
}

}  // namespace pyrnn
