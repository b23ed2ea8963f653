// Seconds of one training step of the demo's U-Net: forward, backward, clipping, AdamW, average.
//   unet_step [threads] [steps] [--layers]
// Prints one JSON line; with --layers also where the time goes. The peer: bench/peers/unet_step.py.
#include <cstdio>

#include "bench/layer_times.h"
#include "compute/adamw.h"
#include "models/unet.h"

using namespace tiller;

namespace {

UNetConfig demo_unet() {
  UNetConfig config;
  config.in_channels = config.out_channels = 12;
  config.model_channels = 32;
  config.channel_multipliers = {1, 2, 4};
  config.res_blocks = 1;
  config.attention_levels = {0, 1, 2};
  config.heads = 4;
  config.context_channels = 64;
  return config;
}

} // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 1, steps = argc > 2 ? std::atoi(argv[2]) : 20;
  const int batch = 16;
  Parameters parameters;
  const UNet model(parameters, demo_unet());
  parameters.allocate(true);
  parameters.initialize(1);
  Pool pool(threads);
  Tape tape(pool, true);
  Value *x = tape.input({batch, 16, 16, 12}), *t = tape.input({batch, 1, 1, 1}), *context = tape.input({batch, 1, 12, 64});
  auto& loss = tape.add<MeanSquaredError>(model.build(tape, x, t, context));
  tape.finish();
  loss.scale = 1.0 / batch;
  uint64_t item = 0;
  for (Value* value : {x, context, loss.target}) {
    RandomStream(1, Purpose::test, 0, item++).fill_normal(value->data, value->shape.size());
  }
  for (int n = 0; n < batch; n++) t->data[n] = (float)(n * 61), loss.weights->data[n] = 1;

  const OptimizerSettings settings{.beta2 = 0.99};
  AdamW optimizer(parameters);
  Times times;
  for (int step = 1; step <= steps + 3; step++) {
    const double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    parameters.zero_gradients();
    tape.forward();
    tape.backward();
    optimizer.step(pool, settings, step);
    if (step <= 3) continue; // warming up
    times.wall.push_back(seconds(CLOCK_MONOTONIC) - wall);
    times.cpu.push_back(seconds(CLOCK_PROCESS_CPUTIME_ID) - cpu);
  }
  if (argc > 3) print_layers(tape, steps);
  std::printf("{\"who\":\"ours\",\"threads\":%d,\"steps\":%d,\"seconds\":%.5f,\"seconds_median\":%.5f,\"cpu_seconds\":%.5f,"
              "\"cpu_seconds_median\":%.5f,\"loss\":%.6f,\"arena_mb\":%.1f,\"parameters\":%zu}\n",
              threads, steps, Times::least(times.wall), Times::median(times.wall), Times::least(times.cpu),
              Times::median(times.cpu), loss.total(), (double)tape.bytes() / 1e6, parameters.count());
}
