// Finite differences of every composed node of compute/graph_nodes.h and graph_attention.h, on the
// device of the first argument (ggml-cpu).
#include <functional>
#include <map>
#include <random>
#include <vector>

#include "compute/graph_attention.h"
#include "compute/graph_nodes.h"
#include "tests/check.h"

using namespace tiller;

namespace {

struct Input {
  std::vector<int64_t> shape;
  std::vector<float> values;
  std::vector<int32_t> indices;  // an I32 input: not differentiated
};

using Forward = std::function<Tensor(const Nodes&, const std::vector<Tensor>&)>;
using Backward = std::function<std::vector<Tensor>(const Nodes&, const std::vector<Tensor>&, Tensor)>;

void require(bool fine, const std::string& what) {
  if (!fine) throw std::runtime_error(what);
}

using Numbers = std::vector<std::vector<float>>;

// Builds a graph of the wanted outputs, runs it, and reads them. What fails is thrown.
Numbers evaluate(const Backend& backend, const std::vector<Input>& inputs,
                   const std::function<std::vector<Tensor>(const Nodes&, const std::vector<Tensor>&)>& build) {
  ggml_context* context = ggml_init({ggml_tensor_overhead() * 512 + ggml_graph_overhead(), nullptr, true});
  Nodes nodes(context, backend);
  std::vector<Tensor> tensors;
  for (const Input& input : inputs) {
    const auto type = input.indices.empty() ? GGML_TYPE_F32 : GGML_TYPE_I32;
    tensors.push_back(ggml_new_tensor(context, type, static_cast<int>(input.shape.size()), input.shape.data()));
    ggml_set_input(tensors.back());
  }
  ggml_cgraph* graph = ggml_new_graph(context);
  const auto outputs = build(nodes, tensors);
  for (Tensor output : outputs) {
    ggml_set_output(output);
    ggml_build_forward_expand(graph, output);
  }
  ggml_gallocr_t allocator = ggml_gallocr_new(ggml_backend_get_default_buffer_type(backend.get()));
  require(ggml_gallocr_alloc_graph(allocator, graph), "no memory for the graph");
  for (size_t i = 0; i < inputs.size(); i++) {
    if (!tensors[i]->buffer) continue;  // unused by this graph
    const void* data = inputs[i].indices.empty() ? static_cast<const void*>(inputs[i].values.data()) : inputs[i].indices.data();
    ggml_backend_tensor_set(tensors[i], data, 0, ggml_nbytes(tensors[i]));
  }
  for (int i = 0; i < ggml_graph_n_nodes(graph); i++) {
    const Tensor node = ggml_graph_node(graph, i);
    require(backend.supports(node), std::string("not supported: ") + ggml_op_desc(node));
  }
  require(ggml_backend_graph_compute(backend.get(), graph) == GGML_STATUS_SUCCESS, "the device failed");
  Numbers result;
  for (Tensor output : outputs) {
    auto& values = result.emplace_back(ggml_nelements(output));
    ggml_backend_tensor_get(output, values.data(), 0, ggml_nbytes(output));
  }
  backend.forget_buffers();
  ggml_gallocr_free(allocator);
  ggml_free(context);
  return result;
}

class Tester {
 public:
  explicit Tester(const std::string& device) : backend_(device) {
    std::fprintf(stderr, "device: %s\n", backend_.info().description.c_str());
  }

  Input random(std::vector<int64_t> shape) {
    Input input{std::move(shape), {}, {}};
    size_t count = 1;
    for (int64_t n : input.shape) count *= static_cast<size_t>(n);
    std::normal_distribution<float> normal;
    for (size_t i = 0; i < count; i++) input.values.push_back(normal(engine_));
    return input;
  }

  // d/dx Σ r·f(x) by central differences at some places, against the backward's Σ g·slope.
  void check(const std::string& name, std::vector<Input> inputs, const Forward& forward, const Backward& backward) {
    auto run = [&] {
      return evaluate(backend_, inputs, [&](const Nodes& n, const auto& t) { return std::vector{forward(n, t)}; })[0];
    };
    const auto y = run();
    std::vector<float> r;
    std::normal_distribution<float> normal;
    for (size_t i = 0; i < y.size(); i++) r.push_back(normal(engine_));
    const auto grads = evaluate(backend_, with_grad(inputs, y.size(), r), [&](const Nodes& n, const std::vector<Tensor>& t) {
      const std::vector<Tensor> given(t.begin(), t.end() - 1);
      return backward(n, given, n.as_like(t.back(), forward(n, given)));
    });
    auto loss = [&] {
      const auto values = run();
      double sum = 0;
      for (size_t i = 0; i < values.size(); i++) sum += static_cast<double>(values[i]) * r[i];
      return sum;
    };
    for (size_t i = 0; i < grads.size(); i++) {
      compare(name + " d" + std::to_string(i), inputs[i], grads[i], loss);
    }
  }

  int exit_code() const { return checks_.exit_code(); }

 private:
  Backend backend_;
  std::mt19937 engine_{1};
  Checks checks_;

  static std::vector<Input> with_grad(std::vector<Input> inputs, size_t count, const std::vector<float>& r) {
    inputs.push_back({{static_cast<int64_t>(count)}, r, {}});
    return inputs;
  }

  void compare(const std::string& name, Input& input, const std::vector<float>& grad, const std::function<double()>& loss) {
    std::vector<double> numeric, analytic;
    const size_t step = std::max<size_t>(1, input.values.size() / 24);
    for (size_t i = 0; i < input.values.size(); i += step) {
      const float kept = input.values[i], h = 1e-2f;
      input.values[i] = kept + h;
      const double above = loss();
      input.values[i] = kept - h;
      const double below = loss();
      input.values[i] = kept;
      numeric.push_back((above - below) / (2.0 * h));
      analytic.push_back(grad[i]);
    }
    checks_.expect(name, relative_error(analytic, numeric, numeric.size()), 2e-3);
  }
};

Input reverse_taps(int taps) {
  Input input{{taps}, {}, {}};
  for (int i = taps - 1; i >= 0; i--) input.indices.push_back(i);
  return input;
}

}  // namespace

int main(int count, char** arguments) {
  Tester t(count > 1 ? arguments[1] : "ggml-cpu");
  using Ts = std::vector<Tensor>;

  t.check("linear", {t.random({7, 5}), t.random({5}), t.random({7, 6, 2})},
          [](const Nodes& n, const Ts& x) { return n.linear(x[0], x[1], x[2]); },
          [](const Nodes& n, const Ts& x, Tensor g) {
            return Ts{n.linear_grad_w(x[2], g), n.sum_over_rows(g), n.linear_grad_x(x[0], g)};
          });

  struct ConvCase { int kernel, stride, pad, w, h; };
  for (const auto& [kernel, stride, pad, w, h] :
       {ConvCase{3, 1, 1, 6, 5}, ConvCase{3, 2, 1, 6, 4}, ConvCase{3, 2, 1, 5, 7}, ConvCase{1, 1, 0, 4, 3}}) {
    const std::string name = "conv" + std::to_string(kernel) + " stride " + std::to_string(stride) + " " + std::to_string(w) + "x" + std::to_string(h);
    const int ow = (w + 2 * pad - kernel) / stride + 1, oh = (h + 2 * pad - kernel) / stride + 1;
    t.check(name, {t.random({kernel, kernel, 3, 5}), t.random({w, h, 3, 2}), reverse_taps(kernel * kernel)},
            [=](const Nodes& n, const Ts& x) { return n.conv(x[0], x[1], stride, pad); },
            [=](const Nodes& n, const Ts& x, Tensor g) {
              Tensor grad_x = n.conv_grad_x(x[0], n.to_planes(g, ow, oh), x[2], stride, pad, w, h);
              return Ts{n.conv_grad_w(x[0], x[1], g, stride, pad), n.to_planes(grad_x, w, h)};
            });
  }

  t.check("upsample", {t.random({3, 2, 4, 2})}, [](const Nodes& n, const Ts& x) { return n.upsample(x[0]); },
          [](const Nodes& n, const Ts&, Tensor g) { return Ts{n.upsample_back(g)}; });
  t.check("norm", {t.random({16, 6})}, [](const Nodes& n, const Ts& x) { return n.norm(x[0], 1e-5f); },
          [](const Nodes& n, const Ts& x, Tensor g) { return Ts{n.norm_back(x[0], g, 1e-5f)}; });
  t.check("silu", {t.random({40})}, [](const Nodes& n, const Ts& x) { return n.silu(x[0]); },
          [](const Nodes& n, const Ts& x, Tensor g) { return Ts{n.silu_back(x[0], g)}; });
  t.check("gelu", {t.random({40})}, [](const Nodes& n, const Ts& x) { return n.gelu(x[0]); },
          [](const Nodes& n, const Ts& x, Tensor g) { return Ts{n.times(g, n.gelu_slope(x[0]))}; });
  t.check("quick gelu", {t.random({40})}, [](const Nodes& n, const Ts& x) { return n.quick_gelu(x[0]); },
          [](const Nodes& n, const Ts& x, Tensor g) { return Ts{n.times(g, n.quick_gelu_slope(x[0]))}; });
  t.check("attention", {t.random({8, 5, 2}), t.random({8, 7, 2}), t.random({8, 7, 2})},
          [](const Nodes& n, const Ts& x) { return AttentionNodes(n, x[0], x[1], x[2], 2).forward(); },
          [](const Nodes& n, const Ts& x, Tensor g) {
            const auto grads = AttentionNodes(n, x[0], x[1], x[2], 2).backward(g);
            return Ts{grads.q, grads.k, grads.v};
          });
  Input mask{{5, 5}, {}, {}};
  for (int q = 0; q < 5; q++) {
    for (int k = 0; k < 5; k++) mask.values.push_back(k > q ? -INFINITY : 0.0f);
  }
  t.check("causal attention", {t.random({8, 5, 2}), t.random({8, 5, 2}), t.random({8, 5, 2}), mask},
          [](const Nodes& n, const Ts& x) { return AttentionNodes(n, x[0], x[1], x[2], 2, x[3]).forward(); },
          [](const Nodes& n, const Ts& x, Tensor g) {
            const auto grads = AttentionNodes(n, x[0], x[1], x[2], 2, x[3]).backward(g);
            return Ts{grads.q, grads.k, grads.v};
          });
  return t.exit_code();
}
