// What a checkpoint of tiller-diffusion holds, written and read.
//   weights.safetensors     every tensor, as it is trained
//   ema.safetensors         the running averages (if the recipe keeps one)
//   optimizer.safetensors   first.NAME and second.NAME: AdamW's moments of the trained tensors
//   state.json              the position, and what turns words and pictures into numbers
#pragma once

#include <string>
#include <vector>

#include "compute/parameters.h"
#include "diffusion/latent.h"
#include "diffusion/words.h"
#include "training/checkpoint.h"

namespace tiller {

struct State {
  int64_t step = 0;
  uint64_t seen = 0;  // pictures so far
  double learning_rate_factor = 1;
  Vocabulary vocabulary;
  LatentStatistics latent;
  int width = 0, height = 0;  // of the pictures it was trained on
};

inline std::vector<int64_t> shape_of(const Parameter& tensor) {
  return {tensor.shape.begin(), tensor.shape.end()};
}

// ---- writing ---------------------------------------------------------------------------------

namespace detail {

struct Stored {
  std::string prefix;
  Buffer buffer;
};

inline void write_tensors(OutputFile& out, const Parameters& parameters, const std::vector<Stored>& what,
                          bool trained_only) {
  std::vector<TensorInfo> infos;
  std::vector<std::pair<const Parameter*, Buffer>> sources;
  for (const auto& [prefix, buffer] : what) {
    for (const auto& tensor : parameters.tensors()) {
      if (trained_only && !tensor.trainable()) continue;
      infos.push_back({prefix + tensor.name, shape_of(tensor)});
      sources.emplace_back(&tensor, buffer);
    }
  }
  write_safetensors(out, infos, {{"format", "pt"}},
                    [&](size_t i, float* to) { sources[i].first->store(to, sources[i].second); });
}

}  // namespace detail

inline Published write_state(const fs::path& parent, const CheckpointIdentity& identity,
                             const Parameters& parameters, const State& state, const Json& model) {
  CheckpointWriter writer(parent, identity);
  const auto tensors = [&](const char* file, const std::vector<detail::Stored>& what, bool trained_only) {
    writer.add(file, [&](OutputFile& out) { detail::write_tensors(out, parameters, what, trained_only); });
  };
  tensors("weights.safetensors", {{"", Buffer::weight}}, false);
  if (parameters.data(Buffer::average) != nullptr) tensors("ema.safetensors", {{"", Buffer::average}}, false);
  tensors("optimizer.safetensors", {{"first.", Buffer::moment1}, {"second.", Buffer::moment2}}, true);
  writer.add("state.json", [&](OutputFile& out) {
    const Json json = {{"version", 1},
                       {"trainer", "tiller-diffusion"},
                       {"step", state.step},
                       {"epoch", identity.epoch},
                       {"seen", state.seen},
                       {"learning_rate_factor", state.learning_rate_factor},
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

namespace detail {

// Names and shapes must be the model's, exactly: nothing missing, nothing left over.
inline void match_tensors(const Safetensors& file, const fs::path& path, const Parameters& parameters,
                          const std::vector<Stored>& what, bool trained_only) {
  const auto refuse = [&](const std::string& why) {
    throw Failure(kBadData, "CHECKPOINT_MISMATCH", path.string() + " is of another architecture: " + why,
                  "Resume with the model section that it was made with.");
  };
  size_t expected = 0;
  for (const auto& [prefix, buffer] : what) {
    for (const auto& tensor : parameters.tensors()) {
      if (trained_only && !tensor.trainable()) continue;
      expected++;
      const TensorInfo* found = file.find(prefix + tensor.name);
      if (found == nullptr) refuse("it lacks " + prefix + tensor.name);
      if (found->shape != shape_of(tensor))
        refuse(found->name + " is " + shape_text(found->shape) + ", not " + shape_text(shape_of(tensor)));
    }
  }
  if (file.tensors().size() == expected) return;
  for (const auto& info : file.tensors()) {
    const bool known = std::any_of(what.begin(), what.end(), [&](const Stored& stored) {
      return info.name.starts_with(stored.prefix) &&
             parameters.find(info.name.substr(stored.prefix.size())) != nullptr;
    });
    if (!known) refuse("it has " + info.name + ", which this model lacks");
  }
  refuse("it has tensors that this model doesn't train");
}

inline void read_tensors(const fs::path& path, const Parameters& parameters, const std::vector<Stored>& what,
                         bool trained_only) {
  const Safetensors file(path);
  match_tensors(file, path, parameters, what, trained_only);
  for (const auto& [prefix, buffer] : what) {
    for (const auto& tensor : parameters.tensors()) {
      if (trained_only && !tensor.trainable()) continue;
      // The average of a tensor that isn't trained is itself.
      if (buffer == Buffer::average && !tensor.trainable()) continue;
      const_cast<Parameter&>(tensor).load(file.read(*file.find(prefix + tensor.name)).data(), buffer);
    }
  }
}

}  // namespace detail

// Everything that resuming needs; without `training`, only what sampling and validation need.
inline void read_weights(const fs::path& folder, Parameters& parameters, bool training) {
  detail::read_tensors(folder / "weights.safetensors", parameters, {{"", Buffer::weight}}, false);
  if (parameters.data(Buffer::average) != nullptr)
    detail::read_tensors(folder / "ema.safetensors", parameters, {{"", Buffer::average}}, false);
  if (training)
    detail::read_tensors(folder / "optimizer.safetensors", parameters,
                         {{"first.", Buffer::moment1}, {"second.", Buffer::moment2}}, true);
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
