// AdamW whose moments are kept in eight bits (compute/dynamic_quantization.h): 2 bytes a parameter instead of
// 8. The formulas and the running average are adamw.h's, on numbers that are read, changed, and written back.
#pragma once
#include <map>

#include "compute/adamw.h"
#include "compute/dynamic_quantization.h"

namespace tiller {

class AdamW8bit : public Optimizer {
 public:
  explicit AdamW8bit(Parameters& parameters) : Optimizer(parameters) {
    for (auto& moment : moments_) {
      moment.codes.resize(parameters.trainable_size());
      moment.scales.resize(parameters.trainable_size() / DynamicCode::kBlock);
    }
  }

  std::vector<std::string> states() const override { return {"first", "second"}; }

  // As floats, from which load() makes the same bytes.
  void store(const Parameter& tensor, size_t state, float* to) const override {
    const Moment& moment = moments_[state];
    tensor.walk([&](size_t inside, size_t outside) {
      to[outside] = code(state).values()[moment.codes[inside]] * moment.scales[inside / DynamicCode::kBlock];
    });
  }

  // Blocks are written when the last of their tensors is here.
  void load(const Parameter& tensor, size_t state, const float* from) override {
    for (const auto& segment : tensor.segments) {
      Arriving& block = arriving_[{segment.block, state}];
      block.values.resize(round_up(segment.block->size(), DynamicCode::kBlock));
      block.columns += segment.count;
    }
    tensor.walk([&](size_t inside, size_t outside) {
      for (const auto& segment : tensor.segments) {
        const size_t first = segment.block->offset;
        if (inside < first || inside >= first + segment.block->size()) continue;
        arriving_[{segment.block, state}].values[inside - first] = from[outside];
        break;
      }
    });
    for (const auto& segment : tensor.segments) {
      const auto found = arriving_.find({segment.block, state});
      if (found == arriving_.end() || found->second.columns < segment.block->out) continue;
      const auto& values = found->second.values;
      for (size_t i = 0; i < values.size(); i += DynamicCode::kBlock) write(state, segment.block->offset + i, values.data() + i);
      arriving_.erase(found);
    }
  }

  void update_stretch(Pool& pool, const OptimizerSettings& settings, long step, float clip, const Stretch& of) override {
    float* weights = parameters_.data(Buffer::weight);
    float* averages = parameters_.data(Buffer::average);
    const adamw_detail::Formula formula(settings, of.group, step, clip);
    each_part(pool, DynamicCode::kBlock, of.begin, of.end, [&](size_t begin, size_t end) {
      float first[DynamicCode::kBlock + kLanes], second[DynamicCode::kBlock + kLanes];
      for (size_t at = begin; at < end; at += DynamicCode::kBlock) {
        read(0, at, first), read(1, at, second);
        for (size_t i = 0; i < DynamicCode::kBlock; i += kLanes) {
          Vec m = tiller::load(first + i), v = tiller::load(second + i);
          formula.apply(of.gradients + at + i, weights + at + i, averages != nullptr ? averages + at + i : nullptr, m, v);
          tiller::store(first + i, m);
          tiller::store(second + i, v);
        }
        write(0, at, first), write(1, at, second);
      }
    });
  }

 private:
  static_assert(Parameters::kBlockAlignment % DynamicCode::kBlock == 0);

  struct Moment {
    std::vector<uint8_t> codes;
    std::vector<float> scales;
  };
  struct Arriving {
    std::vector<float> values;
    int columns = 0;
  };

  // A second moment has no sign.
  static const DynamicCode& code(size_t state) {
    return state == 0 ? DynamicCode::of_signed() : DynamicCode::of_unsigned();
  }
  void read(size_t state, size_t at, float* to) const {
    code(state).read(&moments_[state].codes[at], moments_[state].scales[at / DynamicCode::kBlock], to);
  }
  void write(size_t state, size_t at, const float* from) {
    moments_[state].scales[at / DynamicCode::kBlock] = code(state).write(from, &moments_[state].codes[at]);
  }

  std::array<Moment, 2> moments_;
  std::map<std::pair<const Block*, size_t>, Arriving> arriving_;
};

} // namespace tiller
