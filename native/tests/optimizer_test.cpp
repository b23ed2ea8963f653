// Optimizers against PyTorch (test/peers/optimizers.py), eight-bit moments against exact ones, and what a
// checkpoint holds of each.   optimizer_test [folder of the goldens]
#include "compute/make_optimizer.h"
#include "formats/safetensors.h"
#include "models/parts.h"
#include "tests/check.h"

using namespace tiller;

namespace {

constexpr int kSteps = 12, kOut = 7, kIn = 41;
constexpr size_t kSize = kOut * kIn;
Checks checks;

std::vector<float> normals(const std::string& name) {
  std::vector<float> values(kSize);
  RandomStream(7, Purpose::test, 0, hash_name(name)).fill_normal(values.data(), kSize);
  return values;
}

// A matrix that an optimizer moves, as run() of optimizers.py.
struct Walk {
  Parameters parameters;
  Pool pool;
  std::unique_ptr<Optimizer> optimizer;
  OptimizerSettings settings{.beta2 = 0.99, .weight_decay = 0.1, .clip = 20};
  Parameter* matrix;
  const std::vector<float> goal = normals("goal");

  Walk(const std::string& name, int threads, double rate) : pool(threads) {
    settings.learning_rates = {rate, rate};
    Block* block = parameters.matrix(1, kIn, kOut);
    matrix = parameters.name("matrix", {kOut, kIn}, {{block, 0, 0, kOut}}, {});
    parameters.allocate(true);
    matrix->load(normals("start").data());
    parameters.reset_average();
    optimizer = make_optimizer(name, parameters);
  }
  std::vector<float> weights() const {
    std::vector<float> values(kSize);
    matrix->store(values.data());
    return values;
  }
  void step(int number) {
    const auto noise = normals("noise " + std::to_string(number)), now = weights();
    std::vector<float> gradient(kSize);
    for (size_t i = 0; i < kSize; i++) gradient[i] = now[i] - 0.3f * goal[i] + 0.5f * noise[i];
    matrix->load(gradient.data(), Buffer::gradient);
    matrix->segments[0].block->gradient_written = true;
    optimizer->step(pool, settings, number);
  }
};

void against_pytorch(const Safetensors& golden, const std::string& name, double rate) {
  const auto wanted = golden.read(*golden.find(name));
  Walk walk(name, 2, rate);
  double worst = 0;
  for (int step = 1; step <= kSteps; step++) {
    walk.step(step);
    const auto got = walk.weights();
    worst = std::max(worst, relative_error(got, &wanted[(step - 1) * kSize], kSize));
  }
  checks.expect(name + " beside PyTorch", worst, 1e-3);
}

// A checkpoint in the middle, read into a new optimizer: the same bits afterwards, and not without it.
void resumes(const std::string& name, double rate) {
  Walk straight(name, 1, rate), before(name, 2, rate), after(name, 1, rate), forgot(name, 1, rate);
  for (int step = 1; step <= kSteps; step++) straight.step(step);
  for (int step = 1; step <= 5; step++) before.step(step);
  after.matrix->load(before.weights().data()), forgot.matrix->load(before.weights().data());
  std::vector<float> values(kSize);
  for (size_t state = 0; state < before.optimizer->states().size(); state++) {
    before.optimizer->store(*before.matrix, state, values.data());
    after.optimizer->load(*after.matrix, state, values.data());
  }
  after.optimizer->set_numbers(before.optimizer->numbers());
  for (int step = 6; step <= kSteps; step++) after.step(step), forgot.step(step);
  checks.holds(name + " resumes to the same bits, with other threads", after.weights() == straight.weights());
  checks.holds(name + " without its state goes elsewhere", forgot.weights() != straight.weights());
}

void eight_bits() {
  for (const auto* code : {&DynamicCode::of_signed(), &DynamicCode::of_unsigned()}) {
    const bool is_signed = code == &DynamicCode::of_signed();
    const std::string name = is_signed ? "signed code " : "unsigned code ";
    std::vector<float> sorted(code->values(), code->values() + 256);
    std::sort(sorted.begin(), sorted.end());
    const auto different = std::unique(sorted.begin(), sorted.end()) - sorted.begin();
    checks.expect(name + "values that are not there", 256.0 - (double)different, is_signed ? 1 : 0);
    float block[DynamicCode::kBlock], back[DynamicCode::kBlock];
    uint8_t codes[DynamicCode::kBlock], again[DynamicCode::kBlock];
    double worst = 0;
    bool same = true;
    for (uint32_t round = 0; round < 50; round++) {
      RandomStream random(5, Purpose::test, round);
      for (float& x : block) x = random.normal() * std::pow(10.f, -3 * random.uniform()), x = is_signed ? x : std::abs(x);
      const float scale = code->write(block, codes);
      code->read(codes, scale, back);
      for (int i = 0; i < DynamicCode::kBlock; i++) {
        float nearest = back[i];
        for (int v = 0; v < 256; v++) {
          const float x = code->values()[v] * scale;
          if (std::abs(x - block[i]) < std::abs(nearest - block[i])) nearest = x;
        }
        worst = std::max(worst, (double)std::abs(back[i] - block[i]) - std::abs(nearest - block[i]));
      }
      same = same && code->write(back, again) == scale && std::equal(codes, codes + DynamicCode::kBlock, again);
    }
    checks.expect(name + "gives the nearest value", worst, 1e-6);
    checks.holds(name + "gives the same bytes again", same);
    std::fill(block, block + DynamicCode::kBlock, 0.f);
    code->read(codes, code->write(block, codes), back);
    checks.holds(name + "keeps a block of zeros", std::all_of(back, back + DynamicCode::kBlock, [](float x) { return x == 0; }));
  }
  Walk exact("adamw", 1, 0.02), small("adamw8bit", 1, 0.02);
  const auto start = exact.weights();
  for (int step = 1; step <= 60; step++) exact.step(step), small.step(step);
  std::vector<float> moved = exact.weights(), other = small.weights();
  for (size_t i = 0; i < kSize; i++) moved[i] -= start[i], other[i] -= start[i];
  checks.expect("adamw8bit goes where adamw goes", relative_error(other, moved, kSize), 0.05);
}

void other_rates() {
  Parameters parameters;
  const Weights first = describe_linear(parameters, "unet", 9, 5);
  parameters.set_group(1);
  const Weights second = describe_linear(parameters, "text", 9, 5);
  parameters.allocate(true);
  parameters.initialize(1);
  AdamW optimizer(parameters);
  Pool pool(1);
  for (Block* block : {first.w, second.w}) {
    std::fill(block->gradient, block->gradient + block->size(), 1.f);
    block->gradient_written = true;
  }
  std::vector<float> before(first.w->weight, first.w->weight + first.w->size());
  std::vector<float> frozen(second.w->weight, second.w->weight + second.w->size());
  optimizer.step(pool, {.learning_rates = {0.1, 0}, .weight_decay = 0}, 1);
  checks.holds("a group with rate 0 stays", std::equal(frozen.begin(), frozen.end(), second.w->weight));
  checks.expect("the other one moves by its rate", std::abs(before[0] - first.w->weight[0] - 0.1), 1e-6);
}

} // namespace

int main(int argc, char** argv) {
  const Safetensors golden(std::string(argc > 1 ? argv[1] : "test/golden") + "/optimizers.safetensors");
  against_pytorch(golden, "adamw", 0.02);
  against_pytorch(golden, "prodigy", 1);
  resumes("adamw", 0.02);
  resumes("adamw8bit", 0.02);
  resumes("prodigy", 1);
  eight_bits();
  other_rates();
  return checks.exit_code();
}
