// Twenty optimizer steps of a small U-Net and its text encoder, whole and as a low-rank part of frozen
// weights, on our CPU kernels and on a device, from the same weights and data: the losses of every step
// must agree.   device_training_test [DEVICE [PRECISION]]
#include <optional>

#include "compute/graph_runner.h"
#include "compute/make_optimizer.h"
#include "models/clip_text.h"
#include "models/unet.h"
#include "tests/check.h"
#include "tests/tested_device.h"

using namespace tiller;

namespace {

constexpr int kSteps = 20, kBatch = 2, kSide = 8, kTokens = 5;
// Of each step's loss; kernels' errors of 1e-6 grow from step to step.
constexpr double kAgreementOfLosses = 1e-3;
// In BF16 the weights part: Adam makes steps of one size also of gradients that are no more than rounding.
constexpr double kAgreementInBf16 = 5e-2, kAgreementOfMeansInBf16 = 1e-2;

const UNetConfig kUNet{.in_channels = 3, .out_channels = 3, .model_channels = 8, .channel_multipliers = {1, 2},
                       .res_blocks = 1, .attention_levels = {1}, .transformer_depth = 1, .heads = 2,
                       .head_size = 0, .context_channels = 12, .norm_groups = 4};

ClipTextConfig text_config(bool trainable) {
  return {.vocabulary = 20, .positions = kTokens, .channels = 12, .layers = 1, .heads = 2, .hidden = 24, .trainable = trainable};
}

struct Model {
  Parameters parameters;
  Adapters adapters{{.rank = 2, .alpha = 2, .conv_rank = 2, .conv_alpha = 2}};
  std::optional<UNet> unet;
  std::optional<ClipText> text;

  explicit Model(bool low_rank) {
    Adapters* added = low_rank ? &adapters : nullptr;
    parameters.set_trainable(!low_rank);
    unet.emplace(parameters, kUNet, "model.diffusion_model.", added);
    text.emplace(parameters, text_config(!low_rank), "cond_stage_model.transformer.text_model.", added);
    parameters.allocate(/*training=*/true);
    parameters.initialize(/*seed=*/7);
  }
};

// A fixed picture for each text, and noise to be predicted: something that can be learned.
void fill(Value* x, Value* time, Value* ids, MeanSquaredError& loss, int step) {
  RandomStream random(1, Purpose::initialization, step, 0);
  const size_t size = x->shape.size() / kBatch;
  for (int n = 0; n < kBatch; n++) {
    const int word = (step + 3 * n) % 4;
    time->data[n] = static_cast<float>(random.uniform() * 999);
    const float noise_share = time->data[n] / 1000;
    for (int i = 0; i < kTokens; i++) ids->data[n * kTokens + i] = static_cast<float>((word + i) % 20);
    for (size_t i = 0; i < size; i++) {
      const float picture = std::sin(static_cast<float>(i) * 0.1f * static_cast<float>(word + 1)), noise = random.normal();
      x->data[n * size + i] = (1 - noise_share) * picture + noise_share * noise;
      loss.target->data[n * size + i] = noise;
    }
    loss.weights->data[n] = 1;
  }
}

// The losses of all steps; on our kernels without a device.
std::vector<double> train(bool low_rank, const TestedDevice* device) {
  Model model(low_rank);
  Pool pool(1);
  Tape tape(pool, true);
  Value *x = tape.input({kBatch, kSide, kSide, 3}), *time = tape.input({kBatch, 1, 1, 1}), *ids = tape.input({kBatch, 1, kTokens, 1});
  auto& loss = tape.add<MeanSquaredError>(model.unet->build(tape, x, time, model.text->build(tape, ids)));
  loss.scale = 1.0 / kBatch;
  std::optional<DeviceWeights> weights;
  std::optional<GraphRunner> runner;
  if (device) {
    runner.emplace(tape, weights.emplace(device->backend, device->precision));
    std::fprintf(stderr, "%s: %zu parameters, %d nodes, %d split\n", low_rank ? "low-rank" : "full", model.parameters.count(),
                 runner->nodes(), runner->splits());
  } else {
    tape.finish();
  }
  const auto optimizer = make_optimizer("adamw", model.parameters);
  OptimizerSettings settings;
  settings.learning_rates = low_rank ? std::array{2e-2, 2e-2} : std::array{5e-3, 5e-3};
  std::vector<double> losses;
  for (int step = 1; step <= kSteps; step++) {
    fill(x, time, ids, loss, step);
    model.parameters.zero_gradients();
    device ? runner->forward() : tape.forward();
    losses.push_back(loss.total());
    device ? runner->backward() : tape.backward();
    optimizer->step(pool, settings, step);
    if (device) weights->changed();
  }
  return losses;
}

double mean(const std::vector<double>& of, size_t begin, size_t end) {
  double sum = 0;
  for (size_t i = begin; i < end; i++) sum += of[i];
  return sum / static_cast<double>(end - begin);
}

}  // namespace

int main(int count, char** arguments) {
  try {
    const TestedDevice device(count, arguments);
    const bool bf16 = device.precision == Precision::bf16;
    Checks checks;
    for (const bool low_rank : {false, true}) {
      const std::string name = low_rank ? "low-rank" : "full";
      const auto ours = train(low_rank, nullptr), theirs = train(low_rank, &device);
      for (int step = 0; step < kSteps; step++) {
        checks.expect(name + " training, loss of step " + std::to_string(step + 1), std::abs(theirs[step] - ours[step]) / ours[step],
                      bf16 ? kAgreementInBf16 : kAgreementOfLosses);
      }
      const double all = mean(ours, 0, kSteps);
      checks.expect(name + " training, mean loss", std::abs(mean(theirs, 0, kSteps) - all) / all,
                    bf16 ? kAgreementOfMeansInBf16 : kAgreementOfLosses);
      std::fprintf(stderr, "%s: loss %.4f at first, %.4f at last\n", name.c_str(), theirs.front(), theirs.back());
      checks.holds(name + " training learns", mean(theirs, kSteps - 5, kSteps) < 0.9 * mean(theirs, 0, 5));
    }
    return checks.exit_code();
  } catch (const DeviceError& error) {
    std::fprintf(stderr, "%s. %s\n", error.what(), error.hint.c_str());
    return 1;
  }
}
