// passing_memory.h   what graphs of a device hold while they run: one buffer in which they take turns, as
// large as the largest of them needs. Weights and inputs are elsewhere.
#pragma once

#include "compute/device_weights.h"

namespace tiller {

class PassingMemory {
 public:
  explicit PassingMemory(const Backend& backend)
      : backend_(backend), allocator_(ggml_gallocr_new(ggml_backend_get_default_buffer_type(backend.get()))) {}
  PassingMemory(const PassingMemory&) = delete;
  PassingMemory& operator=(const PassingMemory&) = delete;

  // Gives the nodes of a graph their places, if another graph was here last. `tensors` are all that it may place.
  void place(ggml_cgraph* graph, ggml_context* tensors) {
    if (placed_ == graph) return;
    placed_ = nullptr;
    if (bytes() > 0) backend_.forget_buffers();  // it may grow, and what it was is freed
    for (ggml_tensor* t = ggml_get_first_tensor(tensors); t; t = ggml_get_next_tensor(tensors, t)) {
      t->data = nullptr;
      t->buffer = nullptr;
    }
    // Reserved first: alone, allocating would take a graph of as many nodes for the one before.
    if (!ggml_gallocr_reserve(allocator_.get(), graph) || !ggml_gallocr_alloc_graph(allocator_.get(), graph))
      throw OutOfDeviceMemory(backend_);
    placed_ = graph;
  }
  bool holds(const ggml_cgraph* graph) const { return placed_ == graph; }
  // The graph is gone; another may come to lie at its address.
  void leave(const ggml_cgraph* graph) {
    if (placed_ == graph) placed_ = nullptr;
  }

  // What a graph would need here. Its other tensors must have memory, or look like it.
  size_t planned_bytes(ggml_cgraph* graph) {
    size_t bytes = 0;
    ggml_gallocr_reserve_n_size(allocator_.get(), graph, nullptr, nullptr, &bytes);
    return bytes;
  }
  size_t bytes() const { return ggml_gallocr_get_buffer_size(allocator_.get(), 0); }

 private:
  const Backend& backend_;
  std::unique_ptr<ggml_gallocr, detail::Call<ggml_gallocr_free>> allocator_;
  const ggml_cgraph* placed_ = nullptr;
};

}  // namespace tiller
