// device_weights.h   parameters' weights and gradients on a device, shared by all graphs there: one
// for training, one for validation, one for each size of samples. Weights on the host are F32; of matrices the
// device may have a copy in BF16 instead (precision.h). Gradients are F32.
#pragma once

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <unordered_map>
#include <vector>

#include "compute/ggml_backend.h"
#include "compute/graph_blocks.h"
#include "compute/parameters.h"
#include "compute/precision.h"
#include "formats/half.h"

namespace tiller {

// The device has too little memory: try again with a smaller batch.
struct OutOfDeviceMemory : std::runtime_error {
  explicit OutOfDeviceMemory(const Backend& backend)
      : std::runtime_error("not enough memory on " + backend.info().name + " for this model and batch") {}
};

namespace detail {

template <auto function>
struct Call {
  template <class T>
  void operator()(T* pointer) const {
    function(pointer);
  }
};

}  // namespace detail

using GgmlContext = std::unique_ptr<ggml_context, detail::Call<ggml_free>>;
using GgmlBuffer = std::unique_ptr<ggml_backend_buffer, detail::Call<ggml_backend_buffer_free>>;

inline GgmlContext make_context(size_t bytes) { return GgmlContext(ggml_init({bytes, nullptr, true})); }

// Tensors without memory look as if they had some: a graph's allocator then leaves them out of its plan.
inline void look_allocated(ggml_context* context) {
  static char elsewhere;
  for (ggml_tensor* t = ggml_get_first_tensor(context); t; t = ggml_get_next_tensor(context, t)) {
    if (!t->data) t->data = &elsewhere;
  }
}

class DeviceWeights {
 public:
  explicit DeviceWeights(const Backend& backend, Precision precision = Precision::f32)
      : backend_(backend), precision_(precision) {}
  ~DeviceWeights() { backend_.forget_buffers(); }
  DeviceWeights(const DeviceWeights&) = delete;
  DeviceWeights& operator=(const DeviceWeights&) = delete;

  const Backend& backend() const { return backend_; }
  Precision precision() const { return precision_; }

  // In the layout of graph.h. A tensor has no memory before the next allocate().
  ggml_tensor* weight(Block* block) {
    return tensor(block, weights_, block->packed ? matrix_type(precision_) : GGML_TYPE_F32);
  }
  ggml_tensor* gradient(Block* block) { return tensor(block, gradients_, GGML_TYPE_F32); }

  void allocate() {
    for (const auto& context : contexts_) {
      if (!has_new(context.get())) continue;
      GgmlBuffer buffer(ggml_backend_alloc_ctx_tensors(context.get(), backend_.get()));
      if (!buffer) throw OutOfDeviceMemory(backend_);
      buffers_.push_back(std::move(buffer));
    }
  }

  // The weights on the host were written: by an optimizer's step, or read from a file.
  void changed() { sent_.clear(); }

  // Sends the weights that the layers are to use, if the device doesn't have them.
  void send() {
    for (Block* block : weights_.order) {
      const float*& sent = sent_[block];
      if (sent == block->weight) continue;  // it moves when Parameters::use() is called
      sent = block->weight;
      staging_.resize(unpacked_size(*block));
      unpack(*block, block->weight, staging_.data());
      ggml_tensor* to = weights_.tensors[block];
      const void* from = staging_.data();
      if (to->type == GGML_TYPE_BF16) {
        rounded_.resize(staging_.size());
        std::transform(staging_.begin(), staging_.end(), rounded_.begin(), to_bf16);
        from = rounded_.data();
      }
      ggml_backend_tensor_set(to, from, 0, ggml_nbytes(to));
    }
  }

  // Fetches a gradient that a backward pass has written; overwrites or adds, as the block's turn is.
  void fetch_gradient(Block* block) {
    ggml_tensor* from = gradients_.tensors.at(block);
    staging_.resize(unpacked_size(*block));
    ggml_backend_tensor_get(from, staging_.data(), 0, ggml_nbytes(from));
    pack(*block, staging_.data(), block->gradient, block->accumulate_gradient());
  }

  // For graphs that are only described: no tensor of this has memory, now or later.
  void describe() {
    for (const auto& context : contexts_) look_allocated(context.get());
  }
  // What the tensors take of the device, allocated or described.
  size_t weight_bytes() const { return bytes_of(weights_); }
  size_t gradient_bytes() const { return bytes_of(gradients_); }

  size_t bytes() const {
    size_t sum = 0;
    for (const auto& buffer : buffers_) sum += ggml_backend_buffer_get_size(buffer.get());
    return sum;
  }

 private:
  struct Tensors {
    std::vector<Block*> order;  // of first use
    std::unordered_map<const Block*, ggml_tensor*> tensors;
  };
  static constexpr int kTensors = 1024;  // of one context

  const Backend& backend_;
  const Precision precision_;
  Tensors weights_, gradients_;
  std::vector<GgmlContext> contexts_;
  int room_ = 0;
  std::vector<GgmlBuffer> buffers_;
  std::vector<float> staging_;
  std::vector<uint16_t> rounded_;
  std::unordered_map<const Block*, const float*> sent_;

  ggml_tensor* tensor(Block* block, Tensors& of, ggml_type type) {
    ggml_tensor*& found = of.tensors[block];
    if (found) return found;
    if (room_-- == 0) {
      contexts_.push_back(make_context(kTensors * ggml_tensor_overhead()));
      room_ = kTensors - 1;
    }
    ggml_context* context = contexts_.back().get();
    const int64_t in = block->in, out = block->out;
    found = !block->packed      ? ggml_new_tensor_2d(context, type, out, in)
            : block->taps == 1 ? ggml_new_tensor_2d(context, type, in, out)
                               : ggml_new_tensor_4d(context, type, 3, 3, in, out);
    of.order.push_back(block);
    return found;
  }

  size_t bytes_of(const Tensors& of) const {
    ggml_backend_buffer_type_t type = ggml_backend_get_default_buffer_type(backend_.get());
    const size_t alignment = ggml_backend_buft_get_alignment(type);
    size_t sum = 0;
    for (const auto& [block, tensor] : of.tensors)
      sum += (ggml_backend_buft_get_alloc_size(type, tensor) + alignment - 1) / alignment * alignment;
    return sum;
  }

  static bool has_new(ggml_context* context) {
    for (ggml_tensor* t = ggml_get_first_tensor(context); t; t = ggml_get_next_tensor(context, t)) {
      if (!t->data) return true;
    }
    return false;
  }
};

}  // namespace tiller
