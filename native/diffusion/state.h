// What a checkpoint of tiller-diffusion holds, written and read.
//   weights.safetensors     every tensor, as it is trained; with adapters, or on a base of Stable Diffusion, only
//                           what is trained: the rest is the base's
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
                             const Parameters& parameters, Optimizer& optimizer, const State& state, const Json& recipe,
                             bool trained_only) {
  CheckpointWriter writer(parent, identity);
  const auto tensors = [&](const char* file, const std::vector<TensorAspect>& aspects, const Chosen& chosen) {
    writer.add(file, [&](OutputFile& out) { write_tensors(out, parameters, aspects, chosen); });
  };
  const Chosen kept = trained_only ? Chosen(trained_tensor) : Chosen(every_tensor);
  tensors("weights.safetensors", {aspect_of(Buffer::weight)}, kept);
  if (parameters.data(Buffer::average) != nullptr) tensors("ema.safetensors", {aspect_of(Buffer::average)}, kept);
  tensors("optimizer.safetensors", detail::aspects_of(optimizer), trained_tensor);
  writer.add("state.json", [&](OutputFile& out) {
    Json json = {{"version", 1},
                       {"trainer", "tiller-diffusion"},
                       {"step", state.step},
                       {"epoch", identity.epoch},
                       {"seen", state.seen},
                       {"learning_rate_factor", state.learning_rate_factor},
                       {"optimizer", optimizer.numbers()},
                       {"model", recipe.at("model")},
                       {"latent", {{"mean", state.latent.mean}, {"deviation", state.latent.deviation}}},
                       {"width", state.width},
                       {"height", state.height},
                       {"vocabulary", state.vocabulary.words()}};
    if (recipe.contains("lora")) json["lora"] = recipe["lora"];
    json["text_encoder"] = recipe.at("train").value("text_encoder", false);
    out.write(json.dump(1) + "\n");
  });
  return writer.publish();
}

// ---- reading ---------------------------------------------------------------------------------

namespace detail {

inline int64_t whole(const Json& json, const char* key, int64_t least, int64_t most, const fs::path& from) {
  if (const auto found = whole_number(json.at(key), least, most)) return *found;
  throw corrupt(from, std::string("has an impossible ") + key + ", " + json.at(key).dump());
}

template <class Read>
State reading(const Json& json, const fs::path& from, const Read& read) {
  try {
    if (json.at("trainer") != "tiller-diffusion" || json.at("version") != 1)
      throw Failure(kBadData, "CHECKPOINT_MISMATCH", from.string() + " is not of this trainer",
                    "Resume with the trainer that wrote it.");
    State state;
    read(state);
    return state;
  } catch (const Json::exception& error) {
    throw corrupt(from, std::string("can't be read: ") + error.what());
  }
}

inline void read_model(const Json& json, const fs::path& from, State& state) {
  state.vocabulary = Vocabulary(json.at("vocabulary").get<std::vector<std::string>>());
  state.latent.mean = json.at("latent").at("mean").get<std::vector<float>>();
  state.latent.deviation = json.at("latent").at("deviation");
  if (!(state.latent.deviation > 0)) throw corrupt(from, "has a latent.deviation that is not above 0");
  state.width = static_cast<int>(whole(json, "width", 1, 65536, from));
  state.height = static_cast<int>(whole(json, "height", 1, 65536, from));
}

}  // namespace detail

// What a model is beside its weights, as files that were exported carry it: nothing of how far training came.
// `from` names the place in messages. Errors: CHECKPOINT_CORRUPT, CHECKPOINT_MISMATCH (another trainer's).
inline State model_of_json(const Json& json, const fs::path& from) {
  return detail::reading(json, from, [&](State& state) { detail::read_model(json, from, state); });
}

// Errors: as of model_of_json.
inline State state_of_json(const Json& json, const fs::path& from) {
  return detail::reading(json, from, [&](State& state) {
    state.step = detail::whole(json, "step", 0, INT64_MAX, from);
    state.seen = static_cast<uint64_t>(detail::whole(json, "seen", 0, INT64_MAX, from));
    state.learning_rate_factor = json.at("learning_rate_factor");
    state.optimizer = json.at("optimizer").get<std::vector<double>>();
    if (!(state.learning_rate_factor > 0)) throw corrupt(from, "has a learning_rate_factor that is not above 0");
    detail::read_model(json, from, state);
  });
}

inline State read_state(const fs::path& folder) {
  const fs::path file = folder / "state.json";
  return state_of_json(parse_json(MappedFile(file).text()), file);
}

// Everything that resuming needs; without an optimizer, only what sampling and validation need.
inline void read_weights(const fs::path& folder, Parameters& parameters, const State& state, Optimizer* optimizer,
                         bool trained_only) {
  const Chosen kept = trained_only ? Chosen(trained_tensor) : Chosen(every_tensor);
  read_tensors(folder / "weights.safetensors", parameters, {aspect_of(Buffer::weight)}, kept);
  if (parameters.data(Buffer::average) != nullptr) {
    // The average of a tensor that isn't trained is itself.
    TensorAspect average = aspect_of(Buffer::average);
    average.load = [load = average.load](Parameter& tensor, const float* from) {
      if (tensor.trainable()) load(tensor, from);
    };
    read_tensors(folder / "ema.safetensors", parameters, {average}, kept);
  }
  if (optimizer == nullptr) return;
  optimizer->set_numbers(state.optimizer);
  read_tensors(folder / "optimizer.safetensors", parameters, detail::aspects_of(*optimizer), trained_tensor);
}

// The weights of another model with free sizes, as the start of this one. Rows of words that it doesn't
// know, and adapters, keep what the seed gave them.
inline void read_base(const fs::path& path, Parameters& parameters, const std::string& word_table) {
  const Safetensors file(path);
  for (auto& tensor : parameters.tensors()) {
    if (tensor.name.find(".lora_") != std::string::npos) continue;
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
