// Stable Diffusion's autoencoder as a codec of 8-bit pictures, on the processor.
//
//   VaeCodec codec(pool, config);
//   files.load(codec.parameters, BasePart::vae);
//   const auto moments = codec.encode(rgb, width, height);
//   latent_of_moments(moments, noise, codec.config(), latent);
//   const auto picture = codec.decode(latent, height / 8, width / 8);
//
// Latents larger than Tiling::whole are decoded in tiles, so that memory is bounded: a tile of 64 needs
// 0.7 GB. Tiles are not what the whole picture would be: the norms' statistics and the attention of the
// middle see one tile at a time, so flat areas may differ a little in tone, which the overlap blends.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <list>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "diffusion/tiles.h"
#include "models/vae.h"

namespace tiller {

// latent = (mean + e^(½ log variance) · noise) · scale, the log variance in -30 … 20.
// moments [places, 2z], noise [places, z] or empty: then the mean is taken
inline void latent_of_moments(std::span<const float> moments, std::span<const float> noise,
                              const VaeConfig& config, std::span<float> latent) {
  const auto z = static_cast<size_t>(config.z_channels);
  for (size_t i = 0; i < latent.size(); i++) {
    const float* place = moments.data() + i / z * 2 * z;
    const float log_variance = std::clamp(place[z + i % z], -30.f, 20.f);  // NaN stays NaN
    const float drawn = noise.empty() ? 0 : std::exp(log_variance / 2) * noise[i];
    latent[i] = (place[i % z] + drawn) * config.scale;
  }
}

class VaeCodec {
 public:
  struct Tiling {
    int tile = 64, overlap = 16;  // latents
    int whole = 96 * 96;          // a latent of more places is decoded in tiles
  };

  VaeCodec(Pool& pool, const VaeConfig& config) : VaeCodec(pool, config, Tiling{}) {}
  VaeCodec(Pool& pool, const VaeConfig& config, Tiling tiling)
      : pool_(pool), tiling_(tiling), vae_(parameters, config) {
    parameters.allocate(/*training=*/false, /*average=*/false);
  }

  const VaeConfig& config() const { return vae_.config; }

  // rgb [height, width, 3] → [height/8, width/8, 2z]
  std::vector<float> encode(std::span<const uint8_t> rgb, int width, int height) {
    const int stride = config().stride();
    if (width % stride != 0 || height % stride != 0 ||
        rgb.size() != static_cast<size_t>(width) * static_cast<size_t>(height) * 3) {
      throw std::invalid_argument("the autoencoder can't do a picture of " + std::to_string(width) + "x" +
                                  std::to_string(height) + ": sides must be multiples of " +
                                  std::to_string(stride));
    }
    Pass& pass = pass_of(Way::encode, height, width);
    for (size_t i = 0; i < rgb.size(); i++) pass.in->data[i] = static_cast<float>(rgb[i]) / 127.5f - 1;
    pass.tape.forward();
    return {pass.out->data, pass.out->data + pass.out->shape.size()};
  }

  // latent [height, width, z], as a diffusion model sees it → rgb [8 height, 8 width, 3]
  std::vector<uint8_t> decode(std::span<const float> latent, int height, int width) {
    if (static_cast<int64_t>(height) * width > tiling_.whole) return decode_tiled(latent, height, width);
    const Value* out = decode_part(latent, width, {0, 0, height, width});
    std::vector<uint8_t> rgb(out->shape.size());
    for (size_t i = 0; i < rgb.size(); i++) rgb[i] = to_8_bit(out->data[i]);
    return rgb;
  }

  std::vector<uint8_t> decode_tiled(std::span<const float> latent, int height, int width) {
    const int stride = config().stride();
    const TileAxis rows = tile_axis(height, tiling_.tile, tiling_.overlap, stride);
    const TileAxis columns = tile_axis(width, tiling_.tile, tiling_.overlap, stride);
    const size_t row_size = static_cast<size_t>(width) * static_cast<size_t>(stride) * 3;
    std::vector<float> sum(row_size * static_cast<size_t>(height) * static_cast<size_t>(stride));
    for (size_t i = 0; i < rows.starts.size(); i++)
      for (size_t j = 0; j < columns.starts.size(); j++) {
        const Part part{rows.starts[i], columns.starts[j], rows.tile, columns.tile};
        const float* from = decode_part(latent, width, part)->data;
        for (int y = 0; y < part.height * stride; y++) {
          const size_t row = static_cast<size_t>(part.y * stride + y);
          float* to = sum.data() + row * row_size + static_cast<size_t>(part.x) * static_cast<size_t>(stride) * 3;
          for (int x = 0; x < part.width * stride; x++) {
            const float weight = rows.weights[i][static_cast<size_t>(y)] * columns.weights[j][static_cast<size_t>(x)];
            for (int c = 0; c < 3; c++) *to++ += weight * *from++;
          }
        }
      }
    std::vector<uint8_t> rgb(sum.size());
    for (size_t i = 0; i < rgb.size(); i++) rgb[i] = to_8_bit(sum[i]);
    return rgb;
  }

  // Gives the tapes' memory back; the next picture makes its tape anew. The weights go with the codec.
  void forget_tapes() { passes_.clear(); }
  size_t tape_bytes() const {
    size_t sum = 0;
    for (const auto& pass : passes_) sum += pass->tape.bytes();
    return sum;
  }

  // Tapes past this many bytes are given back, the longest unused first; the one in use always stays.
  size_t most_tape_bytes = size_t{2} << 30;
  Parameters parameters;

 private:
  enum class Way { encode, decode };
  struct Part {
    int y, x, height, width;  // latents
  };
  struct Pass {
    Pass(Pool& pool, Way way, int height, int width)
        : way(way), height(height), width(width), tape(pool, /*training=*/false) {}
    Way way;
    int height, width;
    Tape tape;
    Value *in = nullptr, *out = nullptr;
  };

  static uint8_t to_8_bit(float value) {
    const float level = std::nearbyint((value + 1) * 127.5f);
    return static_cast<uint8_t>(level > 0 ? std::fmin(level, 255.f) : 0.f);  // NaN is black
  }

  // The latent [_, row_width, z]'s part as a picture, which is valid until the next call.
  const Value* decode_part(std::span<const float> latent, int row_width, const Part& part) {
    Pass& pass = pass_of(Way::decode, part.height, part.width);
    const auto z = static_cast<size_t>(config().z_channels), count = static_cast<size_t>(part.width) * z;
    float* to = pass.in->data;
    for (int y = 0; y < part.height; y++) {
      const size_t place = static_cast<size_t>(part.y + y) * static_cast<size_t>(row_width) + static_cast<size_t>(part.x);
      for (size_t i = 0; i < count; i++) *to++ = latent[place * z + i] / config().scale;
    }
    pass.tape.forward();
    return pass.out;
  }

  Pass& pass_of(Way way, int height, int width) {
    const auto same = [&](const auto& pass) {
      return pass->way == way && pass->height == height && pass->width == width;
    };
    const auto found = std::find_if(passes_.begin(), passes_.end(), same);
    if (found != passes_.end()) {
      passes_.splice(passes_.begin(), passes_, found);
      return *passes_.front();
    }
    auto pass = std::make_unique<Pass>(pool_, way, height, width);
    const bool encode = way == Way::encode;
    pass->in = pass->tape.input({1, height, width, encode ? config().in_channels : config().z_channels});
    pass->out = encode ? vae_.build_encoder(pass->tape, pass->in) : vae_.build_decoder(pass->tape, pass->in);
    pass->tape.expose(pass->out);
    pass->tape.finish();
    passes_.push_front(std::move(pass));
    while (passes_.size() > 1 && tape_bytes() > most_tape_bytes) passes_.pop_back();
    return *passes_.front();
  }

  Pool& pool_;
  const Tiling tiling_;
  const Vae vae_;
  std::list<std::unique_ptr<Pass>> passes_;  // the last used first
};

}  // namespace tiller
