// Prompts' weights and chunks; properties over random texts.
//   prompts_test TOKENIZER.json
#include "compute/rng.h"
#include "tests/check.h"
#include "text/prompt_chunks.h"

using namespace tiller;

namespace {

Checks checks;

std::string name_of(const std::string& what) {
  std::string name;
  for (const char c : what.substr(0, 60)) {
    const bool plain = c != '"' && c != '\\' && static_cast<unsigned char>(c) >= ' ';
    name += plain ? c : '\'';
  }
  return name;
}
std::string joined(const std::vector<std::string>& parts, const std::string& glue) {
  std::string text;
  for (const auto& part : parts) text += (text.empty() ? "" : glue) + part;
  return text;
}

// ---- weights ---------------------------------------------------------------------------------------

// "a *1.1|b" for (a)b; "//" where a section ends
std::string shown(const std::vector<PromptSection>& sections) {
  std::vector<std::string> texts;
  for (const auto& section : sections) {
    std::vector<std::string> parts;
    for (const auto& [text, weight] : section) {
      char number[32];
      std::snprintf(number, sizeof number, "*%.4g", weight);
      parts.push_back(text + (weight == 1 ? "" : number));
    }
    texts.push_back(joined(parts, "|"));
  }
  std::string text;
  for (size_t i = 0; i < texts.size(); i++) text += (i == 0 ? "" : "//") + texts[i];
  return text;
}

void weights() {
  const std::pair<const char*, const char*> cases[] = {
      {"", ""},
      {"a cat, a dog", "a cat, a dog"},
      {"a (cat) b", "a |cat*1.1| b"},
      {"a ((cat)) b", "a |cat*1.21| b"},
      {"a [cat] b", "a |cat*0.9091| b"},
      {"a (cat:1.5) b", "a |cat*1.5| b"},
      {"(a (b:2) c:1.5)", "a *1.5|b*3| c*1.5"},
      {"([a])", "a"},  // 1.1 / 1.1
      {"[(a:1.3)]", "a*1.182"},
      {"(cat: +0.5 )", "cat*0.5"},
      {"(cat:-1)", "cat*-1"},
      {"(cat:.5)", "cat*0.5"},
      {"(cat:1.)", "cat"},
      {"(cat:0)", "cat*0"},
      {"(cat:1.2.3)", "cat:1.2.3*1.1"},
      {"(cat:big)", "cat:big*1.1"},
      {"(cat:)", "cat:*1.1"},
      {"(cat:1.2", "cat:1.2*1.1"},
      {"(cat:1e3)", "cat:1e3*1.1"},
      {"(cat:1000)", "cat*100"},
      {"(cat:-99999999999999999999999999)", "cat*-100"},
      {"(cat:1.30000000000000000000000000)", "cat*1.3"},
      {"cat:1.2", "cat:1.2"},
      {"cat:1.2)", "cat:1.2)"},
      {"[cat:1.2]", "cat:1.2*0.9091"},
      {"(a", "a*1.1"},
      {"[[a", "a*0.8264"},
      {"a) b] c", "a) b] c"},
      {"(a] b)", "a] b*1.1"},
      {"([a) b]", "a|" " b*0.9091"},  // brackets that cross
      {R"(foo \(bar\) \[baz\])", "foo (bar) [baz]"},
      {R"((foo \(bar\):1.2))", "foo (bar)*1.2"},
      {R"(a\\b)", R"(a\b)"},
      {R"(a\b\)", "ab"},
      {R"((a\:1.2))", "a*1.2"},  // the backslash is left out, and the colon still counts
      {"()", ""},
      {"a () b", "a  b"},
      {"(a)(b)", "ab*1.1"},
      {"a BREAK b", "a // b"},
      {"BREAK", "//"},
      {"a BREAK BREAK b", "a // // b"},
      {"aBREAK BREAKb break BREAK_ _BREAK 1BREAK", "aBREAK BREAKb break BREAK_ _BREAK 1BREAK"},
      {"a,BREAK,b", "a,//,b"},
      {"(a BREAK b:1.5) c", "a *1.5// b*1.5| c"},
      {"(a)BREAK(b)", "a*1.1//b*1.1"},
      {"\xC3\xA9" "BREAK BREAK\xE7\x8C\xAB", "\xC3\xA9" "BREAK BREAK\xE7\x8C\xAB"},
      {"(\xE7\x8C\xAB:1.2) \xF0\x9F\x90\xB1", "\xE7\x8C\xAB*1.2| \xF0\x9F\x90\xB1"},
  };
  for (const auto& [prompt, expected] : cases) {
    const std::string got = shown(PromptWeights::of(prompt));
    checks.holds("weights of " + name_of(prompt), got == expected);
    if (got != expected) std::fprintf(stderr, "%s gives %s, not %s\n", prompt, got.c_str(), expected);
  }
  std::string deep(5000, '('), deeper = deep + "a" + std::string(5000, ')');
  const std::string huge = "((a:0):" + std::string(400, '9') + ")";
  checks.holds("nothing times a number beyond all", shown(PromptWeights::of(huge)) == "a*0");
  checks.holds("5000 brackets stay finite", shown(PromptWeights::of(deeper)) == "a*100");
}

void any_prompt() {
  RandomStream random(5, Purpose::test);
  const std::string alphabet[] = {"(", ")", "[", "]", ":", "\\", "1",      ".",
                                  "-", "BREAK", " ", "a", ",", ":1.2)", "\xF0\x9F", "\0"};
  int bad = 0, weighted = 0, changed = 0;
  for (int i = 0; i < 20'000; i++) {
    std::string text, plain;
    for (uint32_t k = random.below(25); k > 0; k--) text += alphabet[random.below(16)];
    for (uint32_t k = random.below(25); k > 0; k--) plain += static_cast<char>(random.below(256));
    const auto sections = PromptWeights::of(text);
    bad += sections.empty();
    for (const auto& section : sections)
      for (size_t p = 0; p < section.size(); p++)
        bad += section[p].text.empty() || !(std::abs(section[p].weight) <= kLargestWeight) ||
               (p > 0 && section[p].weight == section[p - 1].weight);
    // Without brackets there are neither weights nor changes.
    std::erase_if(plain, [](char c) { return std::string_view("()[]\\").find(c) != std::string_view::npos; });
    const auto same = PromptWeights::of(plain);
    std::string together;
    for (const auto& section : same)
      for (const auto& part : section) weighted += part.weight != 1, together += part.text;
    changed += together != plain;
  }
  checks.expect("any text gives sound parts", bad, 0);
  checks.expect("without brackets all weights are 1", weighted, 0);
  checks.expect("without brackets the text is the same", changed, 0);
}

// ---- chunks ----------------------------------------------------------------------------------------

std::string repeated(const std::string& text, int times) {
  std::string result;
  for (int i = 0; i < times; i++) result += text;
  return result;
}
// How many tokens of text a chunk has.
int filled(const ClipTokenizer& tokenizer, const PromptChunk& chunk) {
  int count = 0;
  for (size_t i = 1; i + 1 < chunk.ids.size() && chunk.ids[i] != tokenizer.end(); i++) count++;
  return count;
}

void chunks(const ClipTokenizer& tokenizer) {
  const PromptChunks make(tokenizer);
  const auto sizes = [&](const std::string& prompt) {
    std::vector<int> result;
    for (const auto& chunk : make.of_prompt(prompt)) result.push_back(filled(tokenizer, chunk));
    return result;
  };
  const auto expect = [&](const std::string& what, const std::string& prompt, const std::vector<int>& expected) {
    checks.holds("chunks: " + what, sizes(prompt) == expected);
    if (sizes(prompt) != expected)
      for (const int size : sizes(prompt)) std::fprintf(stderr, "%s: %d\n", what.c_str(), size);
  };
  const auto cats = [](int count) { return repeated(" cat", count); };

  const auto one = make.of_prompt("a (cat:1.5)");
  std::vector<int> ids{49406, 320, 2368};
  std::vector<float> ones{1, 1, 1.5f};
  ids.resize(77, 49407), ones.resize(77, 1);
  checks.holds("a chunk is start, text, ends", one.size() == 1 && one[0].ids == ids && one[0].weights == ones);
  const auto caption = make.of_caption("a (cat:1.5)");
  checks.holds("a caption's brackets are text",
               caption[0].weights == std::vector<float>(77, 1.f) && filled(tokenizer, caption[0]) == 8);
  checks.holds("a caption's BREAK is a word", make.of_caption("a BREAK b").size() == 1);
  checks.holds("a long caption", make.of_caption(cats(80)).size() == 2);
  expect("nothing", "", {0});
  expect("75 tokens", cats(75), {75});
  expect("76 tokens", cats(76), {75, 1});
  expect("200 tokens", cats(200), {75, 75, 50});
  expect("a comma 20 tokens before the end", cats(55) + "," + cats(30), {56, 30});
  expect("a comma 21 tokens before the end", cats(54) + "," + cats(30), {75, 10});
  expect("the last of two commas", cats(55) + "," + cats(9) + "," + cats(30), {66, 30});
  expect("a comma that is the last token", cats(74) + "," + cats(3), {75, 3});
  expect("a comma that is the next token", cats(60) + "," + cats(14) + "," + cats(3), {75, 4});
  expect("a comma in the chunk before", cats(65) + "," + cats(85), {66, 75, 10});
  expect("BREAK", "a BREAK b cat", {1, 2});
  expect("BREAK at the end", "a BREAK", {1});
  expect("BREAK at the beginning", "BREAK a", {0, 1});
  expect("BREAK twice", "a BREAK BREAK b", {1, 0, 1});
  expect("BREAK alone", "BREAK", {0});
  expect("BREAK after a full chunk", cats(75) + " BREAK a", {75, 1});
  expect("BREAK inside of brackets", "(a BREAK b)", {1, 1});

  const auto moved = make.of_prompt(cats(60) + ", (dog:1.3)" + cats(30));
  checks.holds("a weight goes with its token",
               moved.size() == 2 && moved[1].ids[1] == 1929 && moved[1].weights[1] == 1.3f && moved[1].weights[2] == 1);
  const PromptChunks filling(tokenizer, {.length = 77, .comma_reach = 0});
  const auto full = filling.of_prompt(cats(60) + "," + cats(30));
  checks.holds("without reach chunks are filled", filled(tokenizer, full[0]) == 75);
  const PromptChunks narrow(tokenizer, {.length = 5, .comma_reach = 20});
  checks.holds("chunks of 3",
               narrow.of_caption("a, cat sat").size() == 2 && narrow.of_caption("a").at(0).ids.size() == 5);
  bool refused = false;
  try {
    const PromptChunks none(tokenizer, {.length = 2, .comma_reach = 0});
  } catch (const std::invalid_argument&) {
    refused = true;
  }
  checks.holds("chunks without room are refused", refused);

  auto prompt = make.of_prompt(cats(160)), negative = make.of_prompt("");
  make.match(prompt, negative);
  checks.holds("prompt and negative of the same count", prompt.size() == 3 && negative.size() == 3 &&
                                                            negative[2] == make.empty() &&
                                                            filled(tokenizer, prompt[2]) == 10);
  negative = make.of_prompt("");
  make.match(negative, prompt);
  checks.holds("either way round", prompt.size() == 3 && negative.size() == 3);
  checks.holds("cut to a count", make.fit(prompt, 2) && prompt.size() == 2 && !make.fit(prompt, 2));
  checks.holds("filled up to a count", !make.fit(prompt, 4) && prompt.size() == 4 && prompt[3] == make.empty());
}

// All tokens, each once and in order, whatever the commas and breaks are.
void any_chunks(const ClipTokenizer& tokenizer) {
  RandomStream random(6, Purpose::test);
  int lost = 0, unsound = 0;
  for (int i = 0; i < 500; i++) {
    std::string text;
    const uint32_t commas = 2 + random.below(40);
    for (uint32_t k = random.below(250); k > 0; k--) text += random.below(commas) == 0 ? " ," : " cat";
    const int length = 3 + static_cast<int>(random.below(80)), reach = static_cast<int>(random.below(30));
    const PromptChunks make(tokenizer, {.length = length, .comma_reach = reach});
    std::vector<int> together;
    for (const auto& chunk : make.of_prompt(text)) {
      unsound += chunk.ids.size() != chunk.weights.size() || chunk.ids.size() != make.empty().ids.size() ||
                 chunk.ids.front() != tokenizer.start() || chunk.ids.back() != tokenizer.end();
      for (const int id : chunk.ids)
        if (id != tokenizer.start() && id != tokenizer.end()) together.push_back(id);
    }
    lost += together != tokenizer.encode(text);
  }
  checks.expect("texts of which chunks lose or repeat a token", lost, 0);
  checks.expect("chunks of wrong shape", unsound, 0);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 64;
  const ClipTokenizer tokenizer(argv[1]);
  weights();
  any_prompt();
  chunks(tokenizer);
  any_chunks(tokenizer);
  return checks.exit_code();
}
