// The order of a backward pass. Without segments it is the layers from last to first. A segment's
// layers are computed once more before their turn (gradient checkpointing: T. Chen et al., "Training
// deep nets with sublinear memory cost", 2016), but only those that something still asks for: the last
// convolution of a block, whose output nobody reads in its backward pass, is not. Included by tape.h.
#pragma once
#include <map>

namespace tiller {

inline bool Tape::wants_backward(int layer) const {
  const auto& outputs = layers_[layer]->outputs;
  return std::any_of(outputs.begin(), outputs.end(), [](const Value* value) { return value->needs_gradient; });
}

inline Plan Tape::plan() const {
  const int count = (int)layers_.size();
  std::vector<int> segment(count, -1);
  for (int s = 0; s < (int)segments_.size(); s++)
    for (int i = segments_[s].begin; i < segments_[s].end; i++) segment[i] = s;

  Plan plan;
  for (int i = 0; i < count; i++) {
    if (segment[i] < 0) continue;
    for (const Value* value : layers_[i]->outputs)
      if (!value->external) plan.passing.insert(value);
  }
  std::map<const Value*, int> made_in;
  for (int i = 0; i < count; i++)
    for (const Value* value : layers_[i]->outputs) made_in[value] = segment[i];
  for (int i = 0; i < count; i++)
    for (const Value* value : layers_[i]->inputs)
      if (plan.passing.count(value) && made_in[value] != segment[i]) plan.passing.erase(value);

  for (int last = count - 1; last >= 0; last--) {
    const int first = segment[last] < 0 ? last : segments_[segment[last]].begin;
    std::set<const Value*> asked_for;
    const auto ask = [&](const std::vector<Value*>& values) {
      for (const Value* value : values)
        if (plan.passing.count(value)) asked_for.insert(value);
    };
    for (int i = first; i <= last; i++)
      if (wants_backward(i)) ask(layers_[i]->kept);
    std::vector<int> again;
    for (int i = last; segment[last] >= 0 && i >= first; i--) {
      const auto& outputs = layers_[i]->outputs;
      if (std::none_of(outputs.begin(), outputs.end(), [&](const Value* v) { return asked_for.count(v) > 0; })) continue;
      again.push_back(i);
      ask(layers_[i]->inputs);
    }
    for (size_t k = again.size(); k-- > 0;) plan.turns.push_back({again[k], true});
    for (int i = last; i >= first; i--)
      if (wants_backward(i)) plan.turns.push_back({i, false});
    last = first;
  }
  return plan;
}

} // namespace tiller
