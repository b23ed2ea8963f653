// Every layer's CPU kernels against its ggml graph, at ordinary and awkward sizes.
// graph_test [DEVICE]: ggml-cpu, or another device to check that.
#include "layers/linear.h"
#include "tests/graph_compare.h"

using namespace tiller;

namespace {

void linear(GraphComparison& t) {
  for (const auto& [k, m, rows] : {std::array{32, 64, 48}, std::array{7, 5, 9}, std::array{19, 33, 1}}) {
    Parameters p;
    Block *w = p.matrix(1, k, m), *b = p.plain(1, m), *w2 = p.matrix(1, k + m, m);
    t.fill(p);
    t.compare("linear " + std::to_string(k) + "->" + std::to_string(m), p, [&](Tape& tape) {
      Value* x = tape.input({2, 1, rows, k}, true);
      Value* r = tape.input({2, 1, rows, m}, true);
      Value* y = tape.add<Linear>(x, w, b, Linear::Options{.residual = r}).y;
      return Built{{x, r}, tape.add<Linear>(x, w2, nullptr, Linear::Options{.second_source = y}).y};
    });
  }
}

}  // namespace

int main(int count, char** arguments) {
  try {
    GraphComparison t(count > 1 ? arguments[1] : "ggml-cpu");
    linear(t);
    return t.checks.exit_code();
  } catch (const DeviceError& error) {
    std::fprintf(stderr, "%s. %s\n", error.what(), error.hint.c_str());
    return 1;
  }
}
