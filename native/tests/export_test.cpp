// What tiller-export does, on small models: LoRA files both ways, merging, extraction, whole models, refusals.
//   export_test FOLDER
// It leaves FOLDER/export/, which test/peers/load_lora.py loads in diffusers and PEFT.
#include <fstream>

#include "tests/export_models.h"
#include "tests/export_refusals.h"
#include "tests/export_training.h"
#include "tests/svd_checks.h"

using namespace tiller;

namespace {

Checks checks;
fs::path folder;
const LowRankSettings kSettings{4, 2, 3, 1.5f};

double apart(const std::vector<float>& a, const std::vector<float>& b) {
  return a.size() == b.size() ? relative_error(a.data(), b.data(), a.size()) : NAN;
}

ExportJob job(const char* to, const char* format, const char* dtype = "F32") {
  ExportJob job;
  job.base = folder / "base.safetensors", job.to = folder / to, job.format = format, job.dtype = dtype;
  job.verify->side = 8, job.verify->steps = 2, job.verify->ids = {28, 3, 5, 29};
  return job;
}
ExportJob of_checkpoint(const char* to, const char* format, const char* dtype = "F32") {
  ExportJob made = job(to, format, dtype);
  made.checkpoint = folder / "lora-run" / "step-00000007", made.weights = WeightChoice::raw;
  return made;
}

// Keys as they stand in files that kohya's trainer and diffusers wrote for Stable Diffusion 1.5.
void known_keys() {
  const LoraTargets targets(UNetConfig{}, ClipTextConfig{});
  const auto known = [&](const std::string& name, const std::string& kohya, const std::string& peft) {
    const LoraTarget* target = targets.find(name);
    checks.holds(kohya, target != nullptr && target->kohya() == kohya && target->peft() == peft && target->usual &&
                            targets.find_kohya(kohya) == target && targets.find_peft(peft) == target);
  };
  const std::string u = kUNetPrefix, t = kTextPrefix;
  known(u + "input_blocks.1.1.transformer_blocks.0.attn1.to_q", "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q",
        "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q");
  known(u + "middle_block.1.proj_in", "lora_unet_mid_block_attentions_0_proj_in", "unet.mid_block.attentions.0.proj_in");
  known(u + "output_blocks.11.1.transformer_blocks.0.ff.net.0.proj", "lora_unet_up_blocks_3_attentions_2_transformer_blocks_0_ff_net_0_proj",
        "unet.up_blocks.3.attentions.2.transformer_blocks.0.ff.net.0.proj");
  known(u + "output_blocks.2.1.conv", "lora_unet_up_blocks_0_upsamplers_0_conv", "unet.up_blocks.0.upsamplers.0.conv");
  known(u + "input_blocks.4.0.emb_layers.1", "lora_unet_down_blocks_1_resnets_0_time_emb_proj", "unet.down_blocks.1.resnets.0.time_emb_proj");
  known(t + "encoder.layers.11.mlp.fc2", "lora_te_text_model_encoder_layers_11_mlp_fc2", "text_encoder.text_model.encoder.layers.11.mlp.fc2");
  size_t attention = 0, text = 0, odd = 0;
  for (const LoraTarget& target : targets.all()) {
    attention += target.usual && target.part == BasePart::unet && target.module.find("attentions") != std::string::npos;
    text += target.usual && target.part == BasePart::text;
    odd += targets.find_kohya(target.kohya()) != &target || targets.find_peft(target.peft()) != &target;
  }
  // kohya says "create LoRA for U-Net: 192 modules", "for Text Encoder: 72 modules".
  checks.expect("kohya's U-Net modules", std::abs((double)attention - 192), 0);
  checks.expect("kohya's text encoder modules", std::abs((double)text - 72), 0);
  checks.expect("keys that don't come back", (double)odd, 0);
  checks.holds("transformers' newer key of a text encoder", targets.find_peft("text_encoder.encoder.layers.0.mlp.fc1") == targets.find(t + "encoder.layers.0.mlp.fc1"));
}

void make_base() {
  SmallBase base;
  fill(base.parameters);
  write_single_file(folder / "base.safetensors", base.model(), {.dtype = "F32"});
  write_diffusers_folder(folder / "base", base.model(), {.dtype = "F32"});
}

void lora_files(const BaseFiles& base) {
  const LoraTargets targets(base);
  AdaptedBase adapted(base, kSettings);
  write_checkpoint(folder / "lora-run", 7, adapted.parameters, trained_tensor, json_of(kSettings));
  const auto wanted = said_by(*adapted.unet, *adapted.text);
  checks.holds("the LoRA changes what the model says", apart(wanted, said_by(base)) > 0.1);

  for (const char* dtype : {"F32", "F16", "BF16"}) {
    const std::string name = std::string(dtype) + ".safetensors", again = std::string(dtype) + "-again.safetensors";
    const Exported made = run_export(of_checkpoint(name.c_str(), "lora", dtype));
    checks.holds(name + ": its hash and its effect are said", made.files.size() == 1 && made.files[0].sha256 == hash_file(folder / name) &&
                                                                  made.difference.value_or(0) > 1);
    const Lora read = read_lora(folder / name, targets);
    write_lora(folder / again, read, targets, LoraKeys::kohya, dtype);
    checks.holds(name + ": read and written, the same bytes", bytes_of_file(folder / name) == bytes_of_file(folder / again));
    ExportJob from_file = job("again-by-job.safetensors", "lora", dtype);
    from_file.lora = folder / name, from_file.overwrite = true;
    run_export(from_file);
    checks.holds(name + ": exported again, the same bytes", bytes_of_file(folder / name) == bytes_of_file(from_file.to));
    ExportJob peft = of_checkpoint((std::string(dtype) + "-peft.safetensors").c_str(), "peft", dtype);
    run_export(peft);
    const double limit = dtype == std::string("F32") ? 1e-5 : dtype == std::string("F16") ? 2e-3 : 2e-2;
    for (const fs::path& file : {folder / name, peft.to}) {
      AdaptedBase other(base, kSettings);
      load_lora(read_lora(file, targets), other.adapters);
      checks.expect(file.filename().string() + " in adapters", apart(said_by(*other.unet, *other.text), wanted), limit);
    }
  }
  Lora odd = read_lora(folder / "F16.safetensors", targets);
  for (LoraMatrix& matrix : odd.matrices) matrix.alpha = 0.1f;
  write_lora(folder / "odd.safetensors", odd, targets, LoraKeys::kohya, "F16");
  checks.holds("an alpha that F16 hasn't stays what it is", read_lora(folder / "odd.safetensors", targets).matrices[0].alpha == 0.1f);
  AdaptedBase wider(base, {6, 3, 5, 5});
  load_lora(read_lora(folder / "F32.safetensors", targets), wider.adapters);
  checks.expect("in adapters of a larger rank and another alpha", apart(said_by(*wider.unet, *wider.text), wanted), 1e-5);
  AdaptedBase narrow(base, {3, 3, 3, 3}), without(base, {4, 4, 0, 1});
  checks.holds("adapters of a smaller rank refuse it", code_of([&] { load_lora(read_lora(folder / "F32.safetensors", targets), narrow.adapters); }) == "LORA_MISMATCH");
  checks.holds("adapters without convolutions refuse it", code_of([&] { load_lora(read_lora(folder / "F32.safetensors", targets), without.adapters); }) == "LORA_UNMATCHED");
}

void lora_metadata() {
  ExportJob described = of_checkpoint("described.safetensors", "lora");
  described.metadata = {{"ss_steps", "7"}, {"ss_sd_model_name", "named"}};
  run_export(described);
  auto metadata = Safetensors(described.to).metadata();
  checks.holds("metadata: ranks and alphas", metadata["ss_network_dim"] == "4" && metadata["ss_network_alpha"] == "2" &&
                                                 metadata["ss_network_args"] == R"({"conv_dim":"3","conv_alpha":"1.5"})");
  checks.holds("metadata: kind", metadata["ss_network_module"] == "networks.lora" && metadata["ss_base_model_version"] == "sd_v1" &&
                                     metadata["modelspec.architecture"] == "stable-diffusion-v1/lora");
  checks.holds("metadata: the caller's", metadata["ss_steps"] == "7" && metadata["ss_sd_model_name"] == "named");
  const Safetensors file(described.to);
  const TensorInfo* alpha = file.find("lora_unet_mid_block_attentions_0_proj_in.alpha");
  const TensorInfo* down = file.find("lora_unet_mid_block_attentions_0_proj_in.lora_down.weight");
  const TensorInfo* up = file.find("lora_unet_down_blocks_0_resnets_0_conv1.lora_up.weight");
  checks.holds("shapes as kohya's: alpha without sides, 1x1 convolutions with four",
               alpha->shape.empty() && file.read(*alpha)[0] == 2 && down->shape.size() == 4 && up->shape == std::vector<int64_t>{8, 3, 1, 1});
}

void running_means(const BaseFiles& base) {
  const LoraTargets targets(base);
  ExportJob averaged = of_checkpoint("ema.safetensors", "lora");
  averaged.weights = WeightChoice::automatic;
  run_export(averaged);
  const Lora raw = read_lora(folder / "F32.safetensors", targets), ema = read_lora(averaged.to, targets);
  checks.holds("the running mean is taken unless raw is asked for", ema.matrices[0].up[1] == 2 * raw.matrices[0].up[1]);
}

void merging(const BaseFiles& base) {
  AdaptedBase adapted(base, kSettings);
  const auto wanted = said_by(*adapted.unet, *adapted.text);
  run_export(of_checkpoint("merged.safetensors", "single-file"));
  run_export(of_checkpoint("merged", "diffusers"));
  checks.expect("merged into a single file", apart(said_by(BaseFiles(folder / "merged.safetensors")), wanted), 1e-5);
  checks.expect("merged into a folder", apart(said_by(BaseFiles(folder / "merged")), wanted), 1e-5);
  ExportJob half = job("half.safetensors", "single-file");
  half.lora = folder / "F32.safetensors", half.scale = 0.5f;
  run_export(half);
  adapted.fill_adapters(0.5f); // both matrices: a quarter
  ExportJob quarter = half;
  quarter.to = folder / "quarter.safetensors", quarter.scale = 0.25f;
  run_export(quarter);
  checks.expect("merged at a quarter", apart(said_by(BaseFiles(quarter.to)), said_by(*adapted.unet, *adapted.text)), 1e-5);
  const std::string name = std::string(kUNetPrefix) + "input_blocks.1.0.in_layers.2.weight", norm = std::string(kUNetPrefix) + "out.0.weight";
  const BaseFiles whole(folder / "merged.safetensors"), halved(half.to);
  std::vector<float> d = whole.read(name), h = halved.read(name);
  const auto w = base.read(name);
  for (size_t i = 0; i < d.size(); i++) d[i] = (d[i] - w[i]) / 2, h[i] -= w[i];
  checks.expect("half of a convolution's difference", apart(h, d), 1e-5);
  checks.holds("what has no low-rank part is the base's", whole.read(norm) == base.read(norm));
}

void whole_models(const BaseFiles& base) {
  SmallBase tuned(base);
  for (Parameter& tensor : tuned.parameters.tensors()) {
    if (!tensor.name.starts_with(kUNetPrefix)) continue;
    std::vector<float> values(tensor.size());
    tensor.store(values.data());
    for (float& value : values) value *= 1.5f;
    tensor.load(values.data());
  }
  const Chosen unet_only = [](const Parameter& tensor) { return tensor.name.starts_with(kUNetPrefix); };
  tuned.parameters.reset_average();
  ExportJob full = job("full.safetensors", "single-file");
  full.checkpoint = write_checkpoint(folder / "full-run", 9, tuned.parameters, unet_only, nullptr);
  const Exported made = run_export(full);
  checks.holds("a whole model's file is listed", made.files.size() == 1 && made.files[0].bytes == fs::file_size(full.to));
  write_single_file(folder / "expected.safetensors", tuned.model(), {.dtype = "F32", .metadata = {{"modelspec.architecture", "stable-diffusion-v1"}, {"modelspec.prediction_type", "epsilon"}, {"modelspec.sai_model_spec", "1.0.0"}, {"ss_zero_terminal_snr", "False"}}});
  checks.holds("the trained U-Net, the base's rest: the bytes of the model itself", bytes_of_file(full.to) == bytes_of_file(folder / "expected.safetensors"));
  ExportJob second = full;
  second.to = folder / "full-again.safetensors", second.base = full.to;
  run_export(second);
  checks.holds("exported, imported, exported: the same bytes", bytes_of_file(full.to) == bytes_of_file(second.to));
  ExportJob as_folder = full;
  as_folder.to = folder / "full", as_folder.format = "diffusers";
  checks.holds("a folder's files are listed", run_export(as_folder).files.size() == 8);
  checks.holds("the folder has the same weights", said_by(BaseFiles(as_folder.to)) == said_by(BaseFiles(full.to)));
  checks.holds("a folder that is there is kept", code_of([&] { run_export(as_folder); }) == "EXPORT_EXISTS");
  as_folder.overwrite = true;
  run_export(as_folder);
  checks.holds("or replaced where that is asked for", BaseFiles(as_folder.to).kind() == BaseKind::diffusers);
  ExportJob adapter = job("", "lora");
  adapter.lora = folder / "F32.safetensors";
  own_autoencoder(checks, folder, full, adapter);
  said_training(checks, folder, full, adapter);
  as_folder.format = "lora", as_folder.to = folder / "no.safetensors";
  checks.holds("weights are no LoRA", code_of([&] { run_export(as_folder); }) == "EXPORT_FORMAT");
}

void extraction(const BaseFiles& base) {
  ExportJob extract = job("extracted.safetensors", "lora");
  extract.tuned = folder / "merged.safetensors", extract.rank = 4;
  const Exported made = run_export(extract);
  checks.expect("a difference of low rank: energy lost", 1 - made.energy.value_or(0), 1e-6);
  checks.holds("nothing else differs", made.left->count == 0);
  ExportJob back = job("extracted-merged.safetensors", "single-file");
  back.lora = extract.to;
  run_export(back);
  checks.expect("extracted and merged again", apart(said_by(BaseFiles(back.to)), said_by(BaseFiles(folder / "merged.safetensors"))), 1e-4);
  extract.to = folder / "extracted-1.safetensors", extract.rank = 1;
  const Exported one = run_export(extract);
  checks.holds("rank 1 keeps less", *one.energy < 0.9 && *one.energy > 0.1);
  extract.to = folder / "extracted-full.safetensors", extract.tuned = folder / "full.safetensors", extract.rank = 2;
  checks.holds("norms and biases that differ are counted", run_export(extract).left->count > 10);
  extract.to = folder / "extracted-none.safetensors", extract.tuned = folder / "base";
  checks.holds("no difference is no LoRA", code_of([&] { run_export(extract); }) == "EXPORT_DOES_NOTHING" && !fs::exists(extract.to));
}

// For test/activities: B begins at zero.
void untrained_run(const BaseFiles& base) {
  AdaptedBase adapted(base, kSettings);
  adapted.fill_adapters(0);
  fs::create_directories(folder / "nothing-run");
  ExportJob nothing = job("nothing.safetensors", "lora");
  nothing.checkpoint = write_checkpoint(folder / "nothing-run", 13, adapted.parameters, trained_tensor, json_of(kSettings));
  checks.holds("an untrained LoRA does nothing", code_of([&] { run_export(nothing); }) == "EXPORT_DOES_NOTHING");
}

void outputs_for_peers(const BaseFiles& base) {
  AdaptedBase adapted(base, kSettings);
  const std::pair<const char*, std::vector<float>> outputs[] = {{"with", said_by(*adapted.unet, *adapted.text)}, {"without", said_by(base)}};
  std::vector<TensorInfo> infos;
  for (const auto& [name, values] : outputs) infos.push_back({name, {(int64_t)values.size()}});
  OutputFile out(folder / "outputs.safetensors");
  write_safetensors(out, infos, {}, [&](size_t i, float* to) { std::copy(outputs[i].second.begin(), outputs[i].second.end(), to); });
  out.finish();
}

}  // namespace

int main(int argc, char** argv) {
  folder = fs::path(argc > 1 ? argv[1] : fs::temp_directory_path()) / "export";
  fs::remove_all(folder);
  fs::create_directories(folder / "lora-run"), fs::create_directories(folder / "full-run");
  known_keys();
  svd_checks(checks);
  make_base();
  const BaseFiles base(folder / "base.safetensors");
  lora_files(base);
  lora_metadata();
  running_means(base);
  merging(base);
  whole_models(base);
  extraction(base);
  refusals(checks, folder, job("refused.safetensors", "lora"));
  untrained_run(base);
  outputs_for_peers(base);
  return checks.exit_code();
}
