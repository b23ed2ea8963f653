// Heun: Karras et al. 2022, "Elucidating the Design Space of Diffusion-Based Generative Models",
// algorithm 1 with the correction of its lines 6 to 8. Two calls of the model a step, one in the last.
// With z = x / α, r = σ / α and the slope dz/dr = ε = (x - α x0) / σ:
// (1) z₁ = z + (r' - r) ε
// (2) z' = z + (r' - r) (ε + ε₁) / 2,   ε₁ what the model says of z₁ at r'
#pragma once

#include "diffusion/samplers/step.h"

namespace tiller {

class Heun : public Sampler {
 public:
  void step(const Step& step) override {
    auto& x = step.x;
    const auto& from = step.from;
    const auto& to = step.to;
    const size_t count = x.size();
    const auto a = static_cast<float>(from.alpha), s = static_cast<float>(from.sigma);
    const auto a_to = static_cast<float>(to.alpha), s_to = static_cast<float>(to.sigma);
    slope_.resize(count), there_.resize(count), x0_.resize(count);
    for (size_t j = 0; j < count; j++) {
      slope_[j] = (x[j] - a * step.x0[j]) / s;
      there_[j] = a_to * step.x0[j] + s_to * slope_[j];  // (1), times α': x0 is kept, ε goes to σ'
    }
    // Zero terminal SNR: from an infinite r the two slopes of (2) can't be averaged.
    if (from.alpha == 0) {
      x = there_;
      return;
    }
    step.predict(to, there_, x0_);
    const auto half = static_cast<float>(to.alpha * (to.ratio() - from.ratio()) / 2);
    for (size_t j = 0; j < count; j++) {
      const float slope = (there_[j] - a_to * x0_[j]) / s_to;
      x[j] = there_[j] + half * (slope - slope_[j]);  // (2), times α', as a correction of (1)
    }
  }

 private:
  std::vector<float> slope_, there_, x0_;
};

}  // namespace tiller
