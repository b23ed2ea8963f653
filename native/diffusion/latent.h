// Latent codecs: how an 8-bit RGB picture becomes the array that the U-Net works on, and back. A codec
// says its sizes and maps pixels; the statistics that make latents about N(0, 1) are measured on the
// training split and kept in every checkpoint, so that sampling needs no data.
// The Stable Diffusion VAE becomes a third codec here.
#pragma once

#include <cmath>
#include <cstdint>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace tiller {

class LatentCodec {
 public:
  virtual ~LatentCodec() = default;
  virtual int channels() const = 0;
  virtual int stride() const = 0;  // pixels a latent's side
  // rgb [height, width, 3] → latent [height/stride, width/stride, channels], values in [-1, 1]
  virtual void encode(const uint8_t* rgb, int width, int height, float* latent) const = 0;
  virtual void decode(const float* latent, int width, int height, uint8_t* rgb) const = 0;
};

// A block of Block × Block pixels becomes one place with 3 · Block² channels, (dy, dx, colour) in
// this order: nothing is lost, and the U-Net has Block² fewer places to look at.
template <int Block>
class SpaceToDepth : public LatentCodec {
 public:
  int channels() const override { return 3 * Block * Block; }
  int stride() const override { return Block; }
  void encode(const uint8_t* rgb, int width, int height, float* latent) const override {
    walk(width, height,
         [&](size_t pixel, size_t place) { latent[place] = static_cast<float>(rgb[pixel]) / 127.5f - 1; });
  }
  void decode(const float* latent, int width, int height, uint8_t* rgb) const override {
    walk(width, height, [&](size_t pixel, size_t place) {
      const float value = std::nearbyint((latent[place] + 1) * 127.5f);
      rgb[pixel] = static_cast<uint8_t>(value > 0 ? std::fmin(value, 255.f) : 0.f);  // NaN is black
    });
  }

 private:
  template <class Visit>
  static void walk(int width, int height, const Visit& visit) {
    size_t place = 0;
    for (int y = 0; y < height; y += Block)
      for (int x = 0; x < width; x += Block)
        for (int dy = 0; dy < Block; dy++)
          for (int dx = 0; dx < Block; dx++)
            for (int colour = 0; colour < 3; colour++)
              visit((static_cast<size_t>(y + dy) * static_cast<size_t>(width) + static_cast<size_t>(x + dx)) *
                            3 +
                        static_cast<size_t>(colour),
                    place++);
  }
};

inline std::unique_ptr<LatentCodec> make_codec(const std::string& name) {
  if (name == "space-to-depth-2") return std::make_unique<SpaceToDepth<2>>();
  if (name == "pixels") return std::make_unique<SpaceToDepth<1>>();
  throw std::invalid_argument("there is no latent codec \"" + name + "\"");
}

// latent = (encoded - mean of the channel) / one deviation: a deviation for each channel would make
// noise of the channels that hardly vary.
struct LatentStatistics {
  std::vector<float> mean;
  float deviation = 1;

  void normalize(std::span<float> latent) const {
    for (size_t i = 0; i < latent.size(); i++) latent[i] = (latent[i] - mean[i % mean.size()]) / deviation;
  }
  void restore(std::span<float> latent) const {
    for (size_t i = 0; i < latent.size(); i++) latent[i] = latent[i] * deviation + mean[i % mean.size()];
  }
};

// Sums in double, in the order in which the latents come.
class LatentMeter {
 public:
  explicit LatentMeter(int channels) : sum_(static_cast<size_t>(channels)) {}
  void add(std::span<const float> latent) {
    for (size_t i = 0; i < latent.size(); i++) {
      sum_[i % sum_.size()] += static_cast<double>(latent[i]);
      squares_ += static_cast<double>(latent[i]) * static_cast<double>(latent[i]);
    }
    count_ += latent.size();
  }
  LatentStatistics statistics() const {
    LatentStatistics result;
    const double a_channel = static_cast<double>(count_) / static_cast<double>(sum_.size());
    double means = 0;  // of the squared means
    for (const double sum : sum_) {
      result.mean.push_back(static_cast<float>(sum / a_channel));
      means += sum / a_channel * (sum / a_channel);
    }
    const double variance = squares_ / static_cast<double>(count_) - means / static_cast<double>(sum_.size());
    result.deviation =
        variance > 1e-8 ? static_cast<float>(std::sqrt(variance)) : 1;  // all pictures one colour
    return result;
  }

 private:
  std::vector<double> sum_;
  double squares_ = 0;
  size_t count_ = 0;
};

}  // namespace tiller
