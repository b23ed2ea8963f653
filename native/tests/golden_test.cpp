// The U-Net and the text encoder against PyTorch: test/peers/unet.py wrote what diffusers and
// transformers gave. Weights and inputs come from the tensors' names on both sides.
//   golden_test [folder of the goldens]
#include "tests/golden_models.h"

using namespace tiller;

namespace {

Checks checks;

// Computing blocks again changes no bit, and needs less memory.
void checkpointing_same_bits() {
  std::vector<float> results[2];
  size_t bytes[2];
  for (const bool checkpointing : {false, true}) {
    Parameters parameters;
    const UNet model(parameters, small_unet());
    parameters.allocate(true);
    fill(parameters);
    Pool pool(2);
    Tape tape(pool, true);
    Value *x = tape.input({2, 14, 10, 5}, true), *t = tape.input({2, 1, 1, 1}), *context = tape.input({2, 1, 7, 12}, true);
    auto& loss = tape.add<MeanSquaredError>(model.build(tape, x, t, context, checkpointing));
    tape.finish();
    fill(x, "x");
    fill(context, "context");
    fill(loss.target, "target");
    loss.weights->data[0] = loss.weights->data[1] = 1;
    for (int pass = 0; pass < 2; pass++) tape.forward(), tape.backward(); // the second adds up
    auto& result = results[checkpointing];
    result.assign(parameters.data(Buffer::gradient), parameters.data(Buffer::gradient) + parameters.trainable_size());
    result.insert(result.end(), x->gradient, x->gradient + x->shape.size());
    result.insert(result.end(), context->gradient, context->gradient + context->shape.size());
    bytes[checkpointing] = tape.bytes();
  }
  checks.holds("gradient checkpointing, same bits", results[0] == results[1]);
  checks.holds("gradient checkpointing needs less memory", bytes[1] < bytes[0] * 3 / 4);
}

// Stable Diffusion 1.5's own sizes, counted without a byte allocated.
void stable_diffusion_sizes() {
  Parameters unet, text;
  const UNet model(unet, UNetConfig{});
  const ClipText encoder(text, ClipTextConfig{});
  checks.expect("SD 1.x U-Net has 686 tensors", std::abs((double)unet.tensors().size() - 686), 0);
  checks.expect("SD 1.x U-Net has 859,520,964 parameters", std::abs((double)unet.count() - 859520964), 0);
  checks.expect("CLIP text encoder has 196 tensors", std::abs((double)text.tensors().size() - 196), 0);
  checks.expect("CLIP text encoder has 123,060,480 parameters", std::abs((double)text.count() - 123060480), 0);
  const char* names[] = {"input_blocks.1.1.transformer_blocks.0.attn1.to_q.weight", "input_blocks.3.0.op.weight",
                         "middle_block.1.proj_in.weight", "output_blocks.2.1.conv.weight", "output_blocks.5.2.conv.bias",
                         "output_blocks.11.0.skip_connection.weight", "time_embed.2.bias", "out.2.weight"};
  for (const std::string name : names) {
    checks.holds("SD 1.x has " + name, unet.find("model.diffusion_model." + name) != nullptr);
  }
}

// One set of parameters, tapes of other sizes; sizes that can't be are refused.
void other_sizes() {
  Parameters parameters;
  const UNet model(parameters, small_unet());
  parameters.allocate(false);
  fill(parameters);
  Pool pool(2);
  const auto build = [&](int n, int h, int w, std::vector<float>* out) {
    Tape tape(pool, false);
    Value *x = tape.input({n, h, w, 5}), *t = tape.input({n, 1, 1, 1}), *context = tape.input({n, 1, 7, 12});
    Value* y = model.build(tape, x, t, context);
    tape.expose(y);
    tape.finish();
    fill(x, "x");
    fill(context, "context");
    tape.forward();
    out->assign(y->data, y->data + (size_t)h * w * 3);
  };
  std::vector<float> alone, together, large;
  build(1, 6, 8, &alone);
  build(3, 6, 8, &together);
  build(1, 14, 10, &large);
  checks.holds("a picture alone and in a batch, same bits", alone == together);
  double size = 0;
  for (const float v : large) size += std::abs(v);
  checks.holds("a larger picture is finite", std::isfinite(size));
  bool refused = false;
  try {
    build(1, 7, 8, &alone);
  } catch (const std::invalid_argument&) {
    refused = true;
  }
  checks.holds("a height of 7 is refused", refused);
}

} // namespace

int main(int argc, char** argv) {
  const std::string folder = argc > 1 ? argv[1] : "test/golden";
  const Golden golden{checks, "unet", Safetensors(folder + "/unet.safetensors")};
  unet(golden, {1, false});
  unet(golden, {2, false});
  unet(golden, {2, true});
  checkpointing_same_bits();
  clip_text({checks, "clip_text", Safetensors(folder + "/clip_text.safetensors")});
  GoldenAdapters adapters;
  unet({checks, "unet_lora", Safetensors(folder + "/unet_lora.safetensors")}, {2, true}, &adapters.unet);
  clip_text({checks, "clip_text_lora", Safetensors(folder + "/clip_text_lora.safetensors")}, {2}, &adapters.text);
  stable_diffusion_sizes();
  other_sizes();
  return checks.exit_code();
}
