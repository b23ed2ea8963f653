// Euler: T. Karras, M. Aittala, T. Aila, S. Laine, "Elucidating the Design Space of Diffusion-Based
// Generative Models", NeurIPS 2022, algorithm 1; and its ancestral form, k-diffusion's, which steps below
// the next level and adds noise up to it (the variance is eq. 7 of Ho et al. 2020, DDPM).
// With z = x / α and r = σ / α, which is that paper's σ:
// (1) z' = z + (r_down - r) (z - x0) / r + r_up n
// (2) r_up = η r' √(1 - r'²/r²),   r_down = √(r'² - r_up²) = r' √(1 - η² (1 - r'²/r²))
// Multiplied by α', so that nothing is infinite where α is 0:
// (3) x' = α' r_down/r (x/α) + α' (1 - r_down/r) x0 + α' r_up n,   α r = σ
#pragma once

#include <cmath>
#include <utility>
#include <vector>

#include "diffusion/samplers/fresh_noise.h"
#include "diffusion/samplers/step.h"

namespace tiller {

class Euler : public Sampler {
 public:
  Euler(double eta, std::vector<uint64_t> seeds) : eta_(eta), seeds_(std::move(seeds)) {}

  void step(const Step& step) override {
    auto& x = step.x;
    const auto& from = step.from;
    const auto& to = step.to;
    const double q = to.ratio() * from.alpha / from.sigma;  // r'/r
    const double fresh = eta_ * std::sqrt(1 - q * q);
    const double up = to.ratio() * fresh, down = to.ratio() * std::sqrt(1 - fresh * fresh);  // (2)
    const auto of_x = static_cast<float>(to.alpha * down / from.sigma),
               of_x0 = static_cast<float>(to.alpha * (1 - down * from.alpha / from.sigma)),
               of_noise = static_cast<float>(to.alpha * up);
    for (size_t j = 0; j < x.size(); j++) x[j] = of_x * x[j] + of_x0 * step.x0[j];  // (3)
    if (eta_ != 0) add_fresh_noise(x, seeds_, step.index, of_noise);
  }

 private:
  double eta_;
  std::vector<uint64_t> seeds_;
};

}  // namespace tiller
