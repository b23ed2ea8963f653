// Byte-pair encoding of one word (R. Sennrich, B. Haddow, A. Birch, "Neural machine translation of rare
// words with subword units", 2016, section 3.2): of all pairs of neighbours that can be merged, that of
// the lowest rank is, the leftmost first, until none can. With a heap, so that a word of n bytes takes
// O(n log n): a caption is anybody's text.
#pragma once

#include <queue>
#include <string_view>
#include <tuple>
#include <vector>

#include "text/clip_vocabulary.h"

namespace tiller {

inline void append_byte_pairs(const ClipVocabulary& vocabulary, std::string_view word, std::vector<int>& ids) {
  constexpr int kGone = -1;
  const int n = static_cast<int>(word.size());
  std::vector<int> tokens, left, right;  // the neighbours that are still there
  for (int i = 0; i < n; i++) {
    const auto byte = static_cast<unsigned char>(word[static_cast<size_t>(i)]);
    tokens.push_back(i == n - 1 ? vocabulary.last_bytes[byte] : vocabulary.bytes[byte]);
    left.push_back(i - 1);
    right.push_back(i + 1);
  }
  const auto at = [](std::vector<int>& list, int i) -> int& { return list[static_cast<size_t>(i)]; };

  using Candidate = std::tuple<int, int, int, int>;  // rank, place, and the two tokens that it was for
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> candidates;
  const auto propose = [&](int i) {
    const int next = i < 0 ? n : at(right, i);
    if (next >= n) return;
    if (const auto* merge = vocabulary.merge(at(tokens, i), at(tokens, next)))
      candidates.emplace(merge->rank, i, at(tokens, i), at(tokens, next));
  };
  for (int i = 0; i + 1 < n; i++) propose(i);
  while (!candidates.empty()) {
    const auto [rank, i, first, second] = candidates.top();
    candidates.pop();
    const int next = at(right, i);
    if (at(tokens, i) != first || next >= n || at(tokens, next) != second) continue;  // merged since
    at(tokens, i) = vocabulary.merge(first, second)->result;
    at(tokens, next) = kGone;
    at(right, i) = at(right, next);
    if (at(right, i) < n) at(left, at(right, i)) = i;
    propose(at(left, i));
    propose(i);
  }
  for (const int token : tokens)
    if (token != kGone) ids.push_back(token);
}

}  // namespace tiller
