// DDIM: J. Song, C. Meng, S. Ermon, "Denoising Diffusion Implicit Models", ICLR 2021.
// (1) x' = α' x0 + √(σ'² - s²) ε + s n,   ε = (x - α x0) / σ,   n ~ N(0, 1)               (eq. 12)
// (2) s = σ' f,   f = η √(1 - α²/α'²) / σ: η 0 draws nothing, η 1 is DDPM (Ho et al. 2020)  (eq. 16)
#pragma once

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "diffusion/samplers/fresh_noise.h"
#include "diffusion/samplers/step.h"

namespace tiller {

class Ddim : public Sampler {
 public:
  Ddim(double eta, std::vector<uint64_t> seeds) : eta_(eta), seeds_(std::move(seeds)) {}

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
    if (eta_ != 0) add_fresh_noise(x, seeds_, step.index, static_cast<float>(to.sigma * fresh));
  }

 private:
  double eta_;
  std::vector<uint64_t> seeds_;
};

}  // namespace tiller
