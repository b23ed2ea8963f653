// Seconds of one training step of the demo's U-Net: forward, backward, clipping, AdamW, average.
//   unet_step [threads] [steps] [--layers]
// Prints one JSON line; with --layers also where the time goes. The peer: bench/peers/unet_step.py.
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <map>
#include <string>

#include "compute/adamw.h"
#include "models/unet.h"

using namespace tiller;

namespace {

double seconds(clockid_t clock) {
  timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

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

struct Times {
  std::vector<double> wall, cpu;
  static double median(std::vector<double> v) {
    std::sort(v.begin(), v.end());
    return v[v.size() / 2];
  }
  static double least(const std::vector<double>& v) { return *std::min_element(v.begin(), v.end()); }
};

// Milliseconds a pass, by kind and size of layer: the least of several.
void print_layers(Tape& tape, int repeats) {
  struct Cost {
    double forward = 0, backward = 0;
    int count = 0;
  };
  std::vector<std::pair<double, double>> best(tape.layers().size(), {1e9, 1e9});
  for (int k = 0; k < repeats; k++) {
    for (size_t i = 0; i < best.size(); i++) {
      const double start = seconds(CLOCK_MONOTONIC);
      tape.layers()[i]->forward();
      best[i].first = std::min(best[i].first, seconds(CLOCK_MONOTONIC) - start);
    }
    for (const auto& value : tape.values()) value->gradient_written = false;
    for (size_t i = best.size(); i-- > 0;) {
      const double start = seconds(CLOCK_MONOTONIC);
      tape.layers()[i]->backward();
      best[i].second = std::min(best[i].second, seconds(CLOCK_MONOTONIC) - start);
    }
  }
  std::map<std::string, Cost> costs;
  for (size_t i = 0; i < best.size(); i++) {
    const Layer& layer = *tape.layers()[i];
    const Shape& in = layer.inputs[0]->shape;
    Cost& cost = costs[std::string(layer.kind()) + " " + std::to_string(in.h) + "x" + std::to_string(in.w)];
    cost.forward += best[i].first, cost.backward += best[i].second, cost.count++;
  }
  Cost sum;
  for (const auto& [name, cost] : costs) {
    sum.forward += cost.forward, sum.backward += cost.backward;
    std::fprintf(stderr, "%8.2f %8.2f ms  %s (%d)\n", cost.forward * 1e3, cost.backward * 1e3, name.c_str(), cost.count);
  }
  std::fprintf(stderr, "%8.2f %8.2f ms  sum\n", sum.forward * 1e3, sum.backward * 1e3);
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

  const AdamW optimizer{.learning_rate = 1e-3, .beta2 = 0.99};
  Times times;
  for (int step = 1; step <= steps + 3; step++) {
    const double wall = seconds(CLOCK_MONOTONIC), cpu = seconds(CLOCK_PROCESS_CPUTIME_ID);
    parameters.zero_gradients();
    tape.forward();
    tape.backward();
    adamw_step(pool, parameters, optimizer, step);
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
