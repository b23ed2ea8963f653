// A step of a sampler: x goes from one noise level to the next. A sampler keeps what it has to remember
// between steps, and sees them in order, each once.
#pragma once

#include <functional>
#include <vector>

#include "diffusion/schedule.h"

namespace tiller {

struct Step {
  int index;            // in the whole walk: a walk that begins later has the same noise at the same step
  NoiseLevel from, to;  // never to σ 0, where x is x0 whatever the sampler
  std::vector<float>& x;
  const std::vector<float>& x0;  // what the model says of x at `from`
  // What the model says of another x at another level.
  const std::function<void(const NoiseLevel&, const std::vector<float>& x, std::vector<float>& x0)>& predict;
};

class Sampler {
 public:
  virtual ~Sampler() = default;
  virtual void step(const Step& step) = 0;
};

}  // namespace tiller
