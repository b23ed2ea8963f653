// The autoencoder of Stable Diffusion 1.x (AutoencoderKL) with free sizes. Constructing one describes its
// tensors; the two halves are put on tapes of any picture size, all of which share the same parameters.
//
//   encoder: rgb [n, H, W, 3] in -1 … 1 → moments [n, H/8, W/8, 2z]: mean and log variance of each latent
//   decoder: z [n, h, w, z]             → rgb [n, 8h, 8w, 3], about -1 … 1
//
// A diffusion model sees the latent (mean + e^(½ log variance) · noise) · scale. With L levels the factor
// is 2^(L-1) instead of 8; a side that is no multiple of it loses its last pixels, as ⌊H/2⌋ a level.
#pragma once
#include "models/vae_blocks.h"

namespace tiller {

// The defaults are Stable Diffusion 1.x's own.
struct VaeConfig {
  int in_channels = 3;
  int base_channels = 128;
  std::vector<int> channel_multipliers{1, 2, 4, 4};
  int res_blocks = 2; // of an encoder's level; a decoder's has one more
  int z_channels = 4;
  int norm_groups = 32;
  float epsilon = 1e-6f;
  float scale = 0.18215f;

  int levels() const { return (int)channel_multipliers.size(); }
  int channels(int level) const { return base_channels * channel_multipliers[level]; }
  int stride() const { return 1 << (levels() - 1); } // pixels a latent's side

  // Throws std::invalid_argument, saying what does not fit.
  void validate() const {
    const auto require = [](bool fine, const std::string& message) {
      if (!fine) throw std::invalid_argument(message);
    };
    require(levels() >= 1 && levels() <= 8, "the autoencoder needs 1 to 8 channel multipliers");
    require(in_channels >= 1 && base_channels >= 1 && res_blocks >= 1 && z_channels >= 1 && norm_groups >= 1,
            "the autoencoder's channels, res_blocks and norm_groups must be at least 1");
    for (int level = 0; level < levels(); level++) {
      require(channel_multipliers[level] >= 1 && channels(level) % norm_groups == 0,
              std::to_string(channels(level)) + " channels can't be normalized in " + std::to_string(norm_groups) +
                  " groups of the same size");
    }
  }
};

class Vae {
 public:
  const VaeConfig config;

  Vae(Parameters& parameters, const VaeConfig& wanted, const std::string& prefix = "first_stage_model.")
      : config(wanted) {
    config.validate();
    describe_encoder(parameters, prefix + "encoder");
    describe_decoder(parameters, prefix + "decoder");
    const int z = config.z_channels;
    quant_ = describe_conv1x1(parameters, prefix + "quant_conv", 2 * z, 2 * z);
    post_quant_ = describe_conv1x1(parameters, prefix + "post_quant_conv", z, z);
  }

  Value* build_encoder(Tape& tape, Value* rgb) const {
    require_channels(rgb->shape, config.in_channels);
    if (rgb->shape.h < config.stride() || rgb->shape.w < config.stride()) {
      throw std::invalid_argument("the autoencoder can't do pictures of " + std::to_string(rgb->shape.w) + "x" +
                                  std::to_string(rgb->shape.h) + ": sides must be at least " +
                                  std::to_string(config.stride()));
    }
    Value* x = tape.add<Conv3x3>(rgb, encoder_.conv_in.w, encoder_.conv_in.b).y;
    for (const Level& level : encoder_.levels) {
      for (const auto& block : level.blocks) x = block.build(tape, x);
      const Conv3x3::Options halve{.stride = 2, .border = 0};
      if (level.resize) x = tape.add<Conv3x3>(x, level.resize->w, level.resize->b, halve).y;
    }
    x = build_end(tape, encoder_, encoder_.middle->build(tape, x));
    return tape.add<Linear>(x, quant_.w, quant_.b).y;
  }

  Value* build_decoder(Tape& tape, Value* z) const {
    require_channels(z->shape, config.z_channels);
    Value* x = tape.add<Linear>(z, post_quant_.w, post_quant_.b).y;
    x = tape.add<Conv3x3>(x, decoder_.conv_in.w, decoder_.conv_in.b).y;
    x = decoder_.middle->build(tape, x);
    for (const Level& level : decoder_.levels) {
      for (const auto& block : level.blocks) x = block.build(tape, x);
      const Conv3x3::Options twice{.upsample = true};
      if (level.resize) x = tape.add<Conv3x3>(x, level.resize->w, level.resize->b, twice).y;
    }
    return build_end(tape, decoder_, x);
  }

 private:
  struct Level {
    std::vector<VaeResBlock> blocks;
    std::optional<Weights> resize; // the convolution that halves or doubles the size
  };
  struct Half {
    Weights conv_in, norm_out, conv_out;
    std::vector<Level> levels; // in the order in which they run
    std::optional<VaeMiddle> middle;
  };

  void describe_encoder(Parameters& p, const std::string& name) {
    encoder_.conv_in = describe_conv3x3(p, name + ".conv_in", config.in_channels, config.base_channels);
    int channels = config.base_channels;
    for (int l = 0; l < config.levels(); l++) {
      const std::string level = name + ".down." + std::to_string(l);
      encoder_.levels.push_back(describe_level(p, level, &channels, config.channels(l), config.res_blocks));
      if (l == config.levels() - 1) break;
      encoder_.levels.back().resize = describe_conv3x3(p, level + ".downsample.conv", channels, channels);
    }
    describe_end(p, name, encoder_, channels, channels, 2 * config.z_channels);
  }

  void describe_decoder(Parameters& p, const std::string& name) {
    int channels = config.channels(config.levels() - 1);
    const int coarsest = channels;
    decoder_.conv_in = describe_conv3x3(p, name + ".conv_in", config.z_channels, channels);
    for (int l = config.levels() - 1; l >= 0; l--) {
      const std::string level = name + ".up." + std::to_string(l);
      decoder_.levels.push_back(describe_level(p, level, &channels, config.channels(l), config.res_blocks + 1));
      if (l > 0) decoder_.levels.back().resize = describe_conv3x3(p, level + ".upsample.conv", channels, channels);
    }
    describe_end(p, name, decoder_, coarsest, channels, config.in_channels);
  }

  Level describe_level(Parameters& p, const std::string& name, int* channels, int out, int count) const {
    Level level;
    for (int i = 0; i < count; i++, *channels = out) {
      level.blocks.emplace_back(p, name + ".block." + std::to_string(i), *channels, out, config.norm_groups,
                                config.epsilon);
    }
    return level;
  }

  void describe_end(Parameters& p, const std::string& name, Half& half, int middle, int channels, int out) const {
    half.middle.emplace(p, name + ".mid", middle, config.norm_groups, config.epsilon);
    half.norm_out = describe_norm(p, name + ".norm_out", channels);
    half.conv_out = describe_conv3x3(p, name + ".conv_out", channels, out);
  }

  Value* build_end(Tape& tape, const Half& half, Value* x) const {
    const GroupNorm::Options norm{config.norm_groups, config.epsilon, true, nullptr};
    x = tape.add<GroupNorm>(x, half.norm_out.w, half.norm_out.b, norm).y;
    return tape.add<Conv3x3>(x, half.conv_out.w, half.conv_out.b).y;
  }

  static void require_channels(const Shape& shape, int channels) {
    if (shape.c == channels) return;
    throw std::invalid_argument("the autoencoder reads " + std::to_string(channels) + " channels here, not " +
                                std::to_string(shape.c));
  }

  Half encoder_, decoder_;
  Weights quant_, post_quant_;
};

} // namespace tiller
