// A step within the backward pass against one after it: the same bits.
#include <cstring>

#include "compute/fused_step.h"
#include "compute/make_optimizer.h"
#include "models/unet.h"
#include "tests/check.h"

using namespace tiller;

namespace {

Checks checks;

// A small U-Net; with adapters its own weights are frozen.
struct Trained {
  Parameters parameters;
  Adapters adapters{LowRankSettings{.rank = 4, .conv_rank = 2}};
  std::optional<UNet> model;
  std::optional<Tape> tape;
  MeanSquaredError* loss;
  Pool pool;
  std::unique_ptr<Optimizer> optimizer;
  std::optional<FusedStep> fused;
  const OptimizerSettings settings{.learning_rates = {0.01, 0.01}, .clip = 0};
  double norm = 0;

  Trained(const std::string& name, bool low_rank, bool checkpointing, bool in_pass, int threads) : pool(threads) {
    UNetConfig config;
    config.model_channels = 32, config.channel_multipliers = {1, 2}, config.attention_levels = {1};
    config.res_blocks = 1, config.heads = 2, config.context_channels = 16;
    parameters.set_trainable(!low_rank);
    model.emplace(parameters, config, "unet.", low_rank ? &adapters : nullptr);
    parameters.set_trainable(true);
    Block* unreached = parameters.matrix(1, 5, 7);
    parameters.name("unreached", {7, 5}, {{unreached, 0, 0, 7}}, fan_in_uniform(5));
    parameters.allocate(true, true, !in_pass);
    parameters.initialize(1);
    optimizer = make_optimizer(name, parameters);
    if (in_pass) fused.emplace(parameters, *optimizer);
    tape.emplace(pool, true);
    Value *x = tape->input({2, 8, 8, 4}), *t = tape->input({2, 1, 1, 1}), *context = tape->input({2, 1, 7, 16});
    loss = &tape->add<MeanSquaredError>(model->build(*tape, x, t, context, checkpointing));
    tape->finish();
    uint64_t item = 0;
    for (Value* value : {x, context, loss->target})
      RandomStream(1, Purpose::test, 0, item++).fill_normal(value->data, value->shape.size());
    t->data[0] = 500, t->data[1] = 20, loss->weights->data[0] = loss->weights->data[1] = 1;
  }
  void step(long number) {
    parameters.zero_gradients();
    tape->forward();
    if (fused) norm = fused->backward(*tape, settings, number);
    else tape->backward(), norm = optimizer->step(pool, settings, number);
  }
};

bool same(const Trained& a, const Trained& b, Buffer buffer) {
  const size_t bytes = a.parameters.trainable_size() * sizeof(float);
  return std::memcmp(a.parameters.data(buffer), b.parameters.data(buffer), bytes) == 0;
}

void compare(const std::string& name, bool low_rank, bool checkpointing) {
  Trained after(name, low_rank, checkpointing, false, 1), within(name, low_rank, checkpointing, true, 2);
  double apart = 0;
  for (long number = 1; number <= 3; number++) {
    after.step(number), within.step(number);
    apart = std::max(apart, std::abs(within.norm / after.norm - 1));
  }
  const std::string what = name + (low_rank ? ", LoRA" : "") + (checkpointing ? ", checkpointing" : "");
  checks.holds(what + ": the same weights", same(after, within, Buffer::weight));
  checks.holds(what + ": the same averages", same(after, within, Buffer::average));
  checks.holds(what + ": they moved", !same(after, Trained(name, low_rank, checkpointing, false, 1), Buffer::weight));
  checks.expect(what + ": gradient norm", apart, 1e-9);
}

void refusals() {
  Trained prodigy("prodigy", false, false, false, 1);
  bool refused = false;
  try {
    FusedStep(prodigy.parameters, *prodigy.optimizer);
  } catch (const std::logic_error&) {
    refused = true;
  }
  checks.holds("Prodigy needs all gradients", refused);

  Parameters parameters;
  Block* tied = parameters.matrix(1, 8, 8);
  parameters.name("tied", {8, 8}, {{tied, 0, 0, 8}}, fan_in_uniform(8));
  parameters.allocate(true, false, false);
  parameters.initialize(1);
  AdamW adamw(parameters);
  FusedStep step(parameters, adamw);
  Pool pool(1);
  Tape tape(pool, true);
  Value* x = tape.input({1, 1, 4, 8});
  tape.add<MeanSquaredError>(tape.add<Linear>(tape.add<Linear>(x, tied, nullptr).y, tied, nullptr).y).weights->external = true;
  tape.finish();
  tape.forward();
  refused = false;
  try {
    step.backward(tape, {}, 1);
  } catch (const std::logic_error&) {
    refused = true;
  }
  checks.holds("parameters of two layers are refused", refused);
}

void not_finite() {
  Trained broken("adamw", false, false, true, 1);
  broken.loss->target->data[0] = INFINITY;
  broken.step(1);
  checks.holds("an infinite gradient is told", !std::isfinite(broken.norm));
}

} // namespace

int main() {
  for (const char* name : {"adamw", "adamw8bit"})
    for (const bool low_rank : {false, true})
      for (const bool checkpointing : {false, true}) compare(name, low_rank, checkpointing);
  refusals();
  not_finite();
  return checks.exit_code();
}
