// CLIP's tokenizer against transformers' (test/peers/tokenizer.py), words against merging by the book,
// and damaged files.
//   tokenizer_test TOKENIZER.json TEXTS.json FOLDER
#include <fstream>
#include <functional>

#include "compute/rng.h"
#include "tests/check.h"
#include "text/clip_tokenizer.h"

using namespace tiller;

namespace {

Checks checks;

// Texts are in normal form C already; clipText() of native/clip-tokenizer.ts made it.
void golden(const ClipTokenizer& tokenizer, const fs::path& file) {
  const Json cases = Json::parse(MappedFile(file).text());
  int at = 0;
  for (const auto& entry : cases) {
    const auto ids = tokenizer.encode(entry.at("text").get<std::string>());
    checks.holds("text " + std::to_string(at++) + " as transformers has it", Json(ids) == entry.at("ids"));
  }
  checks.holds("a comma is one token", tokenizer.comma() == 267);
}

// As the definition has it: find the lowest rank, merge the leftmost, begin again.
std::vector<int> by_the_book(const ClipVocabulary& vocabulary, const std::string& word) {
  std::vector<int> tokens;
  for (size_t i = 0; i < word.size(); i++) {
    const auto byte = static_cast<unsigned char>(word[i]);
    tokens.push_back((i + 1 == word.size() ? vocabulary.last_bytes : vocabulary.bytes)[byte]);
  }
  for (;;) {
    const ClipVocabulary::Merge* best = nullptr;
    size_t place = 0;
    for (size_t i = 0; i + 1 < tokens.size(); i++) {
      const auto* merge = vocabulary.merge(tokens[i], tokens[i + 1]);
      if (merge != nullptr && (best == nullptr || merge->rank < best->rank)) best = merge, place = i;
    }
    if (best == nullptr) return tokens;
    tokens[place] = best->result;
    tokens.erase(tokens.begin() + static_cast<int>(place) + 1);
  }
}

void random_words(const ClipVocabulary& vocabulary) {
  RandomStream random(1, Purpose::test);
  int wrong = 0;
  for (int i = 0; i < 4000; i++) {
    std::string word;
    const uint32_t length = 1 + random.below(30), letters = 1 + random.below(i % 4 == 0 ? 255 : 12);
    for (uint32_t k = 0; k < length; k++) word += static_cast<char>((i % 4 == 0 ? 0 : 'a') + random.below(letters));
    std::vector<int> ids;
    append_byte_pairs(vocabulary, word, ids);
    wrong += ids != by_the_book(vocabulary, word);
  }
  checks.expect("4000 words merged as by the book", wrong, 0);
}

// Any bytes give tokens, and those are of the vocabulary; a long word takes no time.
void any_text(const ClipTokenizer& tokenizer) {
  RandomStream random(2, Purpose::test);
  int outside = 0;
  for (int i = 0; i < 2000; i++) {
    std::string text;
    for (uint32_t k = random.below(60); k > 0; k--) text += static_cast<char>(random.below(256));
    for (const int id : tokenizer.encode(text)) outside += id < 0 || id >= tokenizer.size();
  }
  checks.expect("tokens of 2000 texts of any bytes, outside of the vocabulary", outside, 0);
  checks.holds("a word of 200,000 letters", !tokenizer.encode(std::string(200'000, 'a')).empty());
}

void damaged(const fs::path& good, const fs::path& folder) {
  const std::string text(MappedFile(good).text());
  const fs::path file = folder / "damaged.json";
  const auto refused = [&](const std::string& what, const std::string& content, const std::string& word) {
    std::ofstream(file, std::ios::binary) << content;
    std::string message;
    try {
      const ClipTokenizer tokenizer(file);
    } catch (const Failure& failure) {
      if (failure.exit == kBadData) message = failure.what();
    }
    const bool named = message.starts_with(file.string() + " ") && message.find(word) != std::string::npos;
    checks.holds("refused: " + what, named);
  };
  refused("an empty file", "", "JSON");
  refused("half a file", text.substr(0, text.size() / 2), "JSON");
  refused("a list", "[]", "JSON");
  refused("another format", R"({"format":"else"})", "no tokenizer");

  const Json asset = Json::parse(text);
  const auto changed = [&](const char* key, const Json& value, const std::string& word) {
    Json other = asset;
    if (value.is_discarded()) other.erase(key);
    else other[key] = value;
    const std::string shown = value.is_discarded() ? "nothing" : value.dump().substr(0, 40);
    std::string name = std::string(key) + " is " + shown;
    std::erase(name, '"');
    refused(name, other.dump(), word);
  };
  const Json none(Json::value_t::discarded);
  changed("version", 2, "version");
  changed("size", none, "\"size\"");
  changed("size", 49407, "\"end\"");
  changed("start", -1, "\"start\"");
  changed("end", "x", "\"end\"");
  changed("bytes", none, "\"bytes\"");
  changed("bytes", Json::array({1, 2}), "256");
  changed("last_bytes", Json::array({1.5}), "\"last_bytes\"");
  changed("last_bytes", Json::array(), "256");
  changed("merges", Json::array({1, 2}), "threes");
  changed("merges", Json::array({1, 2, 49408}), "\"merges\" of which number 3");
  changed("merges", Json::object(), "\"merges\"");
  changed("letters", Json::array({65}), "\"letters\"");
  changed("numbers", Json::array({57, 48}), "\"numbers\"");
  changed("spaces", Json::array({9, 13, 13, 32}), "\"spaces\"");
  changed("letters", Json::array({0, 0x110000}), "\"letters\"");
  changed("lower", Json::array({65}), "\"lower\"");
  changed("lower", Json::array({Json::array({65})}), "\"lower\"");
  bool missing = false;
  try {
    const ClipTokenizer tokenizer(folder / "nowhere.json");
  } catch (const Failure& failure) {
    missing = failure.exit == kBadData && std::string(failure.what()).find("nowhere.json") != std::string::npos;
  }
  checks.holds("refused: no file", missing);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 64;
  const ClipTokenizer tokenizer(argv[1]);
  golden(tokenizer, argv[2]);
  random_words(ClipVocabulary(argv[1]));
  any_text(tokenizer);
  damaged(argv[1], argv[3]);
  return checks.exit_code();
}
