// How much memory a job will need, counted before any of it is asked for: tapes are laid out, graphs measured,
// models described, and nothing is allocated. memory_room.h holds it against what there is.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "diffusion/dataset.h"
#include "diffusion/network.h"

namespace tiller {

struct MemoryPart {
  std::string name;
  size_t bytes;
};
// Of one memory.
struct MemoryPlan {
  size_t unlisted;  // bytes, besides the parts
  std::vector<MemoryPart> parts;

  void add(const char* name, size_t bytes) {
    if (bytes > 0) parts.push_back({name, bytes});
  }
  size_t total() const {
    size_t sum = unlisted;
    for (const auto& part : parts) sum += part.bytes;
    return sum;
  }
};

// What a job needs of the processor's memory and, where it computes on a device, of the device's.
struct Placement {
  static constexpr size_t kProgram = size_t{64} << 20;   // code, files' headers, what threads scribble on
  static constexpr size_t kDriver = size_t{256} << 20;   // shaders, workspaces of the device's own libraries
  MemoryPlan host{kProgram, {}};
  std::optional<MemoryPlan> device;
  int nodes = 0, splits = 0;  // of the largest graph there
};

// Sizes of pictures in pixels, and how many go through the model at once.
struct PlannedShape {
  int pictures, width, height;
  auto operator<=>(const PlannedShape&) const = default;
};

// What a job does with the model.
struct PlannedWork {
  bool training = false;
  int chunks = 1;  // of the longest caption
  bool masked = false;
  std::set<PlannedShape> trained, sampled;
  int prompt_chunks = 1;  // of the longest prompt

  Network::PassKey trained_key(const PlannedShape& shape, int stride) const {
    return {training ? Network::Use::training : Network::Use::measuring, shape.pictures, shape.height / stride,
            shape.width / stride, chunks, masked};
  }
  Network::PassKey sampled_key(const PlannedShape& shape, int stride) const {
    return {Network::Use::sampling, shape.pictures, shape.height / stride, shape.width / stride, prompt_chunks};
  }
};

namespace detail {

inline size_t vae_bytes(const VaeConfig& config, const PlannedShape& shape, bool encode) {
  Parameters parameters;
  const Vae vae(parameters, config);
  Pool pool(1);
  Tape tape(pool, false);
  const int s = config.stride(), side = 64;  // larger ones are decoded in tiles
  const int w = shape.width / s, h = shape.height / s;
  const bool whole = w * h <= 96 * 96;
  if (encode) vae.build_encoder(tape, tape.input({1, shape.height, shape.width, config.in_channels}));
  else vae.build_decoder(tape, tape.input({1, whole ? h : side, whole ? w : side, config.z_channels}));
  return parameters.count() * sizeof(float) + tape.lay_out() * sizeof(float);
}

}  // namespace detail

// Optimizers' bytes a trained number.
inline size_t optimizer_bytes(const std::string& name) { return name == "adamw8bit" ? 2 : name == "prodigy" ? 16 : 8; }

namespace detail {

inline const char* name_of_activations(const PlannedWork& work) { return work.training ? "activations" : "validation"; }

// Passes take turns in one buffer; each keeps its inputs.
inline void plan_device(const Foundation& found, Network& network, const PlannedWork& work, Placement& placement) {
  DeviceWeights weights(*network.backend(), network.precision());
  size_t activations = 0, others = 0, inputs = 0;
  const auto take = [&](const GraphRunner::Needs& needs, size_t& most) {
    most = std::max(most, needs.passing), inputs += needs.lasting;
    placement.nodes = std::max(placement.nodes, needs.nodes), placement.splits = std::max(placement.splits, needs.splits);
  };
  for (const auto& shape : work.trained) take(network.planned_graph(work.trained_key(shape, found.stride()), weights), activations);
  for (const auto& shape : work.sampled) take(network.planned_graph(work.sampled_key(shape, found.stride()), weights), others);
  take(network.planned_reading(std::max(work.chunks, work.prompt_chunks), weights), others);
  MemoryPlan& plan = placement.device.emplace(MemoryPlan{0, {}});
  plan.add("weights", weights.weight_bytes());
  plan.add("gradients", weights.gradient_bytes());
  plan.add(name_of_activations(work), activations);
  if (others > activations) plan.add("sampling", others - activations);
  plan.add("inputs", inputs);
  plan.add("driver", Placement::kDriver);
}

}  // namespace detail

// `network` is described, not allocated. Errors: OpMissing.
inline Placement plan_memory(const Recipe& recipe, const Foundation& found, Network& network, const PlannedWork& work) {
  const int stride = found.stride();
  const bool on_device = network.backend() != nullptr;
  const bool fused = recipe.train.fused && !on_device;  // a device's gradients come back together
  size_t activations = 0, sampling = 0, coding = 0, lent = 0;
  for (const auto& shape : work.trained) {
    const auto key = work.trained_key(shape, stride);
    if (!on_device) activations = std::max(activations, network.planned_bytes(key));
    if (work.training && fused) lent = network.lent_bytes(key);
    if (found.files && work.training) coding = std::max(coding, detail::vae_bytes(found.vae(), {1, shape.width, shape.height}, true));
  }
  // Samples at will, in training, are made one at a time in what training has.
  for (const auto& shape : work.sampled) {
    if (work.training) break;
    if (!on_device) sampling = std::max(sampling, network.planned_bytes(work.sampled_key(shape, stride)));
    if (found.files) coding = std::max(coding, detail::vae_bytes(found.vae(), shape, false));
  }
  size_t all = 0, trained = 0;
  for (const auto& tensor : network.parameters.tensors()) all += tensor.size(), trained += tensor.trainable() ? tensor.size() : 0;
  const size_t gradients = fused ? lent : trained * sizeof(float);
  const size_t moments = trained * optimizer_bytes(recipe.train.optimizer);
  Placement placement;
  MemoryPlan& plan = placement.host;
  plan.add("weights", all * sizeof(float));
  if (recipe.train.ema > 0) plan.add("average", trained * sizeof(float));
  if (work.training) {
    plan.add("gradients", gradients);
    plan.add("optimizer", moments);
  }
  // Passes take turns in one arena, and latents are kept before the first step.
  plan.add(detail::name_of_activations(work), activations);
  if (sampling > activations) plan.add("sampling", sampling - activations);
  const size_t spare = work.training && !recipe.data.random_crop ? activations + gradients + moments : 0;
  if (coding > spare) plan.add("autoencoder", coding - spare);
  if (on_device) detail::plan_device(found, network, work, placement);
  return placement;
}

}  // namespace tiller
