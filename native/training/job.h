// The job that a trainer is given (native/PROTOCOL.md), and reading JSON with errors that name the key.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "formats/files.h"
#include "formats/json.h"
#include "training/failure.h"

namespace tiller {

// An object of a job, with its path for messages: `recipe.train`.
class Settings {
 public:
  Settings(const Json& object, std::string path) : object_(&object), path_(std::move(path)) {
    if (!object.is_object()) throw wrong("", "is not an object");
  }

  Settings child(const std::string& key) const { return {value(key), where(key)}; }
  const Json& value(const std::string& key) const {
    if (!has(key)) throw wrong(key, "is missing");
    return object_->at(key);
  }
  // A key that is null counts as left out.
  bool has(const std::string& key) const { return object_->contains(key) && !object_->at(key).is_null(); }

  std::string text(const std::string& key) const {
    if (!value(key).is_string()) throw wrong(key, "is not text");
    return value(key);
  }
  std::string one_of(const std::string& key, std::initializer_list<const char*> known) const {
    const std::string word = text(key);
    std::string names;
    for (const char* name : known) {
      if (word == name) return word;
      names += (names.empty() ? "" : ", ") + std::string(name);
    }
    throw wrong(key, "is \"" + word + "\"; known are " + names);
  }
  int64_t integer(const std::string& key, int64_t least, int64_t most) const {
    const Json& found = value(key);
    if (!found.is_number_integer()) throw wrong(key, "is not a whole number");
    if (const auto number = whole_number(found, least, most)) return *number;
    throw wrong(key, "is " + found.dump() + ", not " + std::to_string(least) + " to " + std::to_string(most));
  }
  double real(const std::string& key, double least, double most) const {
    if (!value(key).is_number()) throw wrong(key, "is not a number");
    const double found = value(key);
    if (!(found >= least && found <= most)) throw wrong(key, "is " + value(key).dump() + ", out of range");
    return found;
  }
  bool flag(const std::string& key) const {
    if (!value(key).is_boolean()) throw wrong(key, "is not true or false");
    return value(key);
  }

  Failure wrong(const std::string& key, const std::string& what) const {
    return {kBadRecipe, "TRAINER_BAD_RECIPE", where(key) + " " + what,
            "docs/reference/recipe.md lists the keys and their ranges."};
  }

 private:
  std::string where(const std::string& key) const { return key.empty() ? path_ : path_ + "." + key; }

  const Json* object_;
  std::string path_;
};

// Largest counts: steps and items fit a 32-bit counter of the generator, and sums of them 64 bits.
inline constexpr int64_t kMost = 4'000'000'000;

struct Job {
  std::string run, device;
  int epoch = 0, threads = 1;
  int64_t first_step = 0, last_step = 0;
  uint64_t seed = 0;
  fs::path folder;
  std::optional<fs::path> resume, data_manifest;
  std::optional<fs::path> tokenizer;   // the file that native/clip-tokenizer.ts wrote
  std::optional<fs::path> latents;     // the folder that keeps what an autoencoder made
  std::string latents_origin;          // names that autoencoder's weights
  std::map<std::string, std::string> fingerprint;
  std::optional<fs::path> follow_file;
  double orphan_seconds = 0;
  std::optional<std::vector<int>> sample_prompts;  // what an evaluation samples; left out: all
  Json recipe;
};

inline Job read_job(const fs::path& file) {
  const Json parsed = parse_json(MappedFile(file).text());
  const Settings job(parsed, "job");
  const auto protocol = job.integer("protocol", 0, 1000);
  if (protocol != 1)
    throw job.wrong("protocol", "is " + std::to_string(protocol) + "; this trainer speaks 1");
  Job result;
  result.run = job.text("run");
  result.device = job.text("device");
  result.epoch = static_cast<int>(job.integer("epoch", 0, INT32_MAX));
  result.threads = static_cast<int>(job.integer("threads", 1, 1024));
  result.first_step = job.integer("first_step", 0, kMost);
  result.last_step = job.integer("last_step", result.first_step, kMost);
  result.seed = static_cast<uint64_t>(job.integer("seed", 0, INT64_MAX));
  result.folder = job.text("folder");
  if (job.has("resume")) result.resume = job.text("resume");
  if (job.has("data")) result.data_manifest = job.child("data").text("manifest");
  if (job.has("tokenizer")) result.tokenizer = job.text("tokenizer");
  if (job.has("latents")) {
    result.latents = job.child("latents").text("folder");
    result.latents_origin = job.child("latents").text("origin");
  }
  if (!job.value("fingerprint").is_object()) throw job.wrong("fingerprint", "is not an object");
  for (const auto& [key, value] : job.value("fingerprint").items()) {
    if (!value.is_string()) throw job.wrong("fingerprint." + key, "is not text");
    result.fingerprint[key] = value;
  }
  if (job.has("orphan")) {
    const Settings orphan = job.child("orphan");
    result.follow_file = orphan.text("follow_file");
    result.orphan_seconds = orphan.real("after_seconds", 0, 1e9);
  }
  if (job.has("sample_prompts")) {
    if (!job.value("sample_prompts").is_array()) throw job.wrong("sample_prompts", "is not a list");
    result.sample_prompts.emplace();
    for (const Json& prompt : job.value("sample_prompts")) {
      const auto index = whole_number(prompt, 0, INT32_MAX);
      if (!index) throw job.wrong("sample_prompts", "has " + prompt.dump() + ", which is not a prompt's index");
      result.sample_prompts->push_back(static_cast<int>(*index));
    }
  }
  result.recipe = job.value("recipe");
  return result;
}

}  // namespace tiller
