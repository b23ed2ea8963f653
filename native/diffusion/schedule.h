// The noise schedule of a diffusion model, what the model predicts, and how much each timestep counts.
//   x_t = α_t x_0 + σ_t ε,   α_t² = ∏(1 - β_s),   σ_t² = 1 - α_t²          (Ho et al. 2020, eq. 4)
#pragma once

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace tiller {

enum class Prediction { epsilon, v };

// How a model was trained, as far as whoever samples it must know.
struct Parameterization {
  std::optional<Prediction> prediction;  // none where it doesn't say
  bool zero_terminal_snr = false;

  // With what a recipe says of its own. Epsilon says nothing of a picture that is noise alone, so that a base of
  // epsilon isn't believed.
  Parameterization with(std::optional<Prediction> own, std::optional<bool> zero) const {
    const auto chosen = own ? own : prediction;
    return {chosen, zero.value_or(zero_terminal_snr && chosen == Prediction::v)};
  }
};

struct ScheduleSettings {
  int timesteps = 1000;
  std::string betas = "scaled-linear";
  double beta_start = 0.00085, beta_end = 0.012;
  Prediction prediction = Prediction::v;
  std::optional<double> min_snr_gamma;
  bool zero_terminal_snr = false;  // the last timestep is noise and nothing else
};

// How much of a picture and how much noise there is: x = α x_0 + σ ε. The timestep is what the model is
// told, whole where the level is one of the schedule's own; -1 is the picture itself.
struct NoiseLevel {
  double timestep = -1, alpha = 1, sigma = 0;
  double ratio() const { return sigma / alpha; }             // the σ of Karras et al. 2022
  double lambda() const { return std::log(alpha / sigma); }  // half the logarithm of the SNR
};

class Schedule {
 public:
  explicit Schedule(const ScheduleSettings& settings) : settings_(settings) {
    double product = 1;
    for (int t = 0; t < settings.timesteps; t++) {
      product *= 1 - beta(t);
      alpha_.push_back(std::sqrt(product));
      sigma_.push_back(std::sqrt(1 - product));
    }
    if (settings.zero_terminal_snr) rescale();
    if (settings.prediction == Prediction::epsilon && !(alpha_.back() > 0))
      throw std::invalid_argument(
          "epsilon can't be predicted where the last timestep has no picture left in it (zero terminal SNR): "
          "the picture would be divided by 0; use v");
  }

  int timesteps() const { return settings_.timesteps; }

  // Timestep -1 is the picture itself: α 1, σ 0.
  double alpha(int t) const { return t < 0 ? 1 : alpha_[static_cast<size_t>(t)]; }
  double sigma(int t) const { return t < 0 ? 0 : sigma_[static_cast<size_t>(t)]; }
  NoiseLevel level(int t) const { return {static_cast<double>(t), alpha(t), sigma(t)}; }
  double snr(int t) const { return alpha(t) * alpha(t) / (sigma(t) * sigma(t)); }

  // The weight of a squared error at t (Hang et al. 2023, "Efficient Diffusion Training via Min-SNR
  // Weighting Strategy"): min(SNR, γ) on the error of x_0, which is for the prediction of
  //   ε: min(SNR, γ) / SNR     (no schedule for ε has SNR 0)
  //   v: min(SNR, γ) / (SNR + 1), which is 0 at SNR 0
  double weight(int t) const {
    if (!settings_.min_snr_gamma) return 1;
    const double ratio = snr(t), cut = std::min(ratio, *settings_.min_snr_gamma);
    if (settings_.prediction == Prediction::v) return cut / (ratio + 1);
    return cut / ratio;
  }

  // What the model is to say: ε, or v = α ε - σ x_0 (Salimans and Ho 2022, appendix D).
  void noisy(int t, const float* x0, const float* noise, size_t count, float* x, float* target) const {
    const auto a = static_cast<float>(alpha(t)), s = static_cast<float>(sigma(t));
    const bool v = settings_.prediction == Prediction::v;
    for (size_t i = 0; i < count; i++) {
      x[i] = a * x0[i] + s * noise[i];
      target[i] = v ? a * noise[i] - s * x0[i] : noise[i];
    }
  }

  // x_0 out of x at a level and what the model said.
  void picture(const NoiseLevel& at, const float* x, const float* said, size_t count, float* x0) const {
    const auto a = static_cast<float>(at.alpha), s = static_cast<float>(at.sigma);
    const bool v = settings_.prediction == Prediction::v;
    for (size_t i = 0; i < count; i++) x0[i] = v ? a * x[i] - s * said[i] : (x[i] - s * said[i]) / a;
  }

 private:
  // Lin et al. 2024, "Common Diffusion Noise Schedules and Sample Steps are Flawed", algorithm 1: α is
  // shifted until the last is 0, and stretched until the first is what it was.
  void rescale() {
    const double first = alpha_.front(), last = alpha_.back();
    if (!(first > last)) throw std::invalid_argument("zero terminal SNR needs two timesteps or more");
    for (size_t t = 0; t < alpha_.size(); t++) {
      alpha_[t] = (alpha_[t] - last) * first / (first - last);
      sigma_[t] = std::sqrt(1 - alpha_[t] * alpha_[t]);
    }
  }

  double beta(int t) const {
    const double last = settings_.timesteps - 1, share = last > 0 ? t / last : 0;
    const double start = settings_.beta_start, end = settings_.beta_end;
    if (settings_.betas == "linear") return start + share * (end - start);
    if (settings_.betas == "cosine") {  // Nichol and Dhariwal 2021, eq. 17
      const auto bar = [&](int i) {
        const double angle =
            (static_cast<double>(i) / settings_.timesteps + 0.008) / 1.008 * std::numbers::pi / 2;
        return std::cos(angle) * std::cos(angle);
      };
      return std::min(1 - bar(t + 1) / bar(t), 0.999);
    }
    const double root = std::sqrt(start) + share * (std::sqrt(end) - std::sqrt(start));
    return root * root;  // scaled-linear: linear in √β, as Stable Diffusion 1.x
  }

  ScheduleSettings settings_;
  std::vector<double> alpha_, sigma_;
};

}  // namespace tiller
