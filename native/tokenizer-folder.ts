import { createHash, randomUUID } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheFolder, moveInto } from './cache.ts';
import { endToken, openaiVocabulary, startToken } from './clip-vocabulary.ts';

/** The longest text of Stable Diffusion 1.x's encoder. */
const TOKENS = 77;

/**
 * OpenAI's vocabulary as the folder `tokenizer` that diffusers wants beside a model, written once into
 * the cache: a folder without it can be loaded by no pipeline.
 */
export async function writeTokenizerFolder(env: NodeJS.ProcessEnv = process.env): Promise<string> {
  const { tokens, merges } = await openaiVocabulary();
  const special = {
    bos_token: startToken,
    eos_token: endToken,
    pad_token: endToken,
    unk_token: endToken,
  };
  const files = {
    'vocab.json': JSON.stringify(Object.fromEntries(tokens)),
    'merges.txt': `#version: 0.2\n${merges.map((pair) => `${pair.join(' ')}\n`).join('')}`,
    'special_tokens_map.json': `${JSON.stringify(special, null, 2)}\n`,
    'tokenizer_config.json': `${JSON.stringify(
      {
        add_prefix_space: false,
        ...special,
        do_lower_case: true,
        errors: 'replace',
        model_max_length: TOKENS,
        tokenizer_class: 'CLIPTokenizer',
      },
      null,
      2,
    )}\n`,
  };
  const hash = createHash('sha256').update(JSON.stringify(files)).digest('hex').slice(0, 24);
  const parent = join(cacheFolder(env), 'tokenizers');
  const folder = join(parent, `diffusers-${hash}`);
  const temporary = join(parent, `.diffusers-${randomUUID()}`);
  await mkdir(temporary, { recursive: true });
  try {
    for (const [name, text] of Object.entries(files)) await writeFile(join(temporary, name), text);
    await moveInto(temporary, folder);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  return folder;
}
