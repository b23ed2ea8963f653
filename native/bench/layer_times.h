// What a benchmark of steps is measured with.
#pragma once
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <map>
#include <string>
#include <vector>

#include "compute/tape.h"

namespace tiller {

inline double seconds(clockid_t clock) {
  timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
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
inline void print_layers(Tape& tape, int repeats) {
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
      if (tape.wants_backward((int)i)) tape.layers()[i]->backward();
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

} // namespace tiller
