// DPM-Solver++(2M): C. Lu, Y. Zhou, F. Bao, J. Chen, C. Li, J. Zhu, "DPM-Solver++: Fast Solver for Guided
// Sampling of Diffusion Probabilistic Models", 2022, algorithm 2, in the midpoint form. With λ = log(α/σ)
// and h = λ' - λ:
// (1) x' = σ'/σ x - α' (e^-h - 1) D
// (2) D = x0 + h / (2 h_before) (x0 - x0_before); the first step has D = x0
// The last step, which is infinite in λ, is of first order. So is, with zero terminal SNR, the second:
// the step before it is infinite, which says nothing about the slope.
#pragma once

#include <cmath>

#include "diffusion/samplers/step.h"

namespace tiller {

class Dpmpp2m : public Sampler {
 public:
  void step(const Step& step) override {
    auto& x = step.x;
    const auto& x0 = step.x0;
    const auto& from = step.from;
    const auto& to = step.to;
    const double h = to.lambda() - from.lambda();
    const auto of_x = static_cast<float>(to.sigma / from.sigma),
               of_d = static_cast<float>(-to.alpha * std::expm1(-h));
    const bool first = before_.empty();
    const auto slope = static_cast<float>(first ? 0 : h / (2 * h_before_));
    if (first) before_.resize(x.size());
    for (size_t j = 0; j < x.size(); j++)
      x[j] = of_x * x[j] + of_d * (x0[j] + slope * (x0[j] - before_[j]));  // (1), (2)
    h_before_ = h;
    before_ = x0;
  }

 private:
  std::vector<float> before_;
  double h_before_ = 0;
};

}  // namespace tiller
