// The weights that AUTOMATIC1111's web UI reads in a prompt, for sampling:
//   (text)      × 1.1, nested ((text)) × 1.21      (text:1.3)  × 1.3
//   [text]      × 1 / 1.1                          \( \) \[ \] \\   the character itself
//   BREAK       a word of its own: what follows begins a new chunk
// No text is an error. A bracket that nothing closes reaches to the end; one that nothing opened, a
// weight that is no number, and a colon elsewhere are text; a backslash before anything else is left
// out. Where that UI would go wrong this doesn't: BREAK also works inside brackets, and weights stay
// within ± kLargestWeight.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tiller {

inline constexpr double kLargestWeight = 100;

struct PromptPart {
  std::string text;
  double weight;
};
// What lies between two BREAKs.
using PromptSection = std::vector<PromptPart>;

class PromptWeights {
 public:
  // At least one section; neighbours in it differ in weight, and no text is empty.
  static std::vector<PromptSection> of(std::string_view text) { return PromptWeights(text).parse(); }

 private:
  static constexpr double kRound = 1.1, kSquare = 1 / 1.1;
  static constexpr std::string_view kBreak = "BREAK";
  struct Piece {
    std::string text;
    double weight;
    bool is_break;
  };

  explicit PromptWeights(std::string_view text) : text_(text) {}

  std::vector<PromptSection> parse() {
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '\\') escaped();
      else if (c == '(') open(round_);
      else if (c == '[') open(square_);
      else if (c == ')' && !round_.empty()) close(round_, kRound, 1);
      else if (c == ']' && !square_.empty()) close(square_, kSquare, 1);
      else if (is_break()) begin_section();
      else if (const auto weight = weight_here()) close(round_, weight->value, weight->length);
      else literal(c), at_++;
    }
    while (!round_.empty()) close(round_, kRound, 0);
    while (!square_.empty()) close(square_, kSquare, 0);
    return sections();
  }

  void literal(char c) {
    if (pieces_.empty() || cut_) pieces_.push_back({"", 1, false});
    cut_ = false;
    pieces_.back().text += c;
  }
  void escaped() {
    at_++;
    constexpr std::string_view kEscapable = "()[]\\";
    if (at_ < text_.size() && kEscapable.find(text_[at_]) != std::string_view::npos) literal(text_[at_++]);
  }
  void open(std::vector<size_t>& brackets) {
    brackets.push_back(pieces_.size());
    cut_ = true, at_++;
  }
  void close(std::vector<size_t>& brackets, double factor, size_t length) {
    for (size_t i = brackets.back(); i < pieces_.size(); i++)
      pieces_[i].weight = std::clamp(pieces_[i].weight * factor, -kLargestWeight, kLargestWeight);
    brackets.pop_back();
    cut_ = true, at_ += length;
  }

  // ":1.3)", also with spaces, read without a locale.
  struct Weight {
    double value;
    size_t length;
  };
  std::optional<Weight> weight_here() const {
    if (text_[at_] != ':' || round_.empty()) return std::nullopt;
    size_t i = at_ + 1;
    const auto here = [&] { return i < text_.size() ? text_[i] : '\0'; };
    const auto spaces = [&] {
      while (here() == ' ' || (here() >= '\t' && here() <= '\r')) i++;
    };
    spaces();
    const double sign = here() == '-' ? -1 : 1;
    if (here() == '-' || here() == '+') i++;
    double digits = 0, scale = 1;
    int count = 0, dots = 0;
    for (; here() == '.' || (here() >= '0' && here() <= '9'); i++) {
      if (here() == '.') dots++;
      else if (digits < 1e15) digits = digits * 10 + (here() - '0'), scale *= dots ? 10 : 1, count++;
    }
    spaces();
    if (count == 0 || dots > 1 || here() != ')') return std::nullopt;
    return Weight{sign * digits / scale, i + 1 - at_};  // finite: close() limits it
  }

  static bool in_word(char c) {
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           static_cast<unsigned char>(c) >= 0x80;
  }
  bool is_break() const {
    const size_t end = at_ + kBreak.size();
    return text_.substr(at_, kBreak.size()) == kBreak && (at_ == 0 || !in_word(text_[at_ - 1])) &&
           (end == text_.size() || !in_word(text_[end]));
  }
  void begin_section() {
    pieces_.push_back({"", 1, true});
    cut_ = true, at_ += kBreak.size();
  }

  std::vector<PromptSection> sections() const {
    std::vector<PromptSection> result(1);
    for (const auto& piece : pieces_) {
      auto& section = result.back();
      if (piece.is_break) result.emplace_back();
      else if (!section.empty() && section.back().weight == piece.weight) section.back().text += piece.text;
      else section.push_back({piece.text, piece.weight});
    }
    return result;
  }

  std::string_view text_;
  size_t at_ = 0;
  bool cut_ = false;  // the next character begins a piece
  std::vector<Piece> pieces_;
  std::vector<size_t> round_, square_;  // the pieces at which open brackets begin
};

}  // namespace tiller
