import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { buildNative } from '../../native/build.ts';

let folder: string;
let env: NodeJS.ProcessEnv;
const fixture = (name: string): string => join(folder, 'sources', name);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tiller-build-'));
  await cp(join(import.meta.dirname, '../fixtures/native'), fixture(''), { recursive: true });
  env = { ...process.env, XDG_CACHE_HOME: join(folder, 'cache') };
});

afterAll(() => rm(folder, { recursive: true, force: true }));

const leftovers = async (room: string): Promise<string[]> =>
  (await readdir(join(folder, 'cache/tiller', room))).filter((name) => name.startsWith('.'));

describe('buildNative', () => {
  test('two builds at once, from nothing, make one program that runs', async () => {
    const lines: string[] = [];
    const build = () =>
      buildNative(fixture('links-ggml.cpp'), { env, log: (line) => lines.push(line) });
    const [a, b] = await Promise.all([build(), build()]);
    expect(a.path).toBe(b.path);
    expect((await execa(a.path)).stdout).toBe('42 32');
    expect(lines.join('\n')).toMatch(/headers of ggml(.|\n)*compiling links-ggml with/);
    expect(await leftovers('native')).toEqual([]);
    expect(await leftovers('headers')).toEqual([]);
  });

  test('the next build finds it, until a header changes', async () => {
    const lines: string[] = [];
    const build = () =>
      buildNative(fixture('links-ggml.cpp'), { env, log: (line) => lines.push(line) });
    const first = await build();
    expect(first.cached).toBe(true);
    expect(lines).toEqual([]);
    await writeFile(fixture('answer.h'), '#pragma once\ninline int answer() { return 7; }\n');
    const second = await build();
    expect(second.cached).toBe(false);
    expect((await execa(second.path)).stdout).toBe('7 32');
    expect((await execa(first.path)).stdout).toBe('42 32');
  });

  test('other flags make another program', async () => {
    const plain = await buildNative(fixture('links-ggml.cpp'), { env });
    const flags = { ...env, TILLER_CXXFLAGS: '-g0' };
    const other = await buildNative(fixture('links-ggml.cpp'), { env: flags });
    expect(other.path).not.toBe(plain.path);
  });

  test('a program that does not compile: the last lines, and where the rest is', async () => {
    const error = await buildNative(fixture('broken.cpp'), { env }).catch((caught) => caught);
    expect(error).toMatchObject({ name: 'NativeError', code: 'NATIVE_COMPILE_FAILED' });
    expect(error.message).toMatch(/not_declared/);
    const log = /output is in (.*)\.$/.exec(error.hint)?.[1] ?? '';
    expect(await readFile(log, 'utf8')).toMatch(/broken\.cpp(.|\n)*not_declared/);
    expect(await leftovers('native')).toEqual([]);
  });

  test('a CXX that is not there, and a PATH without compilers', async () => {
    const missing = { ...env, CXX: '/nonexistent' };
    await expect(buildNative(fixture('links-ggml.cpp'), { env: missing })).rejects.toMatchObject({
      code: 'NATIVE_NO_COMPILER',
      message: expect.stringContaining('/nonexistent was not found'),
      hint: expect.stringContaining('CXX'),
    });
    const bare: NodeJS.ProcessEnv = { ...env, PATH: '/nonexistent' };
    delete bare['CXX'];
    await expect(buildNative(fixture('links-ggml.cpp'), { env: bare })).rejects.toMatchObject({
      code: 'NATIVE_NO_COMPILER',
      message: expect.stringMatching(/c\+\+ was not found.*clang\+\+ was not found/),
    });
  });

  test('a compiler that does not know C++20', async () => {
    const old = { ...env, CXX: 'false' };
    await expect(buildNative(fixture('links-ggml.cpp'), { env: old })).rejects.toMatchObject({
      code: 'NATIVE_NO_COMPILER',
      message: expect.stringContaining('does not compile C++20'),
    });
  });

  test('no git, when the headers are not there yet', async () => {
    const bare = { ...env, PATH: '/nonexistent', XDG_CACHE_HOME: join(folder, 'other-cache') };
    await expect(buildNative(fixture('links-ggml.cpp'), { env: bare })).rejects.toMatchObject({
      code: 'NATIVE_NO_GIT',
    });
  });

  test('a build that is called off leaves nothing behind', async () => {
    await writeFile(fixture('slow.cpp'), slowSource);
    const controller = new AbortController();
    const build = buildNative(fixture('slow.cpp'), {
      env,
      signal: controller.signal,
      log: () => setTimeout(() => controller.abort(), 50),
    });
    await expect(build).rejects.toThrow();
    expect(await leftovers('native')).toEqual([]);
  });

  test('a name that no program has', async () => {
    await expect(buildNative('tiller-difusion', { env })).rejects.toThrow(
      /no native program "tiller-difusion": looked for native\/trainers/,
    );
  });
});

/** Seconds of work for a compiler. */
const slowSource = `
#include <algorithm>
#include <map>
#include <regex>
#include <string>
template <int N> struct S { std::map<int, std::string> m; int f() { return S<N - 1>().f() + (int)m.size(); } };
template <> struct S<0> { int f() { return 0; } };
int main() { return S<400>().f() + (int)std::regex_match("a", std::regex("a")); }
`;
