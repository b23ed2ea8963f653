// The text encoder with layers left out, texts of several chunks, and prompts' weights, against
// transformers (test/peers/clip.py).
//   clip_test [folder of the goldens]
#include "models/clip_text.h"
#include "tests/golden.h"

using namespace tiller;

namespace {

Checks checks;

ClipTextConfig small(int clip_skip) {
  return {.vocabulary = 30,
          .positions = 9,
          .channels = 12,
          .layers = 3,
          .heads = 3,
          .hidden = 20,
          .clip_skip = clip_skip};
}

constexpr int kChunks = 4, kLength = 9;
constexpr int kTokens[] = {2, 3,  1,  4,  1,  5,  9,  6,  29, 2, 8,  29, 29, 29, 29, 29, 29, 29,
                           2, 27, 18, 28, 18, 28, 4,  5,  29, 2, 29, 29, 29, 29, 29, 29, 29, 29};

struct Encoder {
  Parameters parameters;
  ClipText model;
  Pool pool{2};
  Tape tape;
  Value *ids, *emphasis, *y;

  Encoder(int clip_skip, int chunks, bool training, bool weighted)
      : model(parameters, small(clip_skip)), tape(pool, training), ids(tape.input({kChunks, 1, kLength, 1})),
        emphasis(weighted ? tape.input({kChunks, 1, kLength, 1}) : nullptr),
        y(model.build(tape, {ids, chunks, emphasis})) {
    parameters.allocate(training);
    fill(parameters);
    tape.expose(y);
    tape.finish();
    std::copy(std::begin(kTokens), std::end(kTokens), ids->data);
    if (weighted) std::fill_n(emphasis->data, kChunks * kLength, 1.f);
  }
  std::vector<float> result() {
    tape.forward();
    return {y->data, y->data + y->shape.size()};
  }
};

void gradients(const Golden& golden) {
  Encoder encoder(2, 2, true, false);
  checks.holds("two texts of 18 tokens", encoder.y->shape.n == 2 && encoder.y->shape.tokens() == 18);
  const auto y = encoder.result();
  golden.expect("y", y.data(), y.size());
  const auto dy = normals("dy", y.size());
  std::copy(dy.begin(), dy.end(), encoder.y->gradient);
  encoder.tape.backward();
  int skipped = 0;
  for (const auto& tensor : encoder.parameters.tensors()) {
    if (tensor.name.find("layers.2.") != std::string::npos) {
      // Neither decayed nor averaged by an optimizer that has nothing to say of it.
      skipped += !tensor.trainable() && golden.file.find(tensor.name) == nullptr;
      continue;
    }
    std::vector<float> gradient(tensor.size());
    tensor.store(gradient.data(), Buffer::gradient);
    golden.expect(tensor.name, gradient.data(), gradient.size());
  }
  checks.expect("tensors of the last layer that are kept and not trained: 16", std::abs(skipped - 16), 0);
}

void skips(const Golden& golden) {
  for (const auto& [clip_skip, name] : {std::pair{1, "last"}, {3, "first"}}) {
    Encoder encoder(clip_skip, 1, false, false);
    const auto y = encoder.result();
    golden.expect(name, y.data(), y.size());
  }
  for (const int clip_skip : {0, 4}) {
    bool refused = false;
    try {
      Parameters parameters;
      const ClipText model(parameters, small(clip_skip));
    } catch (const std::invalid_argument& error) {
      refused = std::string(error.what()).find("clip_skip") != std::string::npos;
    }
    checks.holds("clip_skip " + std::to_string(clip_skip) + " of 3 layers is refused", refused);
  }
  bool refused = false;
  try {
    Encoder encoder(1, 3, false, false);
  } catch (const std::invalid_argument&) {
    refused = true;
  }
  checks.holds("4 chunks of texts of 3 are refused", refused);
}

void emphasis(const Golden& golden) {
  Encoder plain(2, 2, false, false), weighted(2, 2, false, true);
  checks.holds("weights of 1 change no bit", plain.result() == weighted.result());
  float* w = weighted.emphasis->data;
  w[2] = w[3] = w[4] = 1.21f, w[kLength + 1] = -0.5f, w[2 * kLength + 3] = 1 / 1.1f;
  const auto y = weighted.result();
  golden.expect("emphasized", y.data(), y.size());
  std::fill_n(w, kLength, 0.f);
  const auto nothing = weighted.result();
  bool zeros = true;
  for (size_t i = 0; i < (size_t)kLength * 12; i++) zeros = zeros && nothing[i] == 0;
  checks.holds("a chunk of weights 0 is zeros", zeros);
  checks.holds("its neighbours are as before",
               std::equal(nothing.begin() + kLength * 12, nothing.end(), y.begin() + kLength * 12));
}

} // namespace

int main(int argc, char** argv) {
  const std::string folder = argc > 1 ? argv[1] : "test/golden";
  const Golden golden{checks, "clip_skip", Safetensors(folder + "/clip_skip.safetensors")};
  gradients(golden);
  skips(golden);
  emphasis(golden);
  return checks.exit_code();
}
