// Counter-based random numbers: each is a function of a seed and of where it is used, so the order of computation does
// not matter. Philox 4x32-10 of Salmon et al. 2011, Parallel Random Numbers: As Easy as 1, 2, 3.
//
// Everything is in double precision and in the same order as in its twin, pyrnn/reference/draws.py.
#pragma once

#include <cmath>
#include <cstdint>

namespace pyrnn {

struct PhiloxBlock { std::uint32_t word[4]; };

inline PhiloxBlock philox(PhiloxBlock counter, std::uint64_t seed) {
    constexpr std::uint32_t kFactor0 = 0xD2511F53, kFactor1 = 0xCD9E8D57, kWeyl0 = 0x9E3779B9, kWeyl1 = 0xBB67AE85;
    constexpr int kRounds = 10;
    auto key0 = static_cast<std::uint32_t>(seed), key1 = static_cast<std::uint32_t>(seed >> 32);
    for (int round = 0; round < kRounds; ++round) {
        const std::uint64_t a = std::uint64_t{kFactor0} * counter.word[0],
                            b = std::uint64_t{kFactor1} * counter.word[2];
        counter = {{static_cast<std::uint32_t>(b >> 32) ^ counter.word[1] ^ key0, static_cast<std::uint32_t>(b),
                    static_cast<std::uint32_t>(a >> 32) ^ counter.word[3] ^ key1, static_cast<std::uint32_t>(a)}};
        key0 += kWeyl0, key1 += kWeyl1;
    }
    return counter;
}

// The random numbers of one step of one path of one series.
class Draws {
public:
    Draws(std::uint64_t seed, std::uint32_t series, std::uint32_t path, std::uint32_t step)
        : seed_(seed),
          counter_{{step, path, series, 0}} {}

    // Between 0 and 1, both excluded, in steps of 2^-52.
    double uniform() {
        if (used_ == 2) {
            block_ = philox(counter_, seed_);
            ++counter_.word[3];
            used_ = 0;
        }
        const std::uint64_t bits = (std::uint64_t{block_.word[2 * used_ + 1]} << 32 | block_.word[2 * used_]) >> 12;
        ++used_;
        return (static_cast<double>(bits) + 0.5) * 0x1p-52;
    }

    // Box and Muller 1958.
    double normal() {
        constexpr double kTwoPi = 6.283185307179586;
        const double radius = std::sqrt(-2 * std::log(uniform()));
        return radius * std::cos(kTwoPi * uniform());
    }

    // Shape a > 0, scale 1. Marsaglia and Tsang 2000.
    double gamma(double a) {
        if (a < 1) {
            const double drawn = gamma(a + 1);
            return drawn * std::pow(uniform(), 1 / a);
        }
        constexpr double kThird = 1.0 / 3;
        const double d = a - kThird, c = 1 / std::sqrt(9 * d);
        for (;;) {
            const double x = normal(), root = 1 + c * x;
            if (root <= 0) continue;
            const double v = root * root * root;
            if (std::log(uniform()) < 0.5 * x * x + d - d * v + d * std::log(v)) return d * v;
        }
    }

    // Student's t with nu > 0 degrees of freedom.
    double student(double nu) {
        const double z = normal();
        return z / std::sqrt(gamma(nu / 2) / (nu / 2));
    }

    // A count with this mean, at least 0.
    double poisson(double mean) {
        constexpr double kFewCounts = 10, kManyCounts = 1e12;
        if (mean < kFewCounts) return poisson_by_inversion(mean);
        if (mean > kManyCounts) return std::floor(mean + std::sqrt(mean) * normal());
        return poisson_by_rejection(mean);
    }

    // Variance mean + mean^2 / r: a Poisson whose mean has a gamma distribution.
    double negative_binomial(double mean, double r) {
        const double drawn = gamma(r);
        return poisson(drawn * (mean / r));
    }

private:
    double poisson_by_inversion(double mean) {
        constexpr double kMost = 1000;  // where rounding ends the sum below u
        double p = std::exp(-mean), k = 0, u = uniform();
        while (u > p && k < kMost) {
            u -= p, ++k;
            p *= mean / k;
        }
        return k;
    }

    // Hoermann 1993, The transformed rejection method for generating Poisson random variables (PTRS).
    double poisson_by_rejection(double mean) {
        const double log_mean = std::log(mean), b = 0.931 + 2.53 * std::sqrt(mean), a = -0.059 + 0.02483 * b;
        const double inverse = 1.1239 + 1.1328 / (b - 3.4), quick = 0.9277 - 3.6224 / (b - 2);
        for (;;) {
            const double u = uniform() - 0.5, v = uniform(), us = 0.5 - std::fabs(u);
            const double k = std::floor((2 * a / us + b) * u + mean + 0.43);
            if (us >= 0.07 && v <= quick) return k;
            if (k < 0 || (us < 0.013 && v > us)) continue;
            if (std::log(v) + std::log(inverse) - std::log(a / (us * us) + b) <= k * log_mean - mean - log_factorial(k))
                return k;
        }
    }

    // Stirling's series from k = 10 on; the error is below 1e-13.
    static double log_factorial(double k) {
        constexpr double kHalfLogTwoPi = 0.9189385332046727, kSeriesFrom = 10;
        double product = 1;
        if (k < kSeriesFrom) {
            for (int i = 2; i <= static_cast<int>(k); ++i) product *= i;
            return std::log(product);
        }
        const double inverse = 1 / k, square = inverse * inverse;
        const double series =
            inverse * (1.0 / 12 - square * (1.0 / 360 - square * (1.0 / 1260 - square * (1.0 / 1680))));
        return (k + 0.5) * std::log(k) - k + kHalfLogTwoPi + series;
    }

    std::uint64_t seed_;
    PhiloxBlock counter_, block_{};
    std::size_t used_ = 2;
};

}  // namespace pyrnn
