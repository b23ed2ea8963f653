// The learning rate of a step: a function of the global step alone, so that a resumed run can't be
// elsewhere on its curve.
#pragma once

#include <cmath>
#include <cstdint>
#include <numbers>
#include <string>

namespace tiller {

struct LearningRate {
  double peak = 1e-3;
  std::string schedule = "constant";  // constant, cosine, linear: after the warm-up
  int64_t warmup = 0;
  int64_t total = 1;  // steps of the whole run

  // Steps count from 1. The last step of a falling schedule is one step short of zero.
  double at(int64_t step) const {
    if (step <= warmup) return peak * static_cast<double>(step) / static_cast<double>(warmup);
    if (schedule == "constant") return peak;
    const double rest = static_cast<double>(total - warmup);
    const double share = rest > 0 ? static_cast<double>(step - 1 - warmup) / rest : 1;
    if (share >= 1) return 0;
    return peak * (schedule == "cosine" ? 0.5 * (1 + std::cos(std::numbers::pi * share)) : 1 - share);
  }
};

}  // namespace tiller
