// What a checkpoint of tiller-diffusion holds, written and read.
//   weights.safetensors     every tensor, as it is trained
//   ema.safetensors         the running averages (if the recipe keeps one)
//   optimizer.safetensors   first.NAME, second.NAME …: what the optimizer remembers of the trained tensors
//   state.json              the position, and what turns words and pictures into numbers
#pragma once

#include <string>
#include <vector>

#include "compute/optimizer.h"
#include "diffusion/latent.h"
#include "diffusion/tensor_files.h"
#include "diffusion/words.h"
#include "training/checkpoint.h"

namespace tiller {

struct State {
  int64_t step = 0;
  uint64_t seen = 0;  // pictures so far
  double learning_rate_factor = 1;
  std::vector<double> optimizer;  // its numbers of the whole
  Vocabulary vocabulary;
  LatentStatistics latent;
  int width = 0, height = 0;  // of the pictures it was trained on
};

// ---- writing ---------------------------------------------------------------------------------

namespace detail {

inline std::vector<TensorAspect> aspects_of(Optimizer& optimizer) {
  std::vector<TensorAspect> aspects;
  for (size_t i = 0; i < optimizer.states().size(); i++) {
    aspects.push_back({optimizer.states()[i] + ".", [&optimizer, i](const Parameter& p, float* to) { optimizer.store(p, i, to); },
                       [&optimizer, i](Parameter& p, const float* from) { optimizer.load(p, i, from); }});
  }
  return aspects;
}

}  // namespace detail

inline Published write_state(const fs::path& parent, const CheckpointIdentity& identity,
                             const Parameters& parameters, Optimizer& optimizer, const State& state, const Json& model) {
  CheckpointWriter writer(parent, identity);
  const auto tensors = [&](const char* file, const std::vector<TensorAspect>& aspects, const Chosen& chosen) {
    writer.add(file, [&](OutputFile& out) { write_tensors(out, parameters, aspects, chosen); });
  };
  tensors("weights.safetensors", {aspect_of(Buffer::weight)}, every_tensor);
  if (parameters.data(Buffer::average) != nullptr) tensors("ema.safetensors", {aspect_of(Buffer::average)}, every_tensor);
  tensors("optimizer.safetensors", detail::aspects_of(optimizer), trained_tensor);
  writer.add("state.json", [&](OutputFile& out) {
    const Json json = {{"version", 1},
                       {"trainer", "tiller-diffusion"},
                       {"step", state.step},
                       {"epoch", identity.epoch},
                       {"seen", state.seen},
                       {"learning_rate_factor", state.learning_rate_factor},
                       {"optimizer", optimizer.numbers()},
                       {"model", model},
                       {"latent", {{"mean", state.latent.mean}, {"deviation", state.latent.deviation}}},
                       {"width", state.width},
                       {"height", state.height},
                       {"vocabulary", state.vocabulary.words()}};
    out.write(json.dump(1) + "\n");
  });
  return writer.publish();
}

// ---- reading ---------------------------------------------------------------------------------

// Errors: CHECKPOINT_CORRUPT, CHECKPOINT_MISMATCH (another trainer's).
inline State read_state(const fs::path& folder) {
  const fs::path file = folder / "state.json";
  const auto count = [&](const Json& object, const char* key, int64_t least, int64_t most) {
    if (const auto found = whole_number(object.at(key), least, most)) return *found;
    throw corrupt(file, std::string("has an impossible ") + key + ", " + object.at(key).dump());
  };
  const Json json = parse_json(MappedFile(file).text());
  try {
    if (json.at("trainer") != "tiller-diffusion" || json.at("version") != 1)
      throw Failure(kBadData, "CHECKPOINT_MISMATCH", file.string() + " is not of this trainer",
                    "Resume with the trainer that wrote it.");
    State state;
    state.step = count(json, "step", 0, INT64_MAX);
    state.seen = static_cast<uint64_t>(count(json, "seen", 0, INT64_MAX));
    state.learning_rate_factor = json.at("learning_rate_factor");
    state.optimizer = json.at("optimizer").get<std::vector<double>>();
    state.vocabulary = Vocabulary(json.at("vocabulary").get<std::vector<std::string>>());
    state.latent.mean = json.at("latent").at("mean").get<std::vector<float>>();
    state.latent.deviation = json.at("latent").at("deviation");
    if (!(state.learning_rate_factor > 0) || !(state.latent.deviation > 0))
      throw corrupt(file, "has a learning_rate_factor or a latent.deviation that is not above 0");
    state.width = static_cast<int>(count(json, "width", 1, 65536));
    state.height = static_cast<int>(count(json, "height", 1, 65536));
    return state;
  } catch (const Json::exception& error) {
    throw corrupt(file, std::string("can't be read: ") + error.what());
  }
}

// Everything that resuming needs; without an optimizer, only what sampling and validation need.
inline void read_weights(const fs::path& folder, Parameters& parameters, const State& state, Optimizer* optimizer) {
  read_tensors(folder / "weights.safetensors", parameters, {aspect_of(Buffer::weight)}, every_tensor);
  if (parameters.data(Buffer::average) != nullptr) {
    // The average of a tensor that isn't trained is itself.
    TensorAspect average = aspect_of(Buffer::average);
    average.load = [load = average.load](Parameter& tensor, const float* from) {
      if (tensor.trainable()) load(tensor, from);
    };
    read_tensors(folder / "ema.safetensors", parameters, {average}, every_tensor);
  }
  if (optimizer == nullptr) return;
  optimizer->set_numbers(state.optimizer);
  read_tensors(folder / "optimizer.safetensors", parameters, detail::aspects_of(*optimizer), trained_tensor);
}

// A base: the better weights of another run's checkpoint, as the start of this one. Rows of words
// that the base doesn't know keep what the seed gave them.
inline void read_base(const fs::path& folder, Parameters& parameters, const std::string& word_table) {
  const bool averaged = fs::exists(folder / "ema.safetensors");
  const fs::path path = folder / (averaged ? "ema.safetensors" : "weights.safetensors");
  const Safetensors file(path);
  for (auto& tensor : parameters.tensors()) {
    const TensorInfo* found = file.find(tensor.name);
    const auto expected = shape_of(tensor);
    const bool words = tensor.name == word_table && found != nullptr && found->shape.size() == 2 &&
                       found->shape[0] <= expected[0] && found->shape[1] == expected[1];
    if (found == nullptr || (found->shape != expected && !words))
      throw Failure(kBadData, "CHECKPOINT_MISMATCH",
                    path.string() + " is of another architecture: " +
                        (found == nullptr ? "it lacks " + tensor.name
                                          : found->name + " is " + shape_text(found->shape) + ", not " +
                                                shape_text(expected)),
                    "Give the recipe the model section of its base.");
    auto values = file.read(*found);
    if (words) {
      std::vector<float> table(tensor.size());
      tensor.store(table.data());
      std::copy(values.begin(), values.end(), table.begin());
      values = std::move(table);
    }
    tensor.load(values.data());
  }
  parameters.reset_average();
}

}  // namespace tiller
