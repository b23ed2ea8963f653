// The U-Net and the text encoder against PyTorch: test/peers/unet.py wrote what diffusers and
// transformers gave. Weights and inputs come from the tensors' names on both sides. By our own kernels, and
// in BF16 as graphs of ggml-cpu.
//   golden_test [folder of the goldens]
#include <optional>

#include "compute/graph_runner.h"
#include "models/clip_text.h"
#include "models/unet.h"
#include "tests/golden.h"

using namespace tiller;

namespace {

Checks checks;

UNetConfig small_unet() {
  UNetConfig config;
  config.in_channels = 5, config.out_channels = 3;
  config.model_channels = 8;
  config.channel_multipliers = {1, 2};
  config.res_blocks = 1;
  config.attention_levels = {0};
  config.heads = 2;
  config.context_channels = 12;
  config.norm_groups = 4;
  return config;
}

struct UNetRun {
  int threads;
  bool checkpointing;
  const Backend* in_bf16 = nullptr; // or our kernels, in F32
};

// Runs a tape that is built.
class Runner {
 public:
  Runner(Tape& tape, const Backend* in_bf16) : tape_(tape) {
    if (in_bf16 != nullptr) graph_.emplace(tape, weights_.emplace(*in_bf16, Precision::bf16));
    else tape.finish();
  }
  void forward() { graph_ ? graph_->forward() : tape_.forward(); }
  void backward() { graph_ ? graph_->backward() : tape_.backward(); }

 private:
  Tape& tape_;
  std::optional<DeviceWeights> weights_;
  std::optional<GraphRunner> graph_;
};

void unet(const Golden& golden, UNetRun how, Adapters* adapters = nullptr) {
  Parameters parameters;
  parameters.set_trainable(adapters == nullptr);
  const UNet model(parameters, small_unet(), "model.diffusion_model.", adapters);
  parameters.allocate(true);
  fill(parameters);
  Pool pool(how.threads);
  Tape tape(pool, true);
  Value *x = tape.input({2, 6, 8, 5}, true), *t = tape.input({2, 1, 1, 1}), *context = tape.input({2, 1, 7, 12}, true);
  Value* y = model.build(tape, x, t, context, how.checkpointing);
  tape.expose(y);
  auto& loss = tape.add<MeanSquaredError>(y);
  Runner runner(tape, how.in_bf16);
  fill(x, "x");
  fill(context, "context");
  fill(loss.target, "target");
  t->data[0] = 17, t->data[1] = 803;
  loss.weights->data[0] = 0.5f, loss.weights->data[1] = 2;
  loss.scale = 0.5; // the mean of two pictures
  runner.forward();
  runner.backward();
  golden.expect("y", y->data, y->shape.size());
  golden.expect("dx", x->gradient, x->shape.size());
  golden.expect("dcontext", context->gradient, context->shape.size());
  if (adapters != nullptr) return golden.expect_gradients(parameters, 3);
  const std::vector<float> losses(loss.losses.begin(), loss.losses.end());
  golden.expect("losses", losses.data(), losses.size());
  golden.expect_gradients(parameters, 4);
}

// Computing blocks again changes no bit, and needs less memory.
void checkpointing_same_bits() {
  std::vector<float> results[2];
  size_t bytes[2];
  for (const bool checkpointing : {false, true}) {
    Parameters parameters;
    const UNet model(parameters, small_unet());
    parameters.allocate(true);
    fill(parameters);
    Pool pool(2);
    Tape tape(pool, true);
    Value *x = tape.input({2, 14, 10, 5}, true), *t = tape.input({2, 1, 1, 1}), *context = tape.input({2, 1, 7, 12}, true);
    auto& loss = tape.add<MeanSquaredError>(model.build(tape, x, t, context, checkpointing));
    tape.finish();
    fill(x, "x");
    fill(context, "context");
    fill(loss.target, "target");
    loss.weights->data[0] = loss.weights->data[1] = 1;
    for (int pass = 0; pass < 2; pass++) tape.forward(), tape.backward(); // the second adds up
    auto& result = results[checkpointing];
    result.assign(parameters.data(Buffer::gradient), parameters.data(Buffer::gradient) + parameters.trainable_size());
    result.insert(result.end(), x->gradient, x->gradient + x->shape.size());
    result.insert(result.end(), context->gradient, context->gradient + context->shape.size());
    bytes[checkpointing] = tape.bytes();
  }
  checks.holds("gradient checkpointing, same bits", results[0] == results[1]);
  checks.holds("gradient checkpointing needs less memory", bytes[1] < bytes[0] * 3 / 4);
}

void clip_text(const Golden& golden, Adapters* adapters = nullptr, const Backend* in_bf16 = nullptr) {
  ClipTextConfig config;
  config.vocabulary = 30, config.positions = 9;
  config.channels = 12, config.layers = 2, config.heads = 3, config.hidden = 20;
  config.trainable = adapters == nullptr;
  Parameters parameters;
  const ClipText model(parameters, config, "cond_stage_model.transformer.text_model.", adapters);
  parameters.allocate(true);
  fill(parameters);
  Pool pool(2);
  Tape tape(pool, true);
  Value* ids = tape.input({2, 1, 7, 1});
  Value* y = model.build(tape, ids);
  tape.expose(y);
  Runner runner(tape, in_bf16);
  const int tokens[] = {3, 1, 4, 1, 5, 9, 2, 29, 0, 27, 18, 28, 18, 2};
  std::copy(std::begin(tokens), std::end(tokens), ids->data);
  runner.forward();
  const auto dy = normals("dy", y->shape.size());
  std::copy(dy.begin(), dy.end(), y->gradient);
  runner.backward();
  golden.expect("y", y->data, y->shape.size());
  golden.expect_gradients(parameters, 1);
}

// Stable Diffusion 1.5's own sizes, counted without a byte allocated.
void stable_diffusion_sizes() {
  Parameters unet, text;
  const UNet model(unet, UNetConfig{});
  const ClipText encoder(text, ClipTextConfig{});
  checks.expect("SD 1.x U-Net has 686 tensors", std::abs((double)unet.tensors().size() - 686), 0);
  checks.expect("SD 1.x U-Net has 859,520,964 parameters", std::abs((double)unet.count() - 859520964), 0);
  checks.expect("CLIP text encoder has 196 tensors", std::abs((double)text.tensors().size() - 196), 0);
  checks.expect("CLIP text encoder has 123,060,480 parameters", std::abs((double)text.count() - 123060480), 0);
  const char* names[] = {"input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight", "input_blocks.3.0.op.weight",
                         "middle_block.1.proj_in.weight", "output_blocks.2.1.conv.weight", "output_blocks.5.2.conv.bias",
                         "output_blocks.11.0.skip_connection.weight", "time_embed.2.bias", "out.2.weight"};
  for (const std::string name : names) {
    checks.holds("SD 1.x has " + name, unet.find("model.diffusion_model." + name) != nullptr);
  }
}

// One set of parameters, tapes of other sizes; sizes that can't be are refused.
void other_sizes() {
  Parameters parameters;
  const UNet model(parameters, small_unet());
  parameters.allocate(false);
  fill(parameters);
  Pool pool(2);
  const auto build = [&](int n, int h, int w, std::vector<float>* out) {
    Tape tape(pool, false);
    Value *x = tape.input({n, h, w, 5}), *t = tape.input({n, 1, 1, 1}), *context = tape.input({n, 1, 7, 12});
    Value* y = model.build(tape, x, t, context);
    tape.expose(y);
    tape.finish();
    fill(x, "x");
    fill(context, "context");
    tape.forward();
    out->assign(y->data, y->data + (size_t)h * w * 3);
  };
  std::vector<float> alone, together, large;
  build(1, 6, 8, &alone);
  build(3, 6, 8, &together);
  build(1, 14, 10, &large);
  checks.holds("a picture alone and in a batch, same bits", alone == together);
  double size = 0;
  for (const float v : large) size += std::abs(v);
  checks.holds("a larger picture is finite", std::isfinite(size));
  bool refused = false;
  try {
    build(1, 7, 8, &alone);
  } catch (const std::invalid_argument&) {
    refused = true;
  }
  checks.holds("a height of 7 is refused", refused);
}

} // namespace

int main(int argc, char** argv) {
  const std::string folder = argc > 1 ? argv[1] : "test/golden";
  const auto golden = [&](const std::string& name) { return Golden{checks, name, Safetensors(folder + "/" + name + ".safetensors")}; };
  const auto in_bf16 = [&](const std::string& name) {
    return Golden{checks, name + " in BF16", Safetensors(folder + "/" + name + ".safetensors"), kBf16Limit};
  };
  const auto unet_adapters = [] { return Adapters({.rank = 3, .alpha = 6, .conv_rank = 2, .conv_alpha = 1}); };
  const auto text_adapters = [] { return Adapters({.rank = 3, .alpha = 6}); };
  unet(golden("unet"), {1, false});
  unet(golden("unet"), {2, false});
  unet(golden("unet"), {2, true});
  checkpointing_same_bits();
  clip_text(golden("clip_text"));
  Adapters a = unet_adapters(), b = text_adapters(), c = unet_adapters(), d = text_adapters();
  unet(golden("unet_lora"), {2, true}, &a);
  clip_text(golden("clip_text_lora"), &b);
  const Backend device("ggml-cpu");
  unet(in_bf16("unet"), {1, false, &device});
  clip_text(in_bf16("clip_text"), nullptr, &device);
  unet(in_bf16("unet_lora"), {1, true, &device}, &c);
  clip_text(in_bf16("clip_text_lora"), &d, &device);
  stable_diffusion_sizes();
  other_sizes();
  return checks.exit_code();
}
