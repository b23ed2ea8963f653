// golden_blocks.h   every kind of block that the small U-Nets of golden_models.h are made of, alone on a device in BF16,
// beside a golden of test/peers/blocks.py. So few roundings follow each other in one that all of it can be compared
// tensor by tensor, gradients included; in a whole U-Net they are too many (bf16_test.cpp).
#pragma once

#include "tests/golden_models.h"

namespace tiller {

// Of a convolution alone and of the time embedding: their factors are given, or few, and so rounded alike to the last
// bit. One that isn't rounded shows as 1.5e-3. On ggml's CPU only: Vulkan leaves factors of few columns as they are.
constexpr double kSameRounding = 1e-5;

class GoldenBlock {
  Pool pool_{1};
  GoldenAdapters adapters_;
  std::map<std::string, Value*> inputs_;
  Value* timesteps_ = nullptr;

 public:
  Parameters parameters;
  Tape tape{pool_, true};
  Adapters* const adapters;

  explicit GoldenBlock(bool lora) : adapters(lora ? &adapters_.unet : nullptr) { parameters.set_trainable(!lora); }

  Value* input(const std::string& name, Shape shape) { return inputs_[name] = tape.input(shape, true); }
  Value* timesteps() { return timesteps_ = tape.input({2, 1, 1, 1}); }

  void compare(const Golden& golden, const TestedDevice& device, Value* y) {
    parameters.allocate(true);
    fill(parameters);
    tape.expose(y);
    Runner runner(tape, &device);
    for (const auto& [name, value] : inputs_) fill(value, name);
    if (timesteps_) timesteps_->data[0] = 17, timesteps_->data[1] = 803;
    runner.forward();
    const auto dy = normals("dy", y->shape.size());
    std::copy(dy.begin(), dy.end(), y->gradient);
    runner.backward();
    golden.expect("y", y->data, y->shape.size());
    for (const auto& [name, value] : inputs_) golden.expect("d" + name, value->gradient, value->shape.size());
    golden.expect_gradients(parameters, 1 + inputs_.size());
  }
};

class GoldenBlocks {
 public:
  GoldenBlocks(Checks& checks, const TestedDevice& device, std::string folder)
      : checks_(checks), device_(device), folder_(std::move(folder)),
        simple_limit_(device.backend.info().kind == "ggml-cpu" ? kSameRounding : kBf16Limit) {}

  void all() const {
    compare("time", false, [&](GoldenBlock& b) {
      return TimeEmbedding(b.parameters, prefix_ + "time_embed", 8, 32).build(b.tape, b.timesteps());
    }, simple_limit_);
    compare("conv_in", false, [&](GoldenBlock& b) {
      const Weights conv = describe_conv3x3(b.parameters, prefix_ + "input_blocks.0.0", 5, 8);
      return b.tape.add<Conv3x3>(b.input("x", {2, 6, 8, 5}), conv.w, conv.b).y;
    }, simple_limit_);
    compare("conv_out", false, [&](GoldenBlock& b) {
      const Weights norm = describe_norm(b.parameters, prefix_ + "out.0", 8);
      const Weights conv = describe_conv3x3(b.parameters, prefix_ + "out.2", 8, 3);
      const GroupNorm::Options options{config_.norm_groups, 1e-5f, true, nullptr};
      Value* h = b.tape.add<GroupNorm>(b.input("x", {2, 6, 8, 8}), norm.w, norm.b, options).y;
      return b.tape.add<Conv3x3>(h, conv.w, conv.b).y;
    });
    compare("res", false, [&](GoldenBlock& b) { return res(b, "input_blocks.1.0", {2, 6, 8, 8}, 0, 8); });
    compare("res_wider", false, [&](GoldenBlock& b) { return res(b, "input_blocks.3.0", {2, 3, 4, 8}, 0, 16); });
    for (const bool lora : {false, true}) {
      const double resize_limit = lora ? kBf16Limit : simple_limit_;
      compare("res_skip", lora, [&](GoldenBlock& b) { return res(b, "output_blocks.2.0", {2, 6, 8, 16}, 8, 8); });
      compare("transformer", lora, [&](GoldenBlock& b) {
        const SpatialTransformer block(b.parameters, prefix_ + "input_blocks.1.1", 8, config_.transformer_depth,
                                       config_.heads, config_.context_channels, config_.norm_groups, b.adapters);
        return block.build(b.tape, b.input("x", {2, 6, 8, 8}), b.input("context", {2, 1, 7, 12}));
      });
      compare("half", lora, [&](GoldenBlock& b) {
        const Resize block(b.parameters, prefix_ + "input_blocks.2.0.op", 8, Resize::To::half, b.adapters);
        return block.build(b.tape, b.input("x", {2, 6, 8, 8}));
      }, resize_limit);
      compare("twice", lora, [&](GoldenBlock& b) {
        const Resize block(b.parameters, prefix_ + "output_blocks.1.1.conv", 16, Resize::To::twice, b.adapters);
        return block.build(b.tape, b.input("x", {2, 3, 4, 16}));
      }, resize_limit);
    }
  }

 private:
  Checks& checks_;
  const TestedDevice& device_;
  const std::string folder_, prefix_ = "model.diffusion_model.";
  const double simple_limit_;
  const UNetConfig config_ = small_unet();

  Value* res(GoldenBlock& b, const std::string& name, Shape x, int skip, int out) const {
    const int time = config_.time_channels();
    const ResBlock block(b.parameters, prefix_ + name, x.c + skip, out, time, config_.norm_groups, b.adapters);
    Value* second = skip ? b.input("skip", {x.n, x.h, x.w, skip}) : nullptr;
    Value* e = b.tape.add<Activation>(b.input("e", {x.n, 1, 1, time}), Activation::Function::silu).y;
    return block.build(b.tape, b.input("x", x), second, e);
  }

  template <class Build>
  void compare(const std::string& block, bool lora, const Build& build, double limit = kBf16Limit) const {
    const std::string name = block + (lora ? "_lora" : "");
    GoldenBlock run(lora);
    Value* y = build(run);
    const std::string file = folder_ + "/blocks_bf16/" + name + ".safetensors";
    run.compare({checks_, "block " + name + " in BF16", Safetensors(file), limit}, device_, y);
  }
};

}  // namespace tiller
