// What a diffusion model sees of a picture, and back: the pixels themselves rearranged and normalized
// (latent.h), or what Stable Diffusion's autoencoder makes of them (vae_codec.h).
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "compute/rng.h"
#include "diffusion/latent.h"
#include "diffusion/latent_cache.h"
#include "diffusion/vae_codec.h"

namespace tiller {

class LatentSpace {
 public:
  virtual ~LatentSpace() = default;
  virtual int channels() const = 0;
  virtual int stride() const = 0;  // pixels a latent's side
  // rgb [height, width, 3] → latent [height/stride, width/stride, channels]. An autoencoder gives a
  // distribution: a sample of it where there is something to draw with, else its mean.
  virtual void encode(std::span<const uint8_t> rgb, int width, int height, RandomStream* draw,
                      std::vector<float>& latent) = 0;
  // The latent of a picture of width x height pixels.
  virtual std::vector<uint8_t> decode(const std::vector<float>& latent, int width, int height) = 0;
  // A rough look at what a latent shows, for previews: quick, and of the same size.
  virtual std::vector<uint8_t> glance(const std::vector<float>& latent, int width, int height) {
    return decode(latent, width, height);
  }
  // Whether a picture's latent needs no work any more; and that work, ahead of its use.
  virtual bool is_ready(std::span<const uint8_t>, int, int) const { return true; }
  virtual void prepare(std::span<const uint8_t>, int, int) {}
  // Gives back what only decoding or encoding needed; it comes back by itself.
  virtual void rest() {}
};

class PixelSpace : public LatentSpace {
 public:
  PixelSpace(const LatentCodec& codec, const LatentStatistics& statistics) : codec_(codec), statistics_(statistics) {}

  int channels() const override { return codec_.channels(); }
  int stride() const override { return codec_.stride(); }
  void encode(std::span<const uint8_t> rgb, int width, int height, RandomStream*, std::vector<float>& latent) override {
    const auto stride = static_cast<size_t>(codec_.stride());
    latent.resize(rgb.size() / 3 / (stride * stride) * static_cast<size_t>(codec_.channels()));
    codec_.encode(rgb.data(), width, height, latent.data());
    statistics_.normalize(latent);
  }
  std::vector<uint8_t> decode(const std::vector<float>& latent, int width, int height) override {
    std::vector<float> restored = latent;
    statistics_.restore(restored);
    std::vector<uint8_t> rgb(static_cast<size_t>(width) * static_cast<size_t>(height) * 3);
    codec_.decode(restored.data(), width, height, rgb.data());
    return rgb;
  }

 private:
  const LatentCodec& codec_;
  const LatentStatistics& statistics_;
};

class VaeSpace : public LatentSpace {
 public:
  // Makes the codec with its weights when it is first needed.
  using Load = std::function<std::unique_ptr<VaeCodec>()>;

  // `origin` names the autoencoder's weights; without a folder nothing is kept.
  VaeSpace(VaeConfig config, Load load, const std::optional<fs::path>& folder, const std::string& origin)
      : config_(std::move(config)), load_(std::move(load)) {
    if (folder) cache_.emplace(*folder, origin);
  }

  int channels() const override { return config_.z_channels; }
  int stride() const override { return config_.stride(); }

  void encode(std::span<const uint8_t> rgb, int width, int height, RandomStream* draw, std::vector<float>& latent) override {
    const std::vector<float> moments = moments_of(rgb, width, height);
    latent.resize(moments.size() / 2);
    std::vector<float> noise;
    if (draw != nullptr) {
      noise.resize(latent.size());
      draw->fill_normal(noise.data(), noise.size());
    }
    latent_of_moments(moments, noise, config_, latent);
  }
  std::vector<uint8_t> decode(const std::vector<float>& latent, int width, int height) override {
    return codec().decode(latent, height / stride(), width / stride());
  }
  // The four channels of Stable Diffusion's latents are nearly brightness and colours: a linear map shows
  // what it will be, without the autoencoder. Its numbers are a least-squares fit that its users share.
  std::vector<uint8_t> glance(const std::vector<float>& latent, int width, int height) override {
    static constexpr float kMap[4][3] = {
        {0.298f, 0.207f, 0.208f}, {0.187f, 0.286f, 0.173f}, {-0.158f, 0.189f, 0.264f}, {-0.184f, -0.271f, -0.473f}};
    if (channels() != 4) return decode(latent, width, height);
    const auto columns = static_cast<size_t>(width / stride()), s = static_cast<size_t>(stride());
    std::vector<uint8_t> rgb(static_cast<size_t>(width) * static_cast<size_t>(height) * 3);
    for (size_t i = 0; i < rgb.size(); i++) {
      const size_t pixel = i / 3, x = pixel % static_cast<size_t>(width) / s, y = pixel / static_cast<size_t>(width) / s;
      float value = 0;
      for (size_t k = 0; k < 4; k++) value += latent[(y * columns + x) * 4 + k] * kMap[k][i % 3];
      rgb[i] = static_cast<uint8_t>(std::clamp((value + 1) * 127.5f, 0.f, 255.f));
    }
    return rgb;
  }
  bool is_ready(std::span<const uint8_t> rgb, int width, int height) const override {
    if (!cache_) return true; // nothing would be kept
    const auto shape = shape_of(width, height);
    return cache_->find(cache_->key(rgb, shape), shape).has_value();
  }
  void prepare(std::span<const uint8_t> rgb, int width, int height) override { moments_of(rgb, width, height); }
  void rest() override { codec_.reset(); }

 private:
  LatentCache::Shape shape_of(int width, int height) const {
    return {static_cast<uint32_t>(height / stride()), static_cast<uint32_t>(width / stride()),
            static_cast<uint32_t>(2 * config_.z_channels)};
  }
  VaeCodec& codec() {
    if (!codec_) codec_ = load_();
    return *codec_;
  }
  std::vector<float> moments_of(std::span<const uint8_t> rgb, int width, int height) {
    if (!cache_) return codec().encode(rgb, width, height);
    const auto shape = shape_of(width, height);
    const std::string key = cache_->key(rgb, shape);
    if (auto found = cache_->find(key, shape)) return *found;
    const auto made = codec().encode(rgb, width, height);
    // A picture whose latent is NaN would spoil the cache and the run.
    for (const float value : made)
      if (!std::isfinite(value)) throw Failure(kBadData, "LATENT_NOT_FINITE", "the autoencoder gives NaN for a picture",
                                               "Give another `vae`, or one in F32: some F16 files overflow.");
    cache_->keep(key, shape, made);
    return made;
  }

  VaeConfig config_;
  Load load_;
  std::optional<LatentCache> cache_;
  std::unique_ptr<VaeCodec> codec_;
};

}  // namespace tiller
