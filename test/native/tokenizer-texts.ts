import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { clipText } from '../../native/clip-tokenizer.ts';

/** What tokenizer_test reads: the golden's texts as the trainer would be given them. */
export async function writeTokenizerTexts(folder: string): Promise<string> {
  const golden = join(import.meta.dirname, '..', 'golden', 'clip_tokens.json');
  const cases = JSON.parse(await readFile(golden, 'utf8')) as { text: string; ids: number[] }[];
  const texts = join(folder, 'texts.json');
  const normal = cases.map(({ text, ids }) => ({ text: clipText(text), ids }));
  await writeFile(texts, JSON.stringify(normal));
  return texts;
}
