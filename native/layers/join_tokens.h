// join_tokens.h   y = x, its pictures' chunks one after another: as many tokens, of fewer texts.
//                 x [n k, 1, T, C]  y [n, 1, k T, C]: the same numbers in the same order
// (1) y = x               overwritten
// (2) dx = dy             overwritten or accumulated
#pragma once
#include "compute/graph.h"
#include "compute/tape.h"

namespace tiller {

struct JoinTokens : Layer {
  Value *x, *y;

  JoinTokens(Tape& tape, Value* x, int chunks) : Layer(tape), x(reads(x)) {
    if (chunks < 1 || x->shape.n % chunks != 0) {
      throw std::invalid_argument(std::to_string(x->shape.n) + " chunks can't be those of texts of " +
                                  std::to_string(chunks) + " each");
    }
    y = makes({x->shape.n / chunks, 1, chunks * x->shape.tokens(), x->channels()}, false);
  }

  const char* kind() const override { return "join_tokens"; }

  void forward() override { std::copy_n(x->data, x->shape.size(), y->data); } // (1)

  void backward() override {
    if (!x->needs_gradient) return;
    const bool accumulate = x->accumulate_gradient();
    for (size_t i = 0; i < x->shape.size(); i++) { // (2)
      x->gradient[i] = y->gradient[i] + (accumulate ? x->gradient[i] : 0);
    }
  }

  void graph_forward(Graph& graph) override { graph.set_tokens(y, graph.tokens(x)); } // (1)
  void graph_backward(Graph& graph) override { graph.add_gradient(x, graph.gradient(y)); } // (2)
};

} // namespace tiller
