// graph_runner.h   runs a tape on a device, as one ggml graph. The same two calls as the tape's own,
// with numbers in the same places before and after: what external values hold, blocks' gradients.
//
//   Tape tape(pool, training);  …build the model, without finish()…
//   DeviceWeights weights(backend);   shared by the graphs of a device
//   GraphRunner runner(tape, weights);
//   …fill x->data…; runner.forward(); …fill y->gradient…; runner.backward();
//
// Weights stay on the device, and are sent again only after weights.changed(). Runners that share their passing
// memory take turns: a backward() belongs to the forward() right before it.
#pragma once

#include <memory>
#include <stdexcept>
#include <vector>

#include "compute/graph.h"
#include "compute/passing_memory.h"

namespace tiller {

class GraphRunner {
 public:
  GraphRunner(Tape& tape, DeviceWeights& weights)
      : GraphRunner(tape, weights, std::make_shared<PassingMemory>(weights.backend())) {}
  GraphRunner(Tape& tape, DeviceWeights& weights, std::shared_ptr<PassingMemory> memory)
      : GraphRunner(tape, weights, std::move(memory), true) {}
  ~GraphRunner() {
    passing_memory_->leave(whole_);
    backend_.forget_buffers();
  }
  GraphRunner(const GraphRunner&) = delete;
  GraphRunner& operator=(const GraphRunner&) = delete;

  // What the graph of a tape would take of a device beside the weights; nothing is allocated there.
  struct Needs {
    size_t passing, lasting;  // bytes
    int nodes, splits;
  };
  // `weights` is described likewise. Errors: OpMissing.
  static Needs needs(Tape& tape, DeviceWeights& weights) {
    GraphRunner runner(tape, weights, std::make_shared<PassingMemory>(weights.backend()), false);
    ggml_context* lasting = runner.lasting_.get();
    ggml_backend_buffer_type_t type = ggml_backend_get_default_buffer_type(weights.backend().get());
    const size_t bytes = ggml_backend_alloc_ctx_tensors_from_buft_size(lasting, type);
    look_allocated(lasting);
    weights.describe();
    return {runner.passing_memory_->planned_bytes(runner.whole_), bytes, runner.nodes(), runner.splits()};
  }

  void forward() {
    passing_memory_->place(whole_, passing_.get());
    weights_.send();
    for (const auto& [tensor, from] : graph_.inputs_) send(tensor, from);
    send_computed();
    compute(0);
    for (const auto& [tensor, to] : graph_.outputs_) fetch(tensor, to);
    for (const auto& [tensor, receive] : graph_.reports_) {
      staging_.resize(ggml_nelements(tensor));
      fetch(tensor, staging_.data());
      receive(staging_.data());
    }
  }

  void backward() {
    if (!tape_.training) throw std::logic_error("this tape was built for inference");
    if (!passing_memory_->holds(whole_)) throw std::logic_error("another graph has run since forward()");
    for (const auto& [tensor, from] : seeds_) send(tensor, from);
    send_computed();
    compute(1);
    for (const auto& [tensor, to] : input_gradients_) fetch(tensor, to);
    for (Block* block : graph_.trained_) weights_.fetch_gradient(block);
  }

  // How many nodes a training step has, forward and backward.
  int nodes() const { return ggml_graph_n_nodes(whole_); }
  // Into how many pieces the graph is cut, on different devices: the one. An op that the device lacks is
  // replaced where a layer composes its nodes, else the graph is refused; none is ever run on the processor,
  // which would copy its numbers there and back unseen.
  int splits() const { return splits_; }

  // Without the weights'
  size_t bytes() const { return passing_memory_->bytes() + lasting_bytes(); }
  // Without what it shares with others
  size_t lasting_bytes() const { return lasting_memory_ ? ggml_backend_buffer_get_size(lasting_memory_.get()) : 0; }

 private:
  Tape& tape_;
  const Backend& backend_;
  DeviceWeights& weights_;
  size_t nodes_;
  GgmlContext passing_, lasting_;
  ggml_cgraph* whole_;
  Graph graph_;
  int forward_nodes_ = 0, splits_ = 0;
  ggml_cgraph* parts_[2] = {};                         // forward, backward
  std::vector<std::pair<int, const char*>> starts_;    // the first node of each layer
  GgmlBuffer lasting_memory_;
  std::shared_ptr<PassingMemory> passing_memory_;
  std::vector<HugeBuffer> host_memory_;
  std::vector<Graph::Transfer> seeds_;          // gradients that the caller writes
  std::vector<Graph::Result> input_gradients_;  // gradients that the caller reads
  std::vector<float> staging_;

  GraphRunner(Tape& tape, DeviceWeights& weights, std::shared_ptr<PassingMemory> memory, bool allocates)
      : tape_(tape),
        backend_(weights.backend()),
        weights_(weights),
        nodes_(256 * tape.layers().size() + 1024),
        passing_(make_context(nodes_ * ggml_tensor_overhead() + 3 * graph_bytes())),
        lasting_(make_context((nodes_ / 8 + 1024) * ggml_tensor_overhead())),
        whole_(ggml_new_graph_custom(passing_.get(), nodes_, false)),
        graph_(passing_.get(), lasting_.get(), whole_, weights),
        passing_memory_(std::move(memory)) {
    find_memory();
    build_forward();
    forward_nodes_ = ggml_graph_n_nodes(whole_);
    if (tape_.training) build_backward();
    count_splits();
    if (allocates) allocate();
  }

  size_t graph_bytes() const { return ggml_graph_overhead_custom(nodes_, false); }

  // ---- building ------------------------------------------------------------------------------

  // The caller's values need memory on the host; a tape that was finish()ed has given them some.
  void find_memory() {
    for (const auto& value : tape_.values()) {
      if (!value->external) continue;
      for (float** pointer : {&value->data, &value->gradient}) {
        if (*pointer || (pointer == &value->gradient && !value->needs_gradient)) continue;
        host_memory_.emplace_back(value->shape.size() + 16);
        *pointer = host_memory_.back().data();
      }
    }
  }

  void build_forward() {
    for (const auto& value : tape_.values()) {
      if (!value->external || value->producer) continue;
      graph_.set_tokens(value.get(), graph_.input(shape_of(*value), value->data));
    }
    for (const auto& layer : tape_.layers()) {
      starts_.push_back({ggml_graph_n_nodes(whole_), layer->kind()});
      layer->graph_forward(graph_);
    }
    for (const auto& value : tape_.values()) {
      if (!value->external || !value->producer) continue;
      graph_.output(graph_.tokens(value.get()), value->data);
    }
  }

  void build_backward() {
    for (const auto& value : tape_.values()) {
      if (value->external && value->producer && value->needs_gradient && !is_read(*value)) seed(*value);
    }
    for (const auto& [number, again] : tape_.plan().turns) {
      Layer& layer = *tape_.layers()[number];
      starts_.push_back({ggml_graph_n_nodes(whole_), layer.kind()});
      if (again) {
        layer.graph_forward(graph_); // its values now have new tensors
        continue;
      }
      if (begins_gradient(layer) || std::any_of(layer.outputs.begin(), layer.outputs.end(), [this](const Value* value) {
            return graph_.has_gradient(value);
          })) {
        layer.graph_backward(graph_);
      }
    }
    for (const auto& value : tape_.values()) {
      if (!value->external || !graph_.has_gradient(value.get())) continue;
      if (value->producer && !is_read(*value)) continue;  // written by the caller
      Tensor gradient = graph_.kept(graph_.gradient(value.get()));
      input_gradients_.push_back({gradient, value->gradient});
    }
  }

  // A value that no layer reads: the caller makes its gradient out of its data.
  void seed(const Value& value) {
    Tensor gradient = ggml_new_tensor(lasting_.get(), GGML_TYPE_F32, 3, shape_of(value).data());
    seeds_.push_back({gradient, value.gradient});
    graph_.add_gradient(&value, gradient);
  }

  // A loss: what it makes is for nobody.
  bool begins_gradient(const Layer& layer) const {
    return std::all_of(layer.outputs.begin(), layer.outputs.end(), [this](const Value* value) {
      return value->needs_gradient && !value->external && !is_read(*value);
    });
  }

  bool is_read(const Value& value) const {
    return std::any_of(tape_.layers().begin(), tape_.layers().end(), [&](const auto& layer) {
      return std::find(layer->inputs.begin(), layer->inputs.end(), &value) != layer->inputs.end();
    });
  }

  static std::vector<int64_t> shape_of(const Value& value) {
    return {value.shape.c, value.shape.tokens(), value.shape.n};
  }

  void count_splits() {
    std::string missing;
    bool here = false;
    for (int i = 0; i < ggml_graph_n_nodes(whole_); i++) {
      const ggml_tensor* node = ggml_graph_node(whole_, i);
      const bool supported = backend_.supports(node);
      if (i == 0 || supported != here) splits_++;
      here = supported;
      if (supported || !missing.empty()) continue;
      const char* layer = "";
      for (const auto& [first, kind] : starts_) layer = first <= i ? kind : layer;
      missing = std::string(ggml_op_desc(node)) + " of the layer " + layer;
    }
    if (missing.empty()) return;
    throw OpMissing(backend_.info().name + " can't run " + missing + ": a step would go in " + std::to_string(splits_) +
                        " parts, with copies to the processor and back between them",
                    "Use `device: cpu`.");
  }

  void allocate() {
    weights_.allocate();
    if (ggml_get_first_tensor(lasting_.get())) {
      lasting_memory_.reset(ggml_backend_alloc_ctx_tensors(lasting_.get(), backend_.get()));
      if (!lasting_memory_) throw OutOfDeviceMemory(backend_);
    }
    passing_memory_->place(whole_, passing_.get());
    for (const auto& [tensor, bytes] : graph_.constants_) send(tensor, bytes.data());
    parts_[0] = part(0, forward_nodes_);
    parts_[1] = part(forward_nodes_, ggml_graph_n_nodes(whole_));
  }

  // Some of the nodes as a graph of their own; the memory is the whole graph's.
  ggml_cgraph* part(int begin, int end) {
    ggml_cgraph* graph = ggml_new_graph_custom(passing_.get(), nodes_, false);
    for (int i = begin; i < end; i++) ggml_graph_add_node(graph, ggml_graph_node(whole_, i));
    return graph;
  }

  // ---- running -------------------------------------------------------------------------------

  void compute(int part) {
    const ggml_status status = ggml_backend_graph_compute(backend_.get(), parts_[part]);
    if (status == GGML_STATUS_ALLOC_FAILED) throw OutOfDeviceMemory(backend_);
    if (status != GGML_STATUS_SUCCESS) {
      throw std::runtime_error(backend_.info().name + " failed: " + ggml_status_to_string(status));
    }
  }

  void send_computed() {
    for (const auto& [tensor, fill] : graph_.computed_) {
      staging_.resize(ggml_nelements(tensor));  // F32 or I32
      fill(staging_.data());
      send(tensor, staging_.data());
    }
  }

  static void send(Tensor tensor, const void* from) {
    ggml_backend_tensor_set(tensor, from, 0, ggml_nbytes(tensor));
  }
  static void fetch(Tensor tensor, float* to) { ggml_backend_tensor_get(tensor, to, 0, ggml_nbytes(tensor)); }
};

}  // namespace tiller
