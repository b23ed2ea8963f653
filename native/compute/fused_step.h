// A step within the backward pass: a layer's gradients are used as soon as they are there, and their memory is
// lent to the next layer. What is kept is as much as the largest layer has, not as the model has. To the bit the
// same as a step after it, as long as gradients are neither clipped by their norm, which is known when all have
// gone by, nor summed over several passes. (Called "fused backward pass" elsewhere.)
#pragma once
#include <stdexcept>

#include "compute/optimizer.h"
#include "compute/tape.h"

namespace tiller {

class FusedStep {
 public:
  // Of parameters that were allocated without gradients.
  FusedStep(Parameters& parameters, Optimizer& optimizer) : parameters_(parameters), optimizer_(optimizer) {
    if (!optimizer.fuses()) throw std::logic_error("this optimizer needs all gradients at once");
  }

  // After a forward pass. `step` counts from 1; settings.clip has no part in it. Returns the gradient's norm. If
  // that is not finite, some of the weights have been changed and others not.
  double backward(Tape& tape, const OptimizerSettings& settings, long step) {
    parameters_.zero_gradients();
    squares_ = 0;
    tape.backward([&](Layer& layer) {
      lend(layer.trained);
      layer.backward();
      for (Block* block : layer.trained) use(tape.pool, *block, settings, step);
    });
    // A gradient of zero, for what the pass did not reach.
    for (auto& block : parameters_.blocks()) {
      if (!block.trainable || block.gradient_written) continue;
      lend({&block});
      block.gradient_written = true;
      std::memset(block.gradient, 0, block.size() * sizeof(float));
      use(tape.pool, block, settings, step);
    }
    return std::sqrt(squares_);
  }

  // Numbers that gradients need at once, for a tape.
  static size_t lent_size(const Tape& tape) {
    size_t most = 0;
    for (const auto& layer : tape.layers()) {
      size_t size = 0;
      for (const Block* block : layer->trained) size += stride(*block);
      most = std::max(most, size);
    }
    return most;
  }

 private:
  static size_t stride(const Block& block) { return round_up(block.size(), Parameters::kBlockAlignment); }

  void lend(const std::vector<Block*>& blocks) {
    size_t size = 0;
    for (const Block* block : blocks) {
      if (block->gradient_written) throw std::logic_error("parameters of two layers can't be trained in a fused step");
      size += stride(*block);
    }
    if (size > lent_.size()) lent_ = HugeBuffer(size);
    float* at = lent_.data();
    for (Block* block : blocks) {
      block->gradient = at;
      at += stride(*block);
      std::memset(at - (stride(*block) - block->size()), 0, (stride(*block) - block->size()) * sizeof(float));
    }
  }

  void use(Pool& pool, Block& block, const OptimizerSettings& settings, long step) {
    if (!block.gradient_written) std::memset(block.gradient, 0, block.size() * sizeof(float));
    block.gradient_written = true;
    squares_ += sum_of_squares(pool, block.gradient, stride(block));
    const size_t end = block.offset + stride(block);
    if (std::isfinite(squares_))
      optimizer_.update_stretch(pool, settings, step, 1, {block.group, block.offset, end, block.gradient - block.offset});
    block.gradient = nullptr;
  }

  Parameters& parameters_;
  Optimizer& optimizer_;
  HugeBuffer lent_;
  double squares_ = 0;
};

} // namespace tiller
