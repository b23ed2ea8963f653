// What tiller-export is asked for. JOB.json:
//   {"protocol": 1, "base": PATH,
//    one of "checkpoint": FOLDER, "lora": FILE, "tuned": PATH,
//    "vae": FILE or FOLDER               in the place of the base's autoencoder
//    "prediction": "auto" | "epsilon" | "v", "zero_terminal_snr": "auto" | true | false   auto: as the base
//    "to": PATH, "format": "lora" | "peft" | "single-file" | "diffusers", "dtype": "F16" | "BF16" | "F32",
//    "weights": "auto" | "raw" | "ema"   of a checkpoint
//    "scale": 1                          of a LoRA that is merged
//    "rank": 16                          of what is extracted from `tuned`
//    "overwrite": false, "threads": 1, "metadata": {KEY: TEXT},
//    "tokenizer": FOLDER                 whose files a diffusers folder gets
//    "verify": {"ids": [TOKEN, …], "seed", "steps", "side"}   or false: not looked at
//   }
#pragma once

#include <map>
#include <optional>
#include <string>

#include "diffusion/lora/checkpoint.h"
#include "diffusion/lora/verify.h"
#include "training/job.h"

namespace tiller {

struct ExportJob {
  fs::path base, to, tokenizer;
  std::optional<fs::path> checkpoint, lora, tuned;  // one of them
  std::optional<fs::path> vae;
  std::optional<Prediction> prediction;
  std::optional<bool> zero_terminal_snr;
  std::string format, dtype = "F16";
  WeightChoice weights = WeightChoice::automatic;
  float scale = 1;
  int rank = 16, threads = 1;
  bool overwrite = false;
  std::map<std::string, std::string> metadata;
  std::optional<VerifySettings> verify = VerifySettings{};

  bool writes_lora() const { return format == "lora" || format == "peft"; }
};

namespace detail {

inline VerifySettings verify_settings(const Settings& settings) {
  VerifySettings verify;
  if (settings.has("seed")) verify.seed = static_cast<uint64_t>(settings.integer("seed", 0, INT64_MAX));
  if (settings.has("steps")) verify.steps = static_cast<int>(settings.integer("steps", 1, 1000));
  if (settings.has("side")) verify.side = static_cast<int>(settings.integer("side", 1, 1024));
  if (!settings.has("ids")) return verify;
  if (!settings.value("ids").is_array()) throw settings.wrong("ids", "is not a list");
  for (const Json& id : settings.value("ids")) {
    const auto number = whole_number(id, 0, 1 << 24);
    if (!number) throw settings.wrong("ids", "has " + id.dump() + ", which is no token");
    verify.ids.push_back(static_cast<int>(*number));
  }
  return verify;
}

}  // namespace detail

// Errors: TRAINER_BAD_RECIPE.
inline ExportJob read_export_job(const fs::path& file) {
  const Json parsed = parse_json(MappedFile(file).text());
  const Settings job(parsed, "job");
  if (const auto protocol = job.integer("protocol", 0, 1000); protocol != 1)
    throw job.wrong("protocol", "is " + std::to_string(protocol) + "; this program speaks 1");
  ExportJob result;
  result.base = job.text("base"), result.to = job.text("to");
  const auto path = [&](const char* key) { return job.has(key) ? std::optional<fs::path>(job.text(key)) : std::nullopt; };
  result.checkpoint = path("checkpoint"), result.lora = path("lora"), result.tuned = path("tuned");
  if (result.checkpoint.has_value() + result.lora.has_value() + result.tuned.has_value() != 1)
    throw job.wrong("checkpoint", "or lora or tuned is needed, and only one of them");
  result.vae = path("vae"), result.tokenizer = path("tokenizer").value_or("");
  const std::string prediction = job.has("prediction") ? job.one_of("prediction", {"auto", "epsilon", "v"}) : "auto";
  if (prediction != "auto") result.prediction = prediction == "v" ? Prediction::v : Prediction::epsilon;
  if (job.has("zero_terminal_snr") && job.value("zero_terminal_snr") != "auto") result.zero_terminal_snr = job.flag("zero_terminal_snr");
  result.format = job.one_of("format", {"lora", "peft", "single-file", "diffusers"});
  if (result.tuned && !result.writes_lora()) throw job.wrong("format", "must be lora or peft, of what is extracted");
  if (job.has("dtype")) result.dtype = job.one_of("dtype", {"F16", "BF16", "F32"});
  if (job.has("weights")) {
    const std::string weights = job.one_of("weights", {"auto", "raw", "ema"});
    result.weights = weights == "auto" ? WeightChoice::automatic : weights == "raw" ? WeightChoice::raw : WeightChoice::ema;
  }
  if (job.has("scale")) result.scale = static_cast<float>(job.real("scale", -100, 100));
  if (job.has("rank")) result.rank = static_cast<int>(job.integer("rank", 1, 4096));
  if (job.has("threads")) result.threads = static_cast<int>(job.integer("threads", 1, 1024));
  if (job.has("overwrite")) result.overwrite = job.flag("overwrite");
  if (job.has("verify")) {
    if (job.value("verify").is_boolean() && !job.flag("verify")) result.verify.reset();
    else result.verify = detail::verify_settings(job.child("verify"));
  }
  if (!job.has("metadata")) return result;
  if (!job.value("metadata").is_object()) throw job.wrong("metadata", "is not an object");
  for (const auto& [key, value] : job.value("metadata").items()) {
    if (!value.is_string()) throw job.wrong("metadata." + key, "is not text");
    result.metadata[key] = value;
  }
  return result;
}

}  // namespace tiller
