// token_embedding.h   y = E[token] + P[position]. ids [n, 1, T, 1] hold the tokens as whole numbers,
//                     E [V, C]  P [positions, C]  y [n, 1, T, C]
// (1) y[n, t] = E[ids[n, t]] + P[t]                      overwritten
// (2) dE[v] = sum of dy over the (n, t) that hold v      overwritten or accumulated
// (3) dP[t] = sum over n of dy[n, t]                     likewise
#pragma once
#include "compute/graph.h"
#include "compute/tape.h"

namespace tiller {

struct TokenEmbedding : Layer {
  Value *ids, *y;
  Block *tokens, *positions;

  TokenEmbedding(Tape& tape, Value* ids, Block* tokens, Block* positions)
      : Layer(tape), ids(keeps(reads(ids))), tokens(tokens), positions(positions) {
    if (ids->shape.tokens() > positions->in) {
      throw std::invalid_argument(std::to_string(ids->shape.tokens()) + " tokens, but the text encoder has " +
                                  std::to_string(positions->in) + " positions");
    }
    trains({tokens, positions});
    y = makes({ids->shape.n, 1, ids->shape.tokens(), tokens->out}, tokens->trainable);
  }

  const char* kind() const override { return "token_embedding"; }

  void forward() override {
    for_each_row([&](size_t row, size_t token, size_t position) { // (1)
      const int channels = y->channels();
      for (int c = 0; c < channels; c++) {
        y->data[row * channels + c] = tokens->weight[token * channels + c] + positions->weight[position * channels + c];
      }
    });
  }

  void backward() override {
    if (!tokens->trainable) return;
    for (Block* block : {tokens, positions})
      if (!block->accumulate_gradient()) std::memset(block->gradient, 0, block->size() * sizeof(float));
    for_each_row([&](size_t row, size_t token, size_t position) {
      const int channels = y->channels();
      for (int c = 0; c < channels; c++) {
        const float dy = y->gradient[row * channels + c];
        tokens->gradient[token * channels + c] += dy;       // (2)
        positions->gradient[position * channels + c] += dy; // (3)
      }
    });
  }

  void graph_forward(Graph& graph) override {
    ids_ = graph.computed(GGML_TYPE_I32, {ids->rows()}, [this](void* to) {
      for_each_row([&](size_t row, size_t token, size_t) { ((int32_t*)to)[row] = (int32_t)token; });
    });
    Tensor rows = ggml_get_rows(graph.context(), graph.weight(tokens), ids_);
    rows = ggml_reshape_3d(graph.context(), rows, y->channels(), ids->shape.tokens(), ids->shape.n);
    graph.set_tokens(y, graph.plus(rows, graph.slice(graph.weight(positions), 1, 0, ids->shape.tokens()))); // (1)
  }

  void graph_backward(Graph& graph) override {
    if (!tokens->trainable) return;
    ggml_context* c = graph.context();
    Tensor dy = graph.as_2d(graph.gradient(y));
    graph.add_gradient(tokens, ggml_get_rows_back(c, dy, ids_, graph.weight(tokens))); // (2)
    const int used = ids->shape.tokens(), unused = positions->in - used;
    Tensor sum = graph.sum_over_rows(ggml_reshape_2d(c, dy, dy->ne[0] * used, ids->shape.n)); // (3)
    sum = ggml_reshape_2d(c, sum, dy->ne[0], used);
    graph.add_gradient(positions, unused == 0 ? sum : ggml_concat(c, sum, graph.zeros({dy->ne[0], unused}), 1));
  }

 private:
  Tensor ids_ = nullptr; // the graph's

  template <class Body>
  void for_each_row(const Body& body) const {
    const int length = ids->shape.tokens();
    for (int row = 0; row < ids->rows(); row++) {
      const float token = ids->data[row];
      if (!(token >= 0 && token < (float)tokens->in)) {
        throw std::out_of_range("token " + std::to_string(token) + " is not in the vocabulary of " +
                                std::to_string(tokens->in));
      }
      body((size_t)row, (size_t)token, (size_t)(row % length));
    }
  }
};

} // namespace tiller
