// Seconds and memory of one training step of Stable Diffusion 1.x at its full size, with random weights.
//   sd15_step lora|full PIXELS THREADS STEPS [checkpointing] [fused] [--layers]
// Prints one JSON line; with --layers also where the time goes. The peer: bench/peers/sd15_step.py.
#include <sys/resource.h>

#include <cstdio>
#include <cstring>

#include "bench/layer_times.h"
#include "compute/adamw.h"
#include "compute/fused_step.h"
#include "models/unet.h"

using namespace tiller;

namespace {

double peak_gib() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return (double)usage.ru_maxrss / (1 << 20);
}

// Uniform numbers of the layers' usual size, quickly: 860 million of them.
void fill_weights(Pool& pool, Parameters& parameters) {
  for (auto& block : parameters.blocks()) {
    const float bound = block.packed ? 1 / std::sqrt((float)block.rows()) : 0.02f;
    const bool vector = !block.packed;
    pool.split((int)(block.size() / 16), [&](Range part) {
      for (size_t i = (size_t)part.begin * 16; i < (size_t)part.end * 16; i++) {
        const uint32_t bits = (uint32_t)(i * 2654435761u) ^ (uint32_t)(i >> 7) * 40503u;
        block.weight[i] = bound * ((float)(bits >> 8) * 0x1p-23f - 1) + (vector ? 1 : 0);
      }
    });
    // Padding past the last column is zero.
    for (int row = 0; block.packed && block.out % kPanel != 0 && row < block.rows(); row++)
      for (int o = block.out; o < block.panels() * kPanel; o++)
        block.weight[((size_t)(o / kPanel) * block.rows() + row) * kPanel + o % kPanel] = 0;
  }
}

} // namespace

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr, "usage: sd15_step lora|full PIXELS THREADS STEPS [checkpointing] [fused] [--layers]\n");
    return 64;
  }
  const auto has = [&](const char* word) {
    return std::any_of(argv + 5, argv + argc, [&](const char* given) { return std::strcmp(given, word) == 0; });
  };
  const bool lora = std::strcmp(argv[1], "lora") == 0, checkpointing = has("checkpointing"), fused = has("fused");
  const int side = std::atoi(argv[2]) / 8, threads = std::atoi(argv[3]), steps = std::atoi(argv[4]);
  Parameters parameters;
  Adapters adapters({.rank = 16, .alpha = 16});
  parameters.set_trainable(!lora);
  const UNet model(parameters, UNetConfig{}, "model.diffusion_model.", lora ? &adapters : nullptr);
  parameters.allocate(true, /*average=*/false, /*gradients=*/!fused);
  Pool pool(threads);
  fill_weights(pool, parameters);
  Tape tape(pool, true);
  Value *x = tape.input({1, side, side, 4}), *t = tape.input({1, 1, 1, 1}), *context = tape.input({1, 1, 77, 768});
  auto& loss = tape.add<MeanSquaredError>(model.build(tape, x, t, context, checkpointing));
  tape.finish();
  uint64_t item = 0;
  for (Value* value : {x, context, loss.target})
    RandomStream(1, Purpose::test, 0, item++).fill_normal(value->data, value->shape.size());
  t->data[0] = 500, loss.weights->data[0] = 1;

  const OptimizerSettings settings{.learning_rates = {1e-5, 1e-5}};
  AdamW optimizer(parameters);
  std::optional<FusedStep> fused_step;
  if (fused) fused_step.emplace(parameters, optimizer);
  Times times;
  for (int step = 0; step <= steps; step++) {
    const double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    parameters.zero_gradients();
    tape.forward();
    if (fused) fused_step->backward(tape, settings, step + 1);
    else tape.backward(), optimizer.step(pool, settings, step + 1);
    if (step == 0) continue; // touches its memory for the first time
    times.wall.push_back(seconds(CLOCK_MONOTONIC) - wall);
    times.cpu.push_back(seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
  }
  const double total = loss.total();
  if (has("--layers")) print_layers(tape, 1);
  std::printf("{\"who\":\"ours\",\"mode\":\"%s\",\"pixels\":%d,\"threads\":%d,\"checkpointing\":%s,\"seconds\":%.3f,\"cpu_seconds\":%.3f,"
              "\"loss\":%.6f,\"arena_mb\":%.1f,\"peak_gib\":%.3f,\"trained\":%zu}\n",
              argv[1], side * 8, threads, checkpointing ? "true" : "false", Times::least(times.wall), Times::least(times.cpu), total,
              (double)tape.bytes() / 1e6, peak_gib(), parameters.trainable_size());
}
