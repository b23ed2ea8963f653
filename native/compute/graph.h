// graph.h   what a layer sees when a tape is written down as a ggml graph: the tensors of Values and
// Blocks, to which it adds nodes. graph_runner.h drives the layers and runs the result.
//
// A value's tensor can be had as tokens or as planes (graph_nodes.h); whichever is missing is made
// from the other, once. A block's tensor is in PyTorch's layout: a matrix [in, out], a convolution
// [3, 3, in, out], a plain block [out] or [out, rows], in ggml's order.
#pragma once

#include <functional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "compute/device_weights.h"
#include "compute/graph_nodes.h"
#include "compute/parameters.h"
#include "compute/tape.h"

namespace tiller {

class Graph : public Nodes {
 public:
  // `passing` holds the nodes; what is in `lasting` keeps its memory from run to run.
  Graph(ggml_context* passing, ggml_context* lasting, ggml_cgraph* nodes, DeviceWeights& weights)
      : Nodes(passing, weights.backend(), weights.precision()), lasting_(lasting), nodes_(nodes), weights_(weights) {}

  // ---- values --------------------------------------------------------------------------------

  // [C, T, N]
  Tensor tokens(const Value* value) { return tokens_of(value, values_[value]); }
  // [W, H, C, N]
  Tensor planes(const Value* value) { return planes_of(value, values_[value]); }
  void set_tokens(const Value* value, Tensor x) { values_[value] = {run(shaped(value, x)), nullptr}; }
  void set_planes(const Value* value, Tensor x) { values_[value] = {nullptr, run(x)}; }

  // ---- their gradients -----------------------------------------------------------------------

  Tensor gradient(const Value* value) { return tokens_of(value, gradients_[value]); }
  Tensor gradient_planes(const Value* value) { return planes_of(value, gradients_[value]); }
  bool has_gradient(const Value* value) const { return gradients_.count(value) > 0; }

  // Adds to the value's gradient, or begins it. Without effect where none is needed.
  void add_gradient(const Value* value, Tensor g) {
    if (!value->needs_gradient) return;
    g = shaped(value, g);
    if (has_gradient(value)) g = plus(gradient(value), g);
    gradients_[value] = {run(g), nullptr};
  }
  void add_gradient_planes(const Value* value, Tensor g) {
    if (!value->needs_gradient) return;
    if (has_gradient(value)) g = plus(gradient_planes(value), g);
    gradients_[value] = {nullptr, run(g)};
  }

  // ---- parameters ----------------------------------------------------------------------------

  Tensor weight(Block* block) { return weights_.weight(block); }

  // Without effect for a frozen block.
  void add_gradient(Block* block, Tensor g) {
    if (!block->trainable) return;
    g = as_like(cont(g), weight(block));
    Tensor& written = written_[block];
    if (written) g = plus(written, g);  // a block that two layers share
    else trained_.push_back(block);
    written = run(ggml_cpy(context(), g, weights_.gradient(block)));
  }

  // ---- numbers from outside ------------------------------------------------------------------

  // Read from `host` before every forward pass.
  Tensor input(std::vector<int64_t> shape, const float* host) {
    Tensor x = lasting(GGML_TYPE_F32, shape);
    inputs_.push_back({x, host});
    return x;
  }
  // Numbers that a layer makes on the processor: `fill` is called before every pass.
  Tensor computed(ggml_type type, std::vector<int64_t> shape, std::function<void(void*)> fill) {
    Tensor x = lasting(type, shape);
    computed_.push_back({x, std::move(fill)});
    return x;
  }
  // Written to `host` after every forward pass.
  void output(Tensor x, float* host) { outputs_.push_back({kept(x), host}); }
  // `receive` is called with its numbers after every forward pass.
  void report(Tensor x, std::function<void(const float*)> receive) { reports_.push_back({kept(x), std::move(receive)}); }
  Tensor constant(ggml_type type, std::vector<int64_t> shape, const void* data) {
    Tensor x = lasting(type, shape);
    const auto* bytes = static_cast<const std::byte*>(data);
    constants_.push_back({x, {bytes, bytes + ggml_nbytes(x)}});
    return x;
  }
  Tensor zeros(std::vector<int64_t> shape) {
    int64_t count = 1;
    for (int64_t n : shape) count *= n;
    return constant(GGML_TYPE_F32, shape, std::vector<float>(count).data());
  }
  // [T, T]: query t (a row) sees keys 0 … t
  Tensor causal_mask(int size) {
    Tensor& mask = masks_[size];
    if (mask) return mask;
    std::vector<float> values(static_cast<size_t>(size) * size);
    for (int q = 0; q < size; q++) {
      for (int k = q + 1; k < size; k++) values[static_cast<size_t>(q) * size + k] = -INFINITY;
    }
    return mask = constant(GGML_TYPE_F32, {size, size}, values.data());
  }
  // k² - 1 … 0: turns a kernel round, for conv_grad_x
  Tensor reversed_taps(int taps) {
    Tensor& tensor = reversed_[taps];
    if (!tensor) {
      std::vector<int32_t> order;
      for (int i = taps - 1; i >= 0; i--) order.push_back(i);
      tensor = constant(GGML_TYPE_I32, {taps}, order.data());
    }
    return tensor;
  }

 private:
  friend class GraphRunner;
  struct Layouts {
    Tensor tokens = nullptr, planes = nullptr;
  };
  struct Transfer {
    Tensor tensor;
    const void* from;
  };
  struct Computed {
    Tensor tensor;
    std::function<void(void*)> fill;
  };
  struct Report {
    Tensor tensor;
    std::function<void(const float*)> receive;
  };
  struct Result {
    Tensor tensor;
    float* to;
  };
  struct Constant {
    Tensor tensor;
    std::vector<std::byte> bytes;
  };
  ggml_context* lasting_;
  ggml_cgraph* nodes_;
  DeviceWeights& weights_;
  std::unordered_map<const Value*, Layouts> values_, gradients_;
  std::unordered_map<const Block*, Tensor> written_;  // gradients, by nodes
  std::vector<Block*> trained_;
  std::unordered_map<int, Tensor> reversed_, masks_;
  std::vector<Transfer> inputs_;
  std::vector<Computed> computed_;
  std::vector<Result> outputs_;
  std::vector<Report> reports_;
  std::vector<Constant> constants_;

  Tensor lasting(ggml_type type, const std::vector<int64_t>& shape) {
    return ggml_new_tensor(lasting_, type, static_cast<int>(shape.size()), shape.data());
  }
  // Nodes run in the order in which layers add them, so that memory is held as short as possible.
  Tensor run(Tensor x) {
    ggml_build_forward_expand(nodes_, x);
    return x;
  }
  // Its memory isn't used again by later nodes. A view's memory is that of what it shows.
  Tensor kept(Tensor x) {
    ggml_set_output(x);
    if (x->view_src) ggml_set_output(x->view_src);
    return run(x);
  }
  Tensor shaped(const Value* value, Tensor x) {
    const Shape& s = value->shape;
    return ggml_reshape_3d(context(), cont(x), s.c, s.tokens(), s.n);
  }
  Tensor tokens_of(const Value* value, Layouts& layouts) {
    require(value, layouts);
    if (!layouts.tokens) layouts.tokens = shaped(value, to_tokens(layouts.planes));
    return layouts.tokens;
  }
  Tensor planes_of(const Value* value, Layouts& layouts) {
    require(value, layouts);
    if (!layouts.planes) layouts.planes = to_planes(layouts.tokens, value->shape.w, value->shape.h);
    return layouts.planes;
  }
  static void require(const Value* value, const Layouts& layouts) {
    if (layouts.tokens || layouts.planes) return;
    const char* layer = value->producer ? value->producer->kind() : "input";
    throw std::logic_error(std::string("nothing has set the graph's tensor of a value of ") + layer);
  }
};

}  // namespace tiller
