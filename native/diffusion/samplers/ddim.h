// DDIM: J. Song, C. Meng, S. Ermon, "Denoising Diffusion Implicit Models", ICLR 2021.
// (1) x' = α' x0 + √(σ'² - s²) ε + s n,   ε = (x - α x0) / σ,   n ~ N(0, 1)               (eq. 12)
// (2) s = σ' f,   f = η √(1 - α²/α'²) / σ: η 0 draws nothing, η 1 is DDPM (Ho et al. 2020)  (eq. 16)
#pragma once

#include <algorithm>
#include <cmath>

#include "compute/rng.h"
#include "diffusion/samplers/step.h"

namespace tiller {

class Ddim : public Sampler {
 public:
  Ddim(double eta, uint64_t seed) : eta_(eta), seed_(seed) {}

  void step(const Step& step) override {
    auto& x = step.x;
    const auto& from = step.from;
    const auto& to = step.to;
    const double gone = from.alpha / to.alpha;
    const double fresh = std::min(1.0, eta_ * std::sqrt(1 - gone * gone) / from.sigma);  // (2)
    const double kept = to.sigma * std::sqrt(1 - fresh * fresh);
    const auto of_x = static_cast<float>(kept / from.sigma),
               of_x0 = static_cast<float>(to.alpha - from.alpha * kept / from.sigma);
    for (size_t j = 0; j < x.size(); j++) x[j] = of_x * x[j] + of_x0 * step.x0[j];  // (1)
    if (eta_ == 0) return;
    RandomStream noise(seed_, Purpose::sampler_step, static_cast<uint32_t>(step.index));
    const auto of_noise = static_cast<float>(to.sigma * fresh);
    for (float& value : x) value += of_noise * noise.normal();
  }

 private:
  double eta_;
  uint64_t seed_;
};

}  // namespace tiller
