// A model's parameters. To the outside each is a named tensor in PyTorch's layout (a convolution
// [out, in, 3, 3], a linear layer [out, in]). Inside, all live in one flat F32 buffer each for
// weights, gradients and the running average; matrices are packed into panels. What an optimizer
// remembers of them is its own (compute/optimizer.h).
//
// Models first describe their tensors (nothing is allocated: an 860M-parameter model can be counted
// on any machine), then allocate() is called once, then weights are loaded or initialised.
#pragma once
#include <deque>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

#include "compute/arena.h"
#include "compute/rng.h"

namespace tiller {

enum class Buffer { weight, gradient, average };

// A stretch of the flat buffers. A plain block holds `in` rows of `out` floats, one after another.
// A packed one holds `taps` matrices [in, out] in panels of kPanel columns:
//   element (tap, i, o) = panel o / kPanel, row tap * in + i, column o % kPanel
// and columns past `out` are zero, also in the gradient.
struct Block {
  int taps = 1, in = 1, out = 0;
  bool packed = false;
  bool trainable = true;
  int group = 0; // of the learning rate
  size_t offset = 0;
  float* weight = nullptr;
  float* gradient = nullptr;     // null for frozen blocks, and in a model that is not trained
  bool gradient_written = false; // since the last zero_gradients()

  int rows() const { return taps * in; }
  int panels() const { return (out + kPanel - 1) / kPanel; }
  size_t size() const {
    return packed ? (size_t)panels() * rows() * kPanel : round_up((size_t)in * out, kPanel);
  }
  size_t index(int tap, int i, int o) const {
    if (!packed) return (size_t)i * out + o;
    return ((size_t)(o / kPanel) * rows() + (size_t)tap * in + i) * kPanel + o % kPanel;
  }
  // Whether a layer's backward must add to the gradient; if not, it overwrites what is there.
  bool accumulate_gradient() {
    const bool written = gradient_written;
    gradient_written = true;
    return written;
  }
};

struct Initialization {
  enum Kind { zeros, ones, uniform, normal } kind = zeros;
  float scale = 0; // the bound of a uniform, the deviation of a normal distribution
};

// PyTorch's default for linear layers and convolutions, weights and biases alike.
inline Initialization fan_in_uniform(int fan_in) {
  return {Initialization::uniform, 1 / std::sqrt((float)fan_in)};
}

// `count` outputs of a tensor, from `tensor_out` on, are columns of a block, from `block_out` on.
struct Segment {
  Block* block;
  int tensor_out, block_out, count;
};

class Parameters;

// One named tensor.
struct Parameter {
  std::string name;
  std::vector<int> shape;
  std::vector<Segment> segments;
  Initialization initialization;
  Parameters* owner;

  size_t size() const {
    size_t n = 1;
    for (const int d : shape) n *= (size_t)d;
    return n;
  }
  bool trainable() const { return segments[0].block->trainable; }

  void load(const float* from, Buffer buffer = Buffer::weight);
  void store(float* to, Buffer buffer = Buffer::weight) const;

  // Calls visit(index in the flat buffer, index in the tensor) for each element.
  template <class Visit>
  void walk(const Visit& visit) const {
    for (const auto& [block, tensor_out, block_out, count] : segments) {
      const int in = block->in, taps = block->taps;
      for (int o = 0; o < count; o++)
        for (int i = 0; i < in; i++)
          for (int tap = 0; tap < taps; tap++) {
            const size_t outside = block->packed ? ((size_t)(tensor_out + o) * in + i) * taps + tap
                                                 : (size_t)i * block->out + tensor_out + o;
            visit(block->offset + block->index(tap, i, block_out + o), outside);
          }
    }
  }
};

class Parameters {
 public:
  Parameters() = default;
  Parameters(const Parameters&) = delete; // blocks and tensors are pointed at
  Parameters& operator=(const Parameters&) = delete;

  // Blocks described from now on are frozen (or not): no gradient, no moments, no average.
  void set_trainable(bool trainable) { trainable_ = trainable; }
  bool trainable() const { return trainable_; }
  // Blocks described from now on are of this group, 0 or 1: each has a learning rate of its own.
  void set_group(int group) { group_ = group; }

  // A packed matrix of `taps` x [in, out]: 9 taps for a 3x3 convolution, 1 for a linear layer.
  Block* matrix(int taps, int in, int out) { return block({taps, in, out, true, trainable_, group_}); }
  // `rows` x `columns` floats as they are: a bias, a norm's scale, a table of embeddings.
  Block* plain(int rows, int columns) { return block({1, rows, columns, false, trainable_, group_}); }

  Parameter* name(std::string name, std::vector<int> shape, std::vector<Segment> segments,
                  Initialization initialization) {
    if (by_name_.count(name)) throw std::logic_error("two tensors are called " + name);
    tensors_.push_back({std::move(name), std::move(shape), std::move(segments), initialization, this});
    Parameter* tensor = &tensors_.back();
    by_name_[tensor->name] = tensor;
    return tensor;
  }

  std::deque<Parameter>& tensors() { return tensors_; }
  const std::deque<Parameter>& tensors() const { return tensors_; }
  std::deque<Block>& blocks() { return blocks_; }
  Parameter* find(const std::string& name) const {
    const auto found = by_name_.find(name);
    return found == by_name_.end() ? nullptr : found->second;
  }
  // How many numbers the tensors hold (padding inside blocks is not counted).
  size_t count() const {
    size_t n = 0;
    for (const auto& tensor : tensors_) n += tensor.size();
    return n;
  }

  size_t trained_count() const {
    size_t n = 0;
    for (const auto& tensor : tensors_) n += tensor.trainable() ? tensor.size() : 0;
    return n;
  }

  // Lays the blocks out, trainable ones first, group by group. Without `training` only weights are kept;
  // with `average` also their running average. Without `gradients` those of trained blocks are lent memory
  // in turn (compute/fused_step.h).
  void allocate(bool training, bool average = true, bool gradients = true) {
    gradients = gradients && training;
    size_t offset = 0;
    const auto place = [&](const auto& chosen) {
      for (auto& block : blocks_) {
        if (!chosen(block)) continue;
        block.offset = offset;
        offset += round_up(block.size(), kBlockAlignment);
      }
    };
    for (int group = 0; group < kGroups; group++) {
      place([&](const Block& block) { return block.trainable && block.group == group; });
      group_ends_[group] = offset;
    }
    place([](const Block& block) { return !block.trainable; });
    buffer(Buffer::weight) = HugeBuffer(offset);
    if (average) buffer(Buffer::average) = HugeBuffer(trainable_size());
    if (gradients) buffer(Buffer::gradient) = HugeBuffer(trainable_size());
    for (auto& block : blocks_) {
      block.gradient = block.trainable && gradients ? data(Buffer::gradient) + block.offset : nullptr;
    }
    use(Buffer::weight);
  }

  // From now on the layers compute with the weights, or with their running average.
  void use(Buffer source) {
    for (auto& block : blocks_) {
      block.weight = data(block.trainable ? source : Buffer::weight) + block.offset;
    }
  }

  // Fills the weights with f(seed, the tensor's name), and sets the average to the same.
  void initialize(uint64_t seed) {
    for (auto& tensor : tensors_) initialize(seed, tensor);
    reset_average();
  }
  void initialize(uint64_t seed, Parameter& tensor) {
    const auto [kind, scale] = tensor.initialization;
    RandomStream random(seed, Purpose::initialization, 0, hash_name(tensor.name));
    std::vector<float> values(tensor.size());
    for (auto& x : values) {
      x = kind == Initialization::uniform  ? scale * (2 * random.uniform() - 1)
          : kind == Initialization::normal ? scale * random.normal()
                                           : (float)(kind == Initialization::ones);
    }
    tensor.load(values.data());
  }

  void reset_average() {
    if (data(Buffer::average) == nullptr) return;
    std::memcpy(data(Buffer::average), data(Buffer::weight), trainable_size() * sizeof(float));
  }

  // The next backward pass overwrites the gradients; further ones add to them.
  void zero_gradients() {
    for (auto& block : blocks_) block.gradient_written = false;
  }

  // A whole flat buffer: trainable_size() floats (the weights are followed by the frozen ones).
  float* data(Buffer kind) { return buffer(kind).data(); }
  const float* data(Buffer kind) const { return buffers_[(int)kind].data(); }
  size_t trainable_size() const { return group_ends_[kGroups - 1]; }

  static constexpr int kGroups = 2;
  // Blocks begin at multiples of so many floats: an optimizer may treat that many as one.
  static constexpr size_t kBlockAlignment = 256;
  // Where a group of trained blocks lies in the flat buffers.
  std::pair<size_t, size_t> group(int number) const {
    return {number == 0 ? 0 : group_ends_[number - 1], group_ends_[number]};
  }

 private:
  Block* block(Block block) {
    blocks_.push_back(block);
    return &blocks_.back();
  }
  HugeBuffer& buffer(Buffer kind) { return buffers_[(int)kind]; }

  bool trainable_ = true;
  int group_ = 0;
  std::deque<Block> blocks_; // a deque: pointers to its elements stay valid
  std::deque<Parameter> tensors_;
  std::map<std::string, Parameter*> by_name_;
  HugeBuffer buffers_[3];
  size_t group_ends_[kGroups] = {};
};

// Reads a tensor in PyTorch's layout.
inline void Parameter::load(const float* from, Buffer buffer) {
  float* flat = owner->data(buffer);
  walk([&](size_t inside, size_t outside) { flat[inside] = from[outside]; });
}

// Writes the tensor in PyTorch's layout. The running average of a frozen tensor is itself.
inline void Parameter::store(float* to, Buffer buffer) const {
  if (buffer == Buffer::average && !trainable()) buffer = Buffer::weight;
  const float* flat = std::as_const(*owner).data(buffer);
  walk([&](size_t inside, size_t outside) { to[outside] = flat[inside]; });
}

} // namespace tiller
