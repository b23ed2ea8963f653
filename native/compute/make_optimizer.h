// An optimizer by its name in a recipe: adamw, adamw8bit, prodigy.
#pragma once
#include <memory>

#include "compute/adamw8bit.h"
#include "compute/prodigy.h"

namespace tiller {

// Errors: std::invalid_argument for any other name.
inline std::unique_ptr<Optimizer> make_optimizer(const std::string& name, Parameters& parameters) {
  if (name == "adamw") return std::make_unique<AdamW>(parameters);
  if (name == "adamw8bit") return std::make_unique<AdamW8bit>(parameters);
  if (name == "prodigy") return std::make_unique<Prodigy>(parameters);
  throw std::invalid_argument("there is no optimizer \"" + name + "\"");
}

} // namespace tiller
