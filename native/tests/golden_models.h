// golden_models.h   the small U-Net and text encoder of test/peers/unet.py and lora.py, run and compared with a golden:
// by our own kernels, or as graphs of a device.
#pragma once

#include <optional>

#include "compute/graph_runner.h"
#include "models/clip_text.h"
#include "models/unet.h"
#include "tests/golden.h"
#include "tests/tested_device.h"

namespace tiller {

inline UNetConfig small_unet() {
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

struct GoldenRun {
  int threads = 2;
  bool checkpointing = false;
  const TestedDevice* device = nullptr; // or our kernels
};

// Runs a tape that is built.
class Runner {
 public:
  Runner(Tape& tape, const TestedDevice* device) : tape_(tape) {
    if (device != nullptr) graph_.emplace(tape, weights_.emplace(device->backend, device->precision));
    else tape.finish();
  }
  void forward() { graph_ ? graph_->forward() : tape_.forward(); }
  void backward() { graph_ ? graph_->backward() : tape_.backward(); }

 private:
  Tape& tape_;
  std::optional<DeviceWeights> weights_;
  std::optional<GraphRunner> graph_;
};

inline void unet(const Golden& golden, GoldenRun how, Adapters* adapters = nullptr) {
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
  Runner runner(tape, how.device);
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

inline void clip_text(const Golden& golden, GoldenRun how = {}, Adapters* adapters = nullptr) {
  ClipTextConfig config;
  config.vocabulary = 30, config.positions = 9;
  config.channels = 12, config.layers = 2, config.heads = 3, config.hidden = 20;
  config.trainable = adapters == nullptr;
  Parameters parameters;
  const ClipText model(parameters, config, "cond_stage_model.transformer.text_model.", adapters);
  parameters.allocate(true);
  fill(parameters);
  Pool pool(how.threads);
  Tape tape(pool, true);
  Value* ids = tape.input({2, 1, 7, 1});
  Value* y = model.build(tape, {ids}, how.checkpointing);
  tape.expose(y);
  Runner runner(tape, how.device);
  const int tokens[] = {3, 1, 4, 1, 5, 9, 2, 29, 0, 27, 18, 28, 18, 2};
  std::copy(std::begin(tokens), std::end(tokens), ids->data);
  runner.forward();
  const auto dy = normals("dy", y->shape.size());
  std::copy(dy.begin(), dy.end(), y->gradient);
  runner.backward();
  golden.expect("y", y->data, y->shape.size());
  golden.expect_gradients(parameters, 1);
}

// As lora.py; a model of its own each.
struct GoldenAdapters {
  Adapters unet{{.rank = 3, .alpha = 6, .conv_rank = 2, .conv_alpha = 1}}, text{{.rank = 3, .alpha = 6}};
};

} // namespace tiller
