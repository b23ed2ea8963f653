/**
 * The page's script, style and icon: bundled when the server starts, kept in memory, served under
 * addresses that carry a hash of the content and are therefore cached for ever.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build, stop } from 'esbuild';

export interface Asset {
  readonly body: Uint8Array;
  readonly type: string;
}

export interface Assets {
  /** Address of each asset by its name: `script`, `style`, `icon`. */
  readonly script: string;
  readonly style: string;
  readonly icon: string;
  readonly files: ReadonlyMap<string, Asset>;
}

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

const bundle = async (entry: string): Promise<Uint8Array> => {
  const result = await build({
    entryPoints: [entry],
    bundle: true,
    write: false,
    minify: true,
    format: 'esm',
    target: 'es2022',
    platform: 'browser',
    legalComments: 'none',
    logLevel: 'silent',
  });
  const [file] = result.outputFiles;
  if (file === undefined) throw new Error(`esbuild made nothing from ${entry}`);
  return file.contents;
};

export const buildAssets = async (): Promise<Assets> => {
  const [script, style, icon] = await Promise.all([
    bundle(here('browser/main.ts')),
    bundle(here('assets/style.css')),
    readFile(here('assets/favicon.svg')),
  ]);
  // esbuild keeps a process running for the next build; there is none.
  await stop();
  const files = new Map<string, Asset>();
  const add = (name: string, extension: string, type: string, body: Uint8Array): string => {
    const hash = createHash('sha256').update(body).digest('hex').slice(0, 16);
    const file = `${name}-${hash}.${extension}`;
    files.set(file, { body, type });
    return `/assets/${file}`;
  };
  return {
    script: add('tiller', 'js', 'text/javascript; charset=utf-8', script),
    style: add('tiller', 'css', 'text/css; charset=utf-8', style),
    icon: add('icon', 'svg', 'image/svg+xml', icon),
    files,
  };
};
