// Reading Stable Diffusion 1.x models as people have them, and every broken or foreign one refused by its code.
//   base_files_test FOLDER
#include "tests/base_models.h"
#include "tests/raw_safetensors.h"

using namespace tiller;

namespace {

Checks checks;
fs::path folder;

std::string bytes_of_file(const fs::path& path) { return std::string(MappedFile(path).text()); }

// ---- people's files ----------------------------------------------------------------------------------

fs::path good() { return folder / "good.safetensors"; }

void write_good() {
  SmallBase base;
  fill(base.parameters);
  base.trained.prediction = Prediction::v;
  write_single_file(good(), base.model());
  write_diffusers_folder(folder / "good", base.model());
}

bool same_weights(const fs::path& path) {
  try {
    SmallBase read{BaseFiles(path)}, wanted{BaseFiles(good())};
    const float* weights = wanted.parameters.data(Buffer::weight);
    return std::equal(weights, weights + wanted.parameters.trainable_size(), read.parameters.data(Buffer::weight));
  } catch (const Failure& failure) {
    std::fprintf(stderr, "%s: %s\n", failure.code.c_str(), failure.what());
    return false;
  }
}

std::optional<Prediction> prediction_at(const fs::path& path) {
  try {
    return BaseFiles(path).parameterization().prediction;
  } catch (const Failure& failure) {
    std::fprintf(stderr, "%s: %s\n", failure.code.c_str(), failure.what());
    return std::nullopt;
  }
}

void surplus_of_single_files() {
  RawFile file(good());
  for (const char* name : {"model_ema.decay", "model_ema.diffusion_modelinput_blocks00weight", "betas", "alphas_cumprod", "alphas_cumprod_prev",
                           "sqrt_alphas_cumprod", "sqrt_recipm1_alphas_cumprod", "log_one_minus_alphas_cumprod", "posterior_variance", "logvar",
                           "scale_factor", "embedding_manager.x"})
    file.add(name);
  file.add("model_ema.num_updates", "I32");
  file.add("cond_stage_model.transformer.text_model.embeddings.position_ids", "I64", Json::array({1, 9}), 72);
  file.metadata.erase("modelspec.prediction_type");
  file.erase("v_pred");
  file.write(folder / "people.safetensors");
  checks.holds("what people's files have beside the model is ignored", same_weights(folder / "people.safetensors"));
  checks.holds("a prediction that no one says is unknown", !prediction_at(folder / "people.safetensors"));
  file.add("v_pred", "F32", Json::array(), 4);
  file.write(folder / "people.safetensors");
  checks.holds("v_pred says the prediction", prediction_at(folder / "people.safetensors") == Prediction::v);
  checks.holds("and nothing of zero terminal SNR", !BaseFiles(folder / "people.safetensors").parameterization().zero_terminal_snr);
  file.add("ztsnr", "F32", Json::array({0}), 0);
  file.write(folder / "people.safetensors");
  checks.holds("an empty ztsnr says that", BaseFiles(folder / "people.safetensors").parameterization().zero_terminal_snr);
  file.metadata["modelspec.prediction_type"] = "epsilon";
  file.write(folder / "people.safetensors");
  checks.holds("metadata says the prediction", prediction_at(folder / "people.safetensors") == Prediction::epsilon);
  file.erase(kVaePrefix);
  file.write(folder / "people.safetensors");
  const BaseFiles pruned(folder / "people.safetensors");
  checks.holds("a file without an autoencoder says so", !pruned.has(BasePart::vae) && pruned.has(BasePart::text) && pruned.has(BasePart::unet));
}

fs::path copy_of_folder(const char* name) {
  fs::copy(folder / "good", folder / name, fs::copy_options::recursive);
  return folder / name;
}

void kinds_of_folders() {
  const fs::path fp16 = copy_of_folder("fp16");
  for (const char* stem : {"unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model", "text_encoder/model"})
    fs::rename(fp16 / (std::string(stem) + ".safetensors"), fp16 / (std::string(stem) + ".fp16.safetensors"));
  checks.holds("a folder with fp16 variants", same_weights(fp16));

  const fs::path old = copy_of_folder("old");
  const fs::path vae = old / "vae/diffusion_pytorch_model.safetensors", text = old / "text_encoder/model.safetensors";
  RawFile a(vae), b(text);
  size_t renamed = 0;
  for (auto& tensor : a.tensors)
    for (const auto& [from, to] : {std::pair{".to_q.", ".query."}, {".to_k.", ".key."}, {".to_v.", ".value."}, {".to_out.0.", ".proj_attn."}})
      if (const size_t at = tensor.name.find(from); at != std::string::npos)
        tensor.name.replace(at, std::string(from).size(), to), renamed++;
  for (auto& tensor : b.tensors) tensor.name = tensor.name.substr(std::string("text_model.").size());
  b.add("embeddings.position_ids", "I64", Json::array({1, 9}), 72);
  a.write(vae), b.write(text);
  checks.holds("the autoencoder's old names, the text encoder's new ones", renamed == 16 && same_weights(old));

  const fs::path sharded = copy_of_folder("sharded"), unet = sharded / "unet/diffusion_pytorch_model.safetensors";
  RawFile all(unet), halves[2];
  Json index = {{"metadata", {{"total_size", 1}}}, {"weight_map", Json::object()}};
  for (size_t i = 0; i < all.tensors.size(); i++) {
    halves[i % 2].tensors.push_back(all.tensors[i]);
    index["weight_map"][all.tensors[i].name] = i % 2 ? "part-2.safetensors" : "part-1.safetensors";
  }
  halves[0].write(sharded / "unet/part-1.safetensors"), halves[1].write(sharded / "unet/part-2.safetensors");
  fs::remove(unet);
  const auto write_index = [&] { std::ofstream(sharded / "unet/diffusion_pytorch_model.safetensors.index.json") << index.dump(); };
  write_index();
  checks.holds("a folder with shards", same_weights(sharded));
  index["weight_map"].begin().value() = "../unet/part-1.safetensors";
  write_index();
  std::string code;
  try {
    const BaseFiles files(sharded);
  } catch (const Failure& failure) {
    code = failure.code;
  }
  checks.holds("a shard elsewhere is refused", code == "BASE_CONFIG");
}

// ---- what is refused ---------------------------------------------------------------------------------

// The code, and a word of the message or the hint.
void refused(const std::string& what, const fs::path& path, const std::string& code, const std::string& word, bool load = false) {
  std::string got = "nothing", said;
  try {
    const BaseFiles files(path);
    if (load) const SmallBase base(files);
  } catch (const Failure& failure) {
    got = failure.code, said = std::string(failure.what()) + " " + failure.hint;
    if (failure.exit != kBadData || failure.hint.empty()) got += " without a hint, or with another exit";
  } catch (const std::exception& error) {
    got = error.what();
  }
  const bool right = got == code && said.find(word) != std::string::npos;
  checks.holds("refused: " + what, right);
  if (!right) std::fprintf(stderr, "%s: got %s, %s\n", what.c_str(), got.c_str(), said.c_str());
}

void edited(const std::string& what, const std::string& code, const std::string& word, const std::function<void(RawFile&)>& edit,
            bool load = false) {
  RawFile file(good());
  edit(file);
  file.write(folder / "edited.safetensors");
  refused(what, folder / "edited.safetensors", code, word, load);
}

void refused_tensors() {
  const std::string u = kUNetPrefix, bias = u + "out.2.bias";
  edited("a tensor is missing", "BASE_MISMATCH", "lacks " + bias, [&](RawFile& f) { f.erase(bias); });
  edited("many are missing", "BASE_MISMATCH", "more", [&](RawFile& f) { f.erase(u + "output_blocks.1"); });
  edited("the first is missing", "BASE_UNKNOWN", "no U-Net", [&](RawFile& f) { f.erase(u + "input_blocks.0.0.weight"); });
  edited("no U-Net", "BASE_UNKNOWN", "no U-Net", [&](RawFile& f) { f.erase(u); });
  edited("a tensor is surplus", "BASE_MISMATCH", u + "out.3.weight", [&](RawFile& f) { f.add(u + "out.3.weight"); });
  edited("a tensor of nothing known", "BASE_MISMATCH", "control_model.x", [&](RawFile& f) { f.add("control_model.x"); });
  edited("wrong shape", "BASE_MISMATCH", "is [4, 1], not [4]", [&](RawFile& f) { f.at(bias).shape = Json::array({4, 1}); });
  edited("wrong size", "BASE_MISMATCH", bias, [&](RawFile& f) { f.at(bias).shape = Json::array({2}), f.at(bias).bytes.resize(4); });
  edited("F64", "BASE_TYPE", "is F64", [&](RawFile& f) { f.at(bias).dtype = "F64", f.at(bias).bytes.resize(32); });
  edited("I8", "BASE_TYPE", "is I8", [&](RawFile& f) { f.at(bias).dtype = "I8", f.at(bias).bytes.resize(4); });
  edited("NaN", "BASE_NOT_FINITE", bias, [&](RawFile& f) { f.at(bias).bytes.replace(2, 2, "\x00\x7E", 2); }, true);
  edited("infinity", "BASE_NOT_FINITE", bias, [&](RawFile& f) { f.at(bias).bytes.replace(6, 2, "\x00\xFC", 2); }, true);
  edited("groups that don't fit", "BASE_CONFIG", "32 groups", [&](RawFile& f) { f.metadata.erase("tiller.model"); });
  edited("heads of -1", "BASE_CONFIG", "unet.heads", [&](RawFile& f) { f.metadata["tiller.model"] = R"({"unet":{"heads":-1}})"; });
  edited("another prediction", "BASE_CONFIG", "sample", [&](RawFile& f) { f.metadata["modelspec.prediction_type"] = "sample"; });
  edited("no text encoder, asked for", "BASE_MISMATCH", "no text encoder", [&](RawFile& f) { f.erase("cond_stage_model."); }, true);
}

void refused_models() {
  const std::string context = std::string(kUNetPrefix) + "middle_block.1.transformer_blocks.0.attn2.to_k.weight";
  edited("SD 2 by its context", "BASE_SD2", "2.x", [&](RawFile& f) { f.at(context).shape = Json::array({16, 1024}), f.at(context).bytes.resize(32768); });
  edited("SD 2 by its text encoder", "BASE_SD2", "2.x", [&](RawFile& f) { f.add("cond_stage_model.model.ln_final.weight"); });
  edited("SDXL by its embedders", "BASE_SDXL", "XL", [&](RawFile& f) { f.add("conditioner.embedders.0.x"); });
  edited("SDXL by its context", "BASE_SDXL", "XL", [&](RawFile& f) { f.at(context).shape = Json::array({16, 2048}), f.at(context).bytes.resize(65536); });
  edited("a LoRA of kohya", "BASE_LORA", "LoRA", [&](RawFile& f) { f.tensors.clear(), f.add("lora_unet_down_blocks_0.lora_down.weight"); });
  edited("a LoRA of PEFT", "BASE_LORA", "LoRA", [&](RawFile& f) { f.tensors.clear(), f.add("unet.down_blocks.0.attn1.to_q.lora_A.weight"); });
  const fs::path xl = copy_of_folder("xl");
  fs::create_directory(xl / "text_encoder_2");
  refused("a folder of SDXL", xl, "BASE_SDXL", "XL");
  const auto config = [&](const char* name, const char* file, const char* key, const Json& value, const std::string& code, const std::string& word) {
    const fs::path path = copy_of_folder(name);
    Json json = parse_json(bytes_of_file(path / file));
    json[key] = value;
    std::ofstream(path / file) << json.dump();
    refused(std::string("a folder with another ") + key, path, code, word);
  };
  config("c1", "unet/config.json", "cross_attention_dim", 1024, "BASE_SD2", "2.x");
  config("c2", "unet/config.json", "class_embed_type", "timestep", "BASE_CONFIG", "class_embed_type");
  config("c3", "unet/config.json", "act_fn", "gelu", "BASE_CONFIG", "act_fn");
  config("c4", "unet/config.json", "layers_per_block", 2, "BASE_MISMATCH", "");
  config("c5", "unet/config.json", "layers_per_block", 100000, "BASE_CONFIG", "layers_per_block");
  config("c6", "text_encoder/config.json", "hidden_act", "gelu", "BASE_CONFIG", "hidden_act");
  config("c7", "vae/config.json", "latents_mean", Json::array({1}), "BASE_CONFIG", "latents_mean");
  config("c8", "scheduler/scheduler_config.json", "prediction_type", "sample", "BASE_CONFIG", "sample");
  config("c10", "scheduler/scheduler_config.json", "rescale_betas_zero_snr", "yes", "BASE_CONFIG", "rescale_betas_zero_snr");
  config("c9", "model_index.json", "_class_name", "StableDiffusionXLPipeline", "BASE_SDXL", "XL");
}

void refused_paths() {
  refused("a path that isn't there", folder / "nothing", "BASE_NOT_FOUND", "nothing");
  fs::create_directory(folder / "empty");
  refused("a folder that is neither", folder / "empty", "BASE_UNKNOWN", "model_index.json");
  checks.holds("a folder that is neither has no kind", base_kind(folder / "empty") == BaseKind::none && base_kind(good()) == BaseKind::single_file);
  const auto file = [&](const char* name, const std::string& content, const std::string& code, const std::string& word) {
    std::ofstream(folder / name, std::ios::binary) << content;
    refused(name, folder / name, code, word);
  };
  file("model.ckpt", "anything", "BASE_PICKLE", "save_file");
  file("zip.safetensors", std::string("PK\x03\x04", 4) + std::string(100, '\0'), "BASE_PICKLE", "pickle");
  file("pickle.safetensors", std::string("\x80\x02}q", 4) + std::string(100, 'x'), "BASE_PICKLE", "pickle");
  file("model.bin", "anything", "BASE_PICKLE", "pickle");
  file("model.gguf", "GGUF", "BASE_GGUF", "GGUF");
  file("gguf.safetensors", "GGUF\x03", "BASE_GGUF", "GGUF");
  file("model.txt", "anything", "BASE_UNKNOWN", ".safetensors");
  const std::string whole = bytes_of_file(good());
  file("short.safetensors", whole.substr(0, 5), "BASE_CORRUPT", "shorter");
  file("header.safetensors", whole.substr(0, 1000), "BASE_CORRUPT", "ends past the file");
  file("cut.safetensors", whole.substr(0, whole.size() - 2), "BASE_CORRUPT", "ends past the file");
  file("long.safetensors", whole + "xx", "BASE_CORRUPT", "left over");
  const std::string length = std::string("\xFF\xFF\xFF\xFF\x00\x00\x00\x00", 8);
  file("length.safetensors", length + whole.substr(8), "BASE_CORRUPT", "header ends past");
  const std::string overlap = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})";
  std::string lead(8, '\0');
  lead[0] = static_cast<char>(overlap.size());
  file("overlap.safetensors", lead + overlap + std::string(12, '\0'), "BASE_CORRUPT", "overlaps");

  const fs::path bin = copy_of_folder("bin"), half = copy_of_folder("half"), twice = copy_of_folder("twice"), json = copy_of_folder("json");
  fs::rename(bin / "unet/diffusion_pytorch_model.safetensors", bin / "unet/diffusion_pytorch_model.bin");
  refused("a folder of pickles", bin, "BASE_PICKLE", "diffusion_pytorch_model.bin");
  fs::remove(half / "vae/diffusion_pytorch_model.safetensors");
  refused("a folder without weights", half, "BASE_MISMATCH", "vae has no diffusion_pytorch_model.safetensors");
  RawFile stranger(twice / "unet/diffusion_pytorch_model.safetensors");
  stranger.add("add_embedding.linear_1.weight");
  stranger.write(twice / "unet/diffusion_pytorch_model.safetensors");
  refused("a folder with a surplus tensor", twice, "BASE_MISMATCH", "add_embedding.linear_1.weight");
  std::ofstream(json / "unet/config.json") << "{";
  refused("a config that is no JSON", json, "BASE_CONFIG", "no JSON");
  std::ofstream(folder / "empty/adapter_config.json") << "{}";
  refused("a folder of a LoRA", folder / "empty", "BASE_LORA", "LoRA");
}

void refused_parameters() {
  UNetConfig wide = small_base_unet();
  wide.context_channels = 16;
  SmallBase other(wide);
  std::string code;
  try {
    BaseFiles(good()).load(other.parameters, BasePart::unet);
  } catch (const Failure& failure) {
    code = failure.code;
  }
  checks.holds("parameters of another size are not filled", code == "BASE_MISMATCH");
}

}  // namespace

int main(int argc, char** argv) {
  folder = fs::path(argc > 1 ? argv[1] : fs::temp_directory_path()) / "base-files";
  fs::remove_all(folder);
  fs::create_directories(folder);
  write_good();
  surplus_of_single_files();
  kinds_of_folders();
  refused_tensors();
  refused_models();
  refused_paths();
  refused_parameters();
  return checks.exit_code();
}
