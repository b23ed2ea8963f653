// Whether a LoRA does anything: a small picture of a fixed prompt and seed, without it and with it. A file of
// the right keys and shapes may still be nothing, by a B of zeros, an α of 0 or numbers that F16 rounds to 0.
#pragma once

#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "diffusion/lora/lora.h"
#include "diffusion/sampler.h"
#include "diffusion/vae_codec.h"
#include "diffusion/base_files.h"
#include "diffusion/vae_files.h"

namespace tiller {

struct VerifySettings {
  std::vector<int> ids;  // of a prompt's tokens; the last is repeated, as CLIP's end of text pads it
  uint64_t seed = 7;
  int steps = 3;
  int side = 32;  // of the latent: 256 pixels with Stable Diffusion's autoencoder
  // Mean absolute difference in levels of 8 bits. Without an effect the two pictures are the same, bit for bit:
  // 0. A LoRA of rank 16 on all of Stable Diffusion 1.x whose B's are about 1e-3, as after ten steps at a rate
  // of 1e-4, gave 0.07; one value in a thousand that is another by one level nobody sees.
  double threshold = 0.001;
};

class LoraTrial {
 public:
  // `vae` takes the place of the base's, or is null.
  LoraTrial(Pool& pool, const BaseFiles& base, const VaeFiles* vae, const Parameterization& trained, const VerifySettings& settings)
      : pool_(pool), base_(base), vae_(vae), trained_(trained), settings_(settings), unet_(parameters_, base.unet()) {
    if (base.has(BasePart::text)) text_.emplace(parameters_, base.text());
    parameters_.allocate(/*training=*/false, /*average=*/false);
    base.load(parameters_, BasePart::unet);
    if (text_) base.load(parameters_, BasePart::text);
  }

  // In levels of 8 bits.
  double difference(const Lora& lora) {
    const auto before = picture(latent());
    for (const LoraMatrix& matrix : lora.matrices) {
      Parameter* tensor = parameters_.find(matrix.name + ".weight");
      std::vector<float> w(tensor->size());
      tensor->store(w.data());
      add_low_rank(matrix, 1, w);
      tensor->load(w.data());
    }
    const auto after = picture(latent());
    double sum = 0;
    for (size_t i = 0; i < before.size(); i++) sum += std::abs(static_cast<double>(after[i]) - static_cast<double>(before[i]));
    return sum / static_cast<double>(before.size());
  }

 private:
  std::vector<float> latent() const {
    const UNetConfig& config = unet_.config;
    const int multiple = config.size_multiple(), side = std::max(multiple, settings_.side / multiple * multiple);
    Tape tape(pool_, false);
    Value *x = tape.input({1, side, side, config.in_channels}), *t = tape.input({1, 1, 1, 1});
    // Without a text encoder noise is the text.
    const int tokens = text_ ? text_->config.positions : 77;
    Value* words = tape.input({1, 1, tokens, text_ ? 1 : config.context_channels});
    Value* said = unet_.build(tape, x, t, text_ ? text_->build(tape, words) : words);
    tape.expose(said);
    tape.finish();
    if (text_) {
      for (int i = 0; i < tokens; i++) words->data[i] = static_cast<float>(id(i) % text_->config.vocabulary);
    } else {
      RandomStream(settings_.seed, Purpose::sample_noise, 0, 1).fill_normal(words->data, words->shape.size());
    }
    // A base that paints into pictures also reads a mask and a picture: zeros.
    std::fill(x->data, x->data + x->shape.size(), 0.f);
    const auto in = static_cast<size_t>(config.in_channels), out = static_cast<size_t>(config.out_channels);
    const auto places = static_cast<size_t>(side) * static_cast<size_t>(side);
    ScheduleSettings schedule;
    schedule.prediction = trained_.prediction.value_or(Prediction::epsilon);
    schedule.zero_terminal_snr = trained_.zero_terminal_snr;
    auto z = starting_noise({settings_.seed}, places * out);
    sample_latent(Schedule(schedule), {.name = "ddim", .steps = settings_.steps}, z,
                  [&](double timestep, const std::vector<float>& from, std::vector<float>& to) {
                    for (size_t p = 0; p < places; p++) std::copy_n(from.begin() + static_cast<ptrdiff_t>(p * out), std::min(in, out), x->data + p * in);
                    t->data[0] = static_cast<float>(timestep);
                    tape.forward();
                    std::copy(said->data, said->data + to.size(), to.begin());
                  });
    return z;
  }

  int id(int place) const {
    const auto& ids = settings_.ids;
    return ids.empty() ? place : ids[std::min(static_cast<size_t>(place), ids.size() - 1)];
  }

  // Levels of 8 bits; without an autoencoder the latent, as if it were a picture from -1 to 1.
  std::vector<float> picture(std::vector<float> z) const {
    if (vae_ == nullptr && !base_.has(BasePart::vae)) {
      for (float& value : z) value *= 127.5f;
      return z;
    }
    VaeCodec codec(pool_, vae_ != nullptr ? vae_->config() : base_.vae());
    if (vae_ != nullptr) vae_->load(codec.parameters);
    else base_.load(codec.parameters, BasePart::vae);
    const auto side = static_cast<int>(std::lround(std::sqrt(static_cast<double>(z.size()) / codec.config().z_channels)));
    const auto rgb = codec.decode(z, side, side);
    return {rgb.begin(), rgb.end()};
  }

  Pool& pool_;
  const BaseFiles& base_;
  const VaeFiles* const vae_;
  const Parameterization trained_;
  const VerifySettings settings_;
  Parameters parameters_;
  const UNet unet_;
  std::optional<ClipText> text_;
};

}  // namespace tiller
