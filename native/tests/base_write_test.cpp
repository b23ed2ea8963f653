// Stable Diffusion 1.x's names both ways, sizes out of shapes, and models written and read again.
//   base_write_test FOLDER
// It leaves FOLDER/base-write/, whose models test/peers/load_base.py loads in diffusers, and what they give.
#include <fstream>

#include "tests/base_models.h"

using namespace tiller;

namespace {

Checks checks;
fs::path folder;

std::string bytes_of_file(const fs::path& path) { return std::string(MappedFile(path).text()); }

// ---- names -------------------------------------------------------------------------------------------

void bijection(const std::string& what, const Parameters& described, const NameTable& names) {
  std::map<std::string, int> seen;
  size_t wrong = 0;
  for (const auto& tensor : described.tensors()) {
    const auto there = names.to_diffusers(tensor.name);
    if (!there || seen[*there]++ > 0 || names.to_sd(*there) != tensor.name) wrong++;
  }
  checks.expect(what + " names that don't come back", (double)wrong, 0);
}

// Names as they stand in the files of Stable Diffusion 1.5, both ways of publishing it.
void known_names() {
  const NameTable unet = unet_names(UNetConfig{}), vae = vae_names(VaeConfig{}), text = text_names();
  const auto pair = [](const NameTable& table, const std::string& prefix, const std::string& sd, const std::string& diffusers) {
    checks.holds(sd + " is " + diffusers, table.to_diffusers(prefix + sd) == diffusers && table.to_sd(diffusers) == prefix + sd);
  };
  pair(unet, kUNetPrefix, "input_blocks.3.0.op.weight", "down_blocks.0.downsamplers.0.conv.weight");
  pair(unet, kUNetPrefix, "input_blocks.4.0.skip_connection.bias", "down_blocks.1.resnets.0.conv_shortcut.bias");
  pair(unet, kUNetPrefix, "input_blocks.8.1.transformer_blocks.0.attn2.to_k.weight", "down_blocks.2.attentions.1.transformer_blocks.0.attn2.to_k.weight");
  pair(unet, kUNetPrefix, "input_blocks.11.0.emb_layers.1.weight", "down_blocks.3.resnets.1.time_emb_proj.weight");
  pair(unet, kUNetPrefix, "middle_block.2.out_layers.3.weight", "mid_block.resnets.1.conv2.weight");
  pair(unet, kUNetPrefix, "output_blocks.2.1.conv.weight", "up_blocks.0.upsamplers.0.conv.weight");
  pair(unet, kUNetPrefix, "output_blocks.8.2.conv.bias", "up_blocks.2.upsamplers.0.conv.bias");
  pair(unet, kUNetPrefix, "output_blocks.11.1.proj_out.weight", "up_blocks.3.attentions.2.proj_out.weight");
  pair(unet, kUNetPrefix, "time_embed.2.weight", "time_embedding.linear_2.weight");
  pair(vae, kVaePrefix, "encoder.down.2.downsample.conv.weight", "encoder.down_blocks.2.downsamplers.0.conv.weight");
  pair(vae, kVaePrefix, "decoder.up.3.block.2.conv1.weight", "decoder.up_blocks.0.resnets.2.conv1.weight");
  pair(vae, kVaePrefix, "decoder.up.1.upsample.conv.weight", "decoder.up_blocks.2.upsamplers.0.conv.weight");
  pair(vae, kVaePrefix, "decoder.up.0.block.0.nin_shortcut.weight", "decoder.up_blocks.3.resnets.0.conv_shortcut.weight");
  pair(vae, kVaePrefix, "encoder.mid.attn_1.proj_out.bias", "encoder.mid_block.attentions.0.to_out.0.bias");
  pair(vae, kVaePrefix, "decoder.norm_out.weight", "decoder.conv_norm_out.weight");
  pair(text, kTextPrefix, "encoder.layers.11.mlp.fc2.bias", "text_model.encoder.layers.11.mlp.fc2.bias");
}

void names() {
  Parameters unet, vae, text;
  const UNet u(unet, UNetConfig{});
  const Vae v(vae, VaeConfig{});
  const ClipText t(text, ClipTextConfig{});
  bijection("SD 1.x U-Net", unet, unet_names(UNetConfig{}));
  bijection("SD 1.x autoencoder", vae, vae_names(VaeConfig{}));
  bijection("SD 1.x text encoder", text, text_names());
  for (int levels = 1; levels <= 4; levels++)
    for (int res_blocks = 1; res_blocks <= 3; res_blocks++)
      for (int attention = 0; attention < 1 << levels; attention += 1 + levels / 3) {
        UNetConfig config;
        config.channel_multipliers.assign(levels, 1);
        config.res_blocks = res_blocks;
        config.transformer_depth = 1 + res_blocks % 2;
        config.attention_levels.clear();
        for (int l = 0; l < levels; l++)
          if (attention >> l & 1) config.attention_levels.push_back(l);
        Parameters parameters;
        const UNet model(parameters, config);
        const std::string what = std::to_string(levels) + " levels, " + std::to_string(res_blocks) + " blocks, attention " + std::to_string(attention);
        bijection(what, parameters, unet_names(config));
        const ShapeOf shape_of = [&](const std::string& name) {
          const Parameter* found = parameters.find(name);
          return found == nullptr ? std::vector<int64_t>{} : std::vector<int64_t>(found->shape.begin(), found->shape.end());
        };
        checks.holds(what + " is found in the shapes", json_of(unet_of_shapes(shape_of, {})) == json_of(config));
      }
  known_names();
  const NameTable table = unet_names(UNetConfig{});
  checks.holds("a name of another model has no translation",
               !table.to_sd("down_blocks.4.resnets.0.conv1.weight") && !table.to_diffusers("model.diffusion_model.label_emb.0.0.weight"));
}

// Stable Diffusion's own sizes out of shapes; a base that paints into pictures has 9 channels.
void sizes() {
  for (const int in_channels : {4, 9}) {
    UNetConfig config;
    config.in_channels = in_channels;
    Parameters parameters;
    const UNet unet(parameters, config);
    const Vae vae(parameters, VaeConfig{});
    const ClipText text(parameters, ClipTextConfig{});
    const ShapeOf shape_of = [&](const std::string& name) {
      const Parameter* found = parameters.find(name);
      return found == nullptr ? std::vector<int64_t>{} : std::vector<int64_t>(found->shape.begin(), found->shape.end());
    };
    const std::string what = "SD 1.x with " + std::to_string(in_channels) + " channels: ";
    checks.holds(what + "U-Net", json_of(unet_of_shapes(shape_of, {})) == json_of(config));
    checks.holds(what + "autoencoder", json_of(vae_of_shapes(shape_of, {})) == json_of(VaeConfig{}));
    checks.holds(what + "text encoder", json_of(text_of_shapes(shape_of, {})) == json_of(ClipTextConfig{}));
  }
}

// ---- round trips -------------------------------------------------------------------------------------

bool same_training(const BaseFiles& read, const Parameterization& wanted) {
  const Parameterization& found = read.parameterization();
  return found.prediction == wanted.prediction && found.zero_terminal_snr == wanted.zero_terminal_snr;
}

// What A1111, Forge and ComfyUI look for in a single file, and diffusers in a folder.
void said_to_others() {
  for (const auto& [trained, v, zero] : {std::tuple{Parameterization{}, false, false}, {{Prediction::v, false}, true, false}, {{Prediction::v, true}, true, true}}) {
    SmallBase base;
    base.trained = trained;
    const fs::path file = folder / "said.safetensors", tree = folder / "said";
    write_single_file(file, base.model());
    fs::remove_all(tree);
    write_diffusers_folder(tree, base.model());
    const Safetensors read(file);
    const Json json = parse_json(bytes_of_file(tree / "scheduler/scheduler_config.json"));
    checks.holds("v_pred and ztsnr are there where they are true", (read.find("v_pred") != nullptr) == v && (read.find("ztsnr") != nullptr) == zero);
    checks.holds("the scheduler's file says the prediction", json["prediction_type"] == (v ? "v_prediction" : "epsilon"));
    checks.holds("and the rescaled betas, which need trailing timesteps",
                 json.value("rescale_betas_zero_snr", false) == zero && json.value("timestep_spacing", "") == (zero ? "trailing" : ""));
  }
}

void round_trips() {
  for (const std::string dtype : {"F32", "F16", "BF16"}) {
    SmallBase first;
    fill(first.parameters);
    first.trained = {Prediction::v, dtype == "F16"};
    const fs::path a = folder / (dtype + "-a.safetensors"), b = folder / (dtype + "-b.safetensors"), c = folder / (dtype + "-c.safetensors");
    const fs::path d = folder / (dtype + "-folder"), e = folder / (dtype + "-folder-again");
    const WriteOptions options{.dtype = dtype, .metadata = {{"modelspec.title", "a model"}}};
    write_single_file(a, first.model(), options);
    const BaseFiles read(a);
    SmallBase second(read);
    write_single_file(b, second.model(), options);
    checks.holds(dtype + ": written, read and written are the same bytes", bytes_of_file(a) == bytes_of_file(b));
    checks.holds(dtype + ": the kind and the prediction", read.kind() == BaseKind::single_file && same_training(read, first.trained));
    checks.holds(dtype + ": its sizes", json_of(read.unet()) == json_of(small_base_unet()) && json_of(read.vae()) == json_of(small_base_vae()) &&
                                            json_of(read.text()) == json_of(small_base_text()));
    write_diffusers_folder(d, second.model(), options);
    const BaseFiles read_folder(d);
    SmallBase third(read_folder);
    write_single_file(c, third.model(), options);
    checks.holds(dtype + ": through a diffusers folder, the same bytes", bytes_of_file(a) == bytes_of_file(c));
    checks.holds(dtype + ": a folder's kind and prediction", read_folder.kind() == BaseKind::diffusers && same_training(read_folder, first.trained));
    write_diffusers_folder(e, third.model(), options);
    checks.holds(dtype + ": the autoencoder's scale has its own digits",
                 bytes_of_file(d / "vae/config.json").find("\"scaling_factor\": 0.18215,") != std::string::npos);
    bool same = true;
    for (const auto& entry : fs::recursive_directory_iterator(d))
      if (entry.is_regular_file()) same = same && bytes_of_file(entry.path()) == bytes_of_file(e / fs::relative(entry.path(), d));
    checks.holds(dtype + ": the folder again, the same bytes", same);
  }
  SmallBase inpaint(small_base_unet(9));
  fill(inpaint.parameters);
  write_single_file(folder / "inpaint.safetensors", inpaint.model());
  const BaseFiles read(folder / "inpaint.safetensors");
  checks.holds("9 channels come back", read.unet().in_channels == 9 && !read.parameterization().prediction);
}

void averages_and_limits() {
  SmallBase base;
  fill(base.parameters);
  base.parameters.reset_average();
  const size_t size = base.parameters.trainable_size();
  float* average = base.parameters.data(Buffer::average);
  for (size_t i = 0; i < size; i++) average[i] *= 2;
  write_single_file(folder / "average.safetensors", base.model(), {.dtype = "F32", .buffer = Buffer::average});
  SmallBase read(BaseFiles(folder / "average.safetensors"));
  const float* twice = read.parameters.data(Buffer::weight);
  checks.holds("the average is written where it is asked for", std::equal(twice, twice + size, average));
  checks.holds("the average begins as what was read", std::equal(twice, twice + size, read.parameters.data(Buffer::average)));

  const fs::path path = folder / "large.safetensors";
  const auto refused = [&](float value, const std::string& dtype, const std::string& hint) {
    base.parameters.data(Buffer::weight)[0] = value;
    try {
      write_single_file(path, base.model(), {.dtype = dtype});
    } catch (const Failure& failure) {
      return failure.code == "BASE_NOT_FINITE" && failure.hint.find(hint) != std::string::npos;
    }
    return false;
  };
  checks.holds("F16 can't hold 70000", refused(70000, "F16", "BF16"));
  checks.holds("nothing holds NaN", refused(NAN, "F32", "epoch"));
  checks.holds("what could not be written left nothing", !fs::exists(path) && std::none_of(fs::directory_iterator(folder), {}, [](const auto& entry) {
                 return entry.path().filename().string().find(".tmp-") != std::string::npos;
               }));
  checks.holds("BF16 holds 70000", !refused(70000, "BF16", "") && fs::exists(path));
  fs::create_directory(folder / "words");
  for (const char* name : {"vocab.json", "merges.txt", "notes.txt"}) std::ofstream(folder / "words" / name) << name;
  write_diffusers_folder(folder / "with-words", base.model(), {.dtype = "F32", .tokenizer = folder / "words"});
  const Json index = parse_json(bytes_of_file(folder / "with-words/model_index.json"));
  checks.holds("a tokenizer's files are copied, and no others",
               bytes_of_file(folder / "with-words/tokenizer/merges.txt") == "merges.txt" && index["tokenizer"][1] == "CLIPTokenizer" &&
                   !fs::exists(folder / "with-words/tokenizer/notes.txt"));
  bool kept = false;
  try {
    fs::create_directory(folder / "there"); // a rename would take an empty folder's place
    write_diffusers_folder(folder / "there", base.model(), {.dtype = "F32"});
  } catch (const std::system_error&) {
    kept = true;
  }
  checks.holds("a folder that is there is kept", kept);
}

// ---- for test/peers/load_base.py ----------------------------------------------------------------------

void outputs_for_peers() {
  SmallBase base(BaseFiles(folder / "F32-a.safetensors"));
  Pool pool(1);
  Tape tape(pool, false);
  Value *x = tape.input({1, 6, 8, 4}), *t = tape.input({1, 1, 1, 1}), *ids = tape.input({1, 1, 9, 1});
  Value *rgb = tape.input({1, 24, 32, 3}), *z = tape.input({1, 6, 8, 4});
  Value* context = base.text.build(tape, ids);
  const std::pair<const char*, Value*> outputs[] = {{"text", context},
                                                    {"unet", base.unet.build(tape, x, t, context)},
                                                    {"moments", base.vae.build_encoder(tape, rgb)},
                                                    {"picture", base.vae.build_decoder(tape, z)}};
  std::vector<TensorInfo> infos;
  for (const auto& [name, value] : outputs) {
    tape.expose(value);
    infos.push_back({name, {value->shape.n, value->shape.h, value->shape.w, value->shape.c}});
  }
  tape.finish();
  fill(x, "x"), fill(rgb, "rgb"), fill(z, "z");
  t->data[0] = 501;
  for (int i = 0; i < 9; i++) ids->data[i] = (float)(i * 7 % 30);
  tape.forward();
  OutputFile out(folder / "outputs.safetensors");
  write_safetensors(out, infos, {}, [&](size_t i, float* to) {
    std::copy(outputs[i].second->data, outputs[i].second->data + outputs[i].second->shape.size(), to);
  });
  out.finish();
}

}  // namespace

int main(int argc, char** argv) {
  folder = fs::path(argc > 1 ? argv[1] : fs::temp_directory_path()) / "base-write";
  fs::remove_all(folder);
  fs::create_directories(folder);
  names();
  sizes();
  said_to_others();
  round_trips();
  averages_and_limits();
  outputs_for_peers();
  return checks.exit_code();
}
