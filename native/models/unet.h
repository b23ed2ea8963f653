// The U-Net of Stable Diffusion 1.x with free sizes. Constructing one describes its tensors; build()
// puts it on a tape of any batch and picture size, all of which share the same parameters.
//
//   Parameters parameters;
//   UNet unet(parameters, config);
//   parameters.allocate(/*training=*/true);
//   parameters.initialize(seed);
//   Tape tape(pool, true);
//   Value* x = tape.input({n, h, w, config.in_channels});
//   Value* t = tape.input({n, 1, 1, 1});                            // timesteps
//   Value* context = tape.input({n, 1, tokens, config.context_channels});
//   auto& loss = tape.add<MeanSquaredError>(unet.build(tape, x, t, context));
//   tape.finish();
#pragma once
#include "layers/mse_loss.h"
#include "models/unet_blocks.h"

namespace tiller {

// The defaults are Stable Diffusion 1.x's own.
struct UNetConfig {
  int in_channels = 4, out_channels = 4;
  int model_channels = 320;
  std::vector<int> channel_multipliers{1, 2, 4, 4};
  int res_blocks = 2;
  std::vector<int> attention_levels{0, 1, 2}; // 0 is the finest; the middle always has attention
  int transformer_depth = 1;
  int heads = 8;
  int head_size = 0; // if not 0: heads = channels / head_size
  int context_channels = 768;
  int norm_groups = 32;

  int levels() const { return (int)channel_multipliers.size(); }
  int time_channels() const { return 4 * model_channels; }
  int channels(int level) const { return model_channels * channel_multipliers[level]; }
  int heads_for(int channels) const { return head_size != 0 ? channels / head_size : heads; }
  // Width and height of the input must be multiples of this.
  int size_multiple() const { return 1 << (levels() - 1); }
  bool has_attention(int level) const {
    return std::find(attention_levels.begin(), attention_levels.end(), level) != attention_levels.end();
  }

  // Throws std::invalid_argument, saying what does not fit.
  void validate() const {
    const auto require = [](bool fine, const std::string& message) {
      if (!fine) throw std::invalid_argument(message);
    };
    require(levels() >= 1, "the U-Net needs at least one channel multiplier");
    require(in_channels >= 1 && out_channels >= 1 && context_channels >= 1, "the U-Net's channels must be at least 1");
    require(model_channels >= 1 && res_blocks >= 1 && transformer_depth >= 1 && norm_groups >= 1,
            "the U-Net's model_channels, res_blocks, transformer_depth and norm_groups must be at least 1");
    for (const int level : attention_levels) {
      require(level >= 0 && level < levels(), "attention level " + std::to_string(level) + " does not exist: the U-Net has levels 0 to " +
                                                  std::to_string(levels() - 1));
    }
    for (int level = 0; level < levels(); level++) {
      const int c = channels(level), h = heads_for(c);
      require(c >= 1 && c % norm_groups == 0, std::to_string(c) + " channels can't be normalized in " +
                                                  std::to_string(norm_groups) + " groups of the same size");
      if (!has_attention(level) && level != levels() - 1) continue;
      require(h >= 1 && c % h == 0 && (head_size == 0 || c % head_size == 0),
              std::to_string(c) + " channels can't be split into attention heads of the same size");
    }
  }
};

class UNet {
 public:
  const UNetConfig config;

  // With `adapters` its matrices get low-rank parts; whether the tensors themselves are trained is for the
  // caller (Parameters::set_trainable).
  UNet(Parameters& parameters, const UNetConfig& wanted, const std::string& prefix = "model.diffusion_model.",
       Adapters* adapters = nullptr)
      : config((wanted.validate(), wanted)) {
    Describer describe{parameters, config, prefix, adapters};
    const int levels = config.levels();
    int channels = config.model_channels;
    time_.emplace(parameters, prefix + "time_embed", channels, config.time_channels());
    conv_in_ = describe_conv3x3(parameters, prefix + "input_blocks.0.0", config.in_channels, channels);

    std::vector<int> skips{channels};
    int number = 1;
    for (int level = 0; level < levels; level++) {
      for (int i = 0; i < config.res_blocks; i++, number++) {
        const std::string name = "input_blocks." + std::to_string(number);
        down_.push_back({describe.res(name + ".0", channels, config.channels(level)), {}, {}});
        channels = config.channels(level);
        if (config.has_attention(level)) down_.back().transformer = describe.transformer(name + ".1", channels);
        skips.push_back(channels);
      }
      if (level == levels - 1) break;
      const std::string name = "input_blocks." + std::to_string(number++) + ".0.op";
      down_.push_back({{}, {}, describe.resize(name, channels, Resize::To::half)});
      skips.push_back(channels);
    }

    middle1_ = describe.res("middle_block.0", channels, channels);
    middle_transformer_ = describe.transformer("middle_block.1", channels);
    middle2_ = describe.res("middle_block.2", channels, channels);

    number = 0;
    for (int level = levels - 1; level >= 0; level--)
      for (int i = 0; i <= config.res_blocks; i++, number++) {
        const std::string name = "output_blocks." + std::to_string(number);
        up_.push_back({describe.res(name + ".0", channels + skips.back(), config.channels(level)), {}, {}});
        skips.pop_back();
        channels = config.channels(level);
        const bool attention = config.has_attention(level);
        if (attention) up_.back().transformer = describe.transformer(name + ".1", channels);
        if (level == 0 || i < config.res_blocks) continue;
        up_.back().resize = describe.resize(name + (attention ? ".2" : ".1") + ".conv", channels, Resize::To::twice);
      }

    norm_out_ = describe_norm(parameters, prefix + "out.0", channels);
    conv_out_ = describe_conv3x3(parameters, prefix + "out.2", channels, config.out_channels);
  }

  // x [n, h, w, in_channels], timesteps [n, 1, 1, 1], context [n, 1, tokens, context_channels]
  // → [n, h, w, out_channels]. With `checkpointing` each block keeps only its input (Tape::Segment).
  Value* build(Tape& tape, Value* x, Value* timesteps, Value* context, bool checkpointing = false) const {
    check_shapes(x->shape, timesteps->shape, context->shape);
    Value* embedding = time_->build(tape, timesteps);
    const auto res = [&](const ResBlock& block, Value* from, Value* skip) {
      const Tape::Segment segment(tape, checkpointing);
      return block.build(tape, from, skip, embedding);
    };
    const auto transformer = [&](const SpatialTransformer& block, Value* from) {
      const Tape::Segment segment(tape, checkpointing);
      return block.build(tape, from, context);
    };
    x = tape.add<Conv3x3>(x, conv_in_.w, conv_in_.b).y;
    std::vector<Value*> skips{x};
    for (const Stage& stage : down_) {
      if (stage.res) x = res(*stage.res, x, nullptr);
      if (stage.transformer) x = transformer(*stage.transformer, x);
      if (stage.resize) x = stage.resize->build(tape, x);
      skips.push_back(x);
    }
    x = res(*middle1_, x, nullptr);
    x = transformer(*middle_transformer_, x);
    x = res(*middle2_, x, nullptr);
    for (const Stage& stage : up_) {
      x = res(*stage.res, x, skips.back());
      skips.pop_back();
      if (stage.transformer) x = transformer(*stage.transformer, x);
      if (stage.resize) x = stage.resize->build(tape, x);
    }
    x = tape.add<GroupNorm>(x, norm_out_.w, norm_out_.b, GroupNorm::Options{config.norm_groups, 1e-5f, true, nullptr}).y;
    return tape.add<Conv3x3>(x, conv_out_.w, conv_out_.b).y;
  }

 private:
  // One entry of input_blocks or output_blocks.
  struct Stage {
    std::optional<ResBlock> res;
    std::optional<SpatialTransformer> transformer;
    std::optional<Resize> resize;
  };

  struct Describer {
    Parameters& parameters;
    const UNetConfig& config;
    const std::string& prefix;
    Adapters* adapters;

    ResBlock res(const std::string& name, int in, int out) const {
      return {parameters, prefix + name, in, out, config.time_channels(), config.norm_groups, adapters};
    }
    SpatialTransformer transformer(const std::string& name, int channels) const {
      return {parameters, prefix + name, channels, config.transformer_depth, config.heads_for(channels),
              config.context_channels, config.norm_groups, adapters};
    }
    Resize resize(const std::string& name, int channels, Resize::To to) const {
      return {parameters, prefix + name, channels, to, adapters};
    }
  };

  void check_shapes(const Shape& x, const Shape& t, const Shape& context) const {
    const int multiple = config.size_multiple();
    if (x.h < 1 || x.w < 1 || x.h % multiple != 0 || x.w % multiple != 0) {
      throw std::invalid_argument("the U-Net can't do " + std::to_string(x.w) + "x" + std::to_string(x.h) +
                                  " latents: width and height must be multiples of " + std::to_string(multiple));
    }
    if (x.c != config.in_channels || context.c != config.context_channels || t.c != 1 || x.n != t.n || x.n != context.n) {
      throw std::invalid_argument("the U-Net's inputs don't fit: " + std::to_string(x.n) + " pictures of " +
                                  std::to_string(x.c) + " channels (the model has " + std::to_string(config.in_channels) +
                                  "), " + std::to_string(t.n) + " timesteps, " + std::to_string(context.n) +
                                  " texts of " + std::to_string(context.c) + " channels (the model has " +
                                  std::to_string(config.context_channels) + ")");
    }
  }

  std::optional<TimeEmbedding> time_;
  Weights conv_in_, norm_out_, conv_out_;
  std::vector<Stage> down_, up_;
  std::optional<ResBlock> middle1_, middle2_;
  std::optional<SpatialTransformer> middle_transformer_;
};

} // namespace tiller
