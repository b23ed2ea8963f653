// UniPC of order 2: W. Zhao, L. Bai, Y. Rao, J. Zhou, J. Lu, "UniPC: A Unified Predictor-Corrector
// Framework for Fast Sampling of Diffusion Models", NeurIPS 2023, algorithms 5 to 8 for the prediction of
// x0, with B(h) = e^h - 1 (bh2). One call of the model a step: what it says of the predicted x also
// corrects that x. With λ = log(α/σ), h = λ' - λ, φ = e^-h - 1 and r = (λ_before - λ) / h:
// (1) predict  x' = σ'/σ x - α' φ (x0 + D/2),              D = (x0_before - x0) / r
// (2) correct  x' = σ'/σ x - α' φ (x0 + ρ₁ D + ρ₂ (x0' - x0))
// (3) ρ₁ + ρ₂ = b₁,  r ρ₁ + ρ₂ = b₂,  b₁ = (φ/-h - 1) / φ,  b₂ = 2 ((φ/-h - 1)/-h - 1/2) / φ
// Without a step before, D is 0, and ρ₂ = 1/2. The last step, infinite in λ, needs neither. With zero
// terminal SNR the first is infinite too, and counts as none.
#pragma once

#include <cmath>

#include "diffusion/samplers/step.h"

namespace tiller {

class UniPc : public Sampler {
 public:
  void step(const Step& step) override {
    auto& x = step.x;
    if (!start_.empty()) correct(step.from, step.x0, x);
    start_ = x, from_ = step.from;
    older_ = std::move(x0_), x0_ = step.x0;
    h_before_ = h_, h_ = step.to.lambda() - from_.lambda();
    second_ = !older_.empty() && std::isfinite(h_before_);
    move(step.to, second_ ? 0.5 : 0, 0, x0_, x);  // (1)
  }

 private:
  void correct(const NoiseLevel& to, const std::vector<float>& x0_there, std::vector<float>& x) const {
    if (!second_) return move(to, 0, 0.5, x0_there, x);
    const double phi = std::expm1(-h_), r = -h_before_ / h_;
    const double first = phi / -h_ - 1, b1 = first / phi, b2 = 2 * (first / -h_ - 0.5) / phi;
    const double rho1 = (b1 - b2) / (1 - r);  // (3)
    move(to, rho1, b1 - rho1, x0_there, x);   // (2)
  }

  // From where the step began: ρ₁ D and ρ₂ (x0' - x0).
  void move(const NoiseLevel& to, double rho1, double rho2, const std::vector<float>& x0_there,
            std::vector<float>& x) const {
    const auto of_x = static_cast<float>(to.sigma / from_.sigma),
               of_d = static_cast<float>(-to.alpha * std::expm1(-h_)),
               of_older = static_cast<float>(second_ ? rho1 * h_ / -h_before_ : 0),
               of_there = static_cast<float>(rho2);
    for (size_t j = 0; j < x.size(); j++) {
      float d = x0_[j] + of_there * (x0_there[j] - x0_[j]);
      if (second_) d += of_older * (older_[j] - x0_[j]);
      x[j] = of_x * start_[j] + of_d * d;
    }
  }

  std::vector<float> start_, x0_, older_;
  NoiseLevel from_;
  double h_ = 0, h_before_ = 0;
  bool second_ = false;
};

}  // namespace tiller
