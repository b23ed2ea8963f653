// A loss or a gradient that is not finite ends a run before it is in a weight, and the pictures that it
// came with are named.
#pragma once

#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "diffusion/dataset.h"
#include "training/failure.h"

namespace tiller {

// `what`: loss or gradient. The first eight pictures are named.
inline Failure not_finite(const std::string& what, int64_t step, std::span<const Item* const> items) {
  std::string names;
  for (size_t i = 0; i < items.size() && i < 8; i++)
    names += (i > 0 ? ", " : "") + items[i]->key + " (" + items[i]->main_caption() + ")";
  if (items.size() > 8) names += " and " + std::to_string(items.size() - 8) + " more";
  return {kBadData, "LOSS_NOT_FINITE",
          "the " + what + " of step " + std::to_string(step) + " is not finite, with the pictures " + names,
          "The weights before this step are in the last checkpoint. Lower train.learning_rate, or look at "
          "these pictures."};
}

// The loss of each picture. Errors: LOSS_NOT_FINITE.
inline void refuse_infinite(int64_t step, const std::vector<double>& losses,
                            std::span<const Item* const> items) {
  std::vector<const Item*> bad;
  for (size_t i = 0; i < items.size(); i++)
    if (!std::isfinite(losses[i])) bad.push_back(items[i]);
  if (!bad.empty()) throw not_finite("loss", step, bad);
}

}  // namespace tiller
