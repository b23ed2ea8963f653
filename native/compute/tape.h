// The tape: a list of layers that run in order, and backwards for the gradients. Every activation is
// a Value [N, H, W, C], channels innermost; tokens are [N, 1, T, C], and a picture read as tokens is
// the same memory.
//
// Building a tape allocates nothing. finish() then knows when each buffer is needed and lays all of
// them out in one arena; a graph for a GPU is built from the same tape without finish().
//
//   Tape tape(pool, /*training=*/true);
//   Value* x = tape.input({n, h, w, c});
//   Value* y = tape.add<Linear>(x, …).y;
//   tape.finish();                    // or lay_out() and bind(): tapes that take turns share an arena
//   …fill x->data…; tape.forward(); …fill y->gradient…; tape.backward();
#pragma once
#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "compute/arena.h"
#include "compute/parameters.h"
#include "compute/pool.h"

namespace tiller {

struct Shape {
  int n = 1, h = 1, w = 1, c = 1;
  int tokens() const { return h * w; }   // of one picture
  int rows() const { return n * h * w; } // of channels
  size_t size() const { return (size_t)rows() * c; }
};

namespace onednn {
class Products; // onednn/products.h
}
class Graph; // compute/graph.h
class Layer;
class Tape;

struct Value {
  Shape shape;
  bool external = false;       // filled or read by the caller: keeps its memory for good
  bool needs_gradient = false; // something trainable lies before it
  float* data = nullptr;
  float* gradient = nullptr;

  // A residual sum's gradient is its input's first gradient: where nothing else has written that
  // yet, both are one buffer.
  Value* gradient_shared_with = nullptr;
  bool gradient_written = false; // in this backward pass
  Layer* producer = nullptr;     // null for inputs

  int channels() const { return shape.c; }
  int rows() const { return shape.rows(); }
  // Whether a layer's backward must add to the gradient; if not, it overwrites what is there.
  bool accumulate_gradient() {
    const bool written = gradient_written;
    gradient_written = true;
    return written;
  }
};

// A layer says in its constructor, by reads(), makes(), keeps() and trains(), what it touches.
class Layer {
 public:
  explicit Layer(Tape& tape) : tape(&tape) {}
  virtual ~Layer() = default;
  virtual const char* kind() const = 0;
  virtual void forward() = 0;
  // Reads its outputs' gradients, which it may destroy; adds to (or begins) those of its inputs and
  // parameters.
  virtual void backward() = 0;
  // Shared scratch floats that forward() or backward() wants in workspace().
  virtual size_t workspace_size() const { return 0; }
  // The same two as nodes of a ggml graph, for other devices than the CPU.
  virtual void graph_forward(Graph&) { throw std::logic_error(std::string(kind()) + " has no graph"); }
  virtual void graph_backward(Graph&) { throw std::logic_error(std::string(kind()) + " has no graph"); }

  std::vector<Value*> inputs, outputs;
  std::vector<Value*> kept; // values whose data backward() reads
  std::vector<Block*> trained; // parameters whose gradients backward() writes
  Value* residual = nullptr; // an input that is added to outputs[0], and is not used otherwise
  Tape* const tape;

 protected:
  Value* reads(Value* value) {
    if (value != nullptr) inputs.push_back(value);
    return value;
  }
  Value* keeps(Value* value) {
    if (value != nullptr) kept.push_back(value);
    return value;
  }
  void trains(const std::vector<Block*>& blocks) {
    for (Block* block : blocks)
      if (block != nullptr && block->trainable) trained.push_back(block);
  }
  // A new output. It needs a gradient if any input read so far does, or if `trainable`.
  Value* makes(Shape shape, bool trainable);
  // A new output without a gradient: what forward() saves for backward().
  Value* saves(Shape shape);
  bool any_input_needs_gradient() const {
    return std::any_of(inputs.begin(), inputs.end(), [](Value* v) { return v->needs_gradient; });
  }
  Pool& pool() const;
  float* workspace() const;
  // residual->gradient (+)= outputs[0]->gradient
  void pass_residual_gradient() const;
};

// One turn of a backward pass.
struct Turn {
  int layer;
  bool again; // forward() once more, not backward()
};
struct Plan {
  std::vector<Turn> turns;
  std::set<const Value*> passing; // made within a segment and read nowhere else: computed again
};

class Tape {
 public:
  Tape(Pool& pool, bool training, onednn::Products* products = nullptr) : pool(pool), training(training), products(products) {}
  Tape(const Tape&) = delete;
  Tape& operator=(const Tape&) = delete;

  // A value that the caller fills before forward().
  Value* input(Shape shape, bool needs_gradient = false) {
    Value* value = make_value(shape);
    value->external = true;
    value->needs_gradient = needs_gradient && training;
    return value;
  }

  template <class L, class... Arguments>
  L& add(Arguments&&... arguments) {
    auto layer = std::make_unique<L>(*this, std::forward<Arguments>(arguments)...);
    L& added = *layer;
    for (Value* value : added.outputs) value->producer = &added;
    layers_.push_back(std::move(layer));
    return added;
  }

  // Layers that are added while one lives keep nothing for their backward pass but what lies at their
  // ends: the rest is computed again (tape_plan.h). A step costs up to a third more, and an activation's
  // memory is that of one segment.
  class Segment {
   public:
    Segment(Tape& tape, bool on) : tape_(tape), on_(on && tape.training), begin_((int)tape.layers_.size()) {}
    ~Segment() {
      if (on_) tape_.segments_.push_back({begin_, (int)tape_.layers_.size()});
    }
    Segment(const Segment&) = delete;
    Segment& operator=(const Segment&) = delete;

   private:
    Tape& tape_;
    const bool on_;
    const int begin_;
  };

  // Keeps a value's data (and gradient) readable after forward() and backward().
  void expose(Value* value) { value->external = true; }

  // Lays out the buffers, which then need so many floats.
  size_t lay_out();
  // Where they lie from now on. What is in them is lost if the arena is another's in the meantime.
  void bind(float* arena);
  void finish() {
    arena_ = HugeBuffer(lay_out());
    bind(arena_.data());
  }
  void forward() {
    for (auto& layer : layers_) layer->forward();
  }
  // The caller has written the gradients of the values that nothing reads, or a loss layer does.
  void backward() {
    backward([](Layer& layer) { layer.backward(); });
  }
  // In which a layer's turn is go_back(layer), which calls its backward().
  template <class GoBack>
  void backward(const GoBack& go_back) {
    if (!training) throw std::logic_error("this tape was built for inference");
    for (auto& value : values_) value->gradient_written = false;
    for (const auto& [layer, again] : turns_) again ? layers_[layer]->forward() : go_back(*layers_[layer]);
  }
  // What backward() is to do, and which values are computed again. finish() asks for it, and a graph.
  Plan plan() const;
  bool wants_backward(int layer) const;

  const std::vector<std::unique_ptr<Layer>>& layers() const { return layers_; }
  const std::vector<std::unique_ptr<Value>>& values() const { return values_; }
  float* workspace() const { return workspace_; }
  size_t bytes() const { return floats_ * sizeof(float); }

  Value* make_value(Shape shape) {
    values_.push_back(std::make_unique<Value>());
    values_.back()->shape = shape;
    return values_.back().get();
  }

  Pool& pool;
  const bool training;
  onednn::Products* const products; // where layers have their large products from; null: our own kernels

 private:
  struct Span {
    int begin, end; // layers
  };
  std::vector<std::unique_ptr<Layer>> layers_;
  std::vector<std::unique_ptr<Value>> values_;
  std::vector<Span> segments_; // in order
  std::vector<Turn> turns_;
  std::vector<std::pair<float**, size_t>> places_; // pointers, and where in the arena they point
  size_t floats_ = 0;
  HugeBuffer arena_; // finish()'s
  float* workspace_ = nullptr;
};

inline Pool& Layer::pool() const { return tape->pool; }
inline float* Layer::workspace() const { return tape->workspace(); }

} // namespace tiller

#include "compute/tape_memory.h"
#include "compute/tape_plan.h"
