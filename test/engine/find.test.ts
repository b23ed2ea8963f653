import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { execa } from 'execa';
import { downloadEngine, officialArchive } from '../../engine/download.ts';
import { findEngine, type FindOptions } from '../../engine/find.ts';

let folder: string;
let env: NodeJS.ProcessEnv;
const servers: Server[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tiller-find-'));
  // tar, sh and the like, and neither temporal nor Go
  env = { HOME: folder, XDG_CACHE_HOME: join(folder, 'cache'), PATH: '/usr/bin:/bin' };
});

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.close();
    server.closeAllConnections();
  }
  rmSync(folder, { recursive: true });
});

/** A program that says it is Temporal's command line. */
function fakeTemporal(path: string, { cli = '1.5.1', server = '1.29.1' } = {}): string {
  script(path, `echo "temporal version ${cli} (Server ${server}, UI 2.0.0)"`);
  return path;
}

function script(path: string, body: string): void {
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
}

const onPath = (...folders: string[]): void => {
  env['PATH'] = [...folders, env['PATH']].join(':');
};

/** A Go that "builds" by writing a Temporal, and notes each time that it does. */
function fakeGo(build: string, version = 'go1.26.1'): void {
  script(
    join(folder, 'go', 'go'),
    `if [ "$1" = env ]; then echo ${version}; exit; fi
     echo built >> ${join(folder, 'builds')}
     ${build}`,
  );
  onPath(join(folder, 'go'));
}
const writeBuilt = `mkdir -p "$GOBIN"
  printf '#!/bin/sh\\necho "temporal version 1.5.1 (Server 1.29.1, UI 2.0.0)"\\n' > "$GOBIN/temporal"
  chmod +x "$GOBIN/temporal"`;

async function serve(listener: RequestListener): Promise<string> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  return `http://127.0.0.1:${(server.address() as { port: number }).port}`;
}

/** An archive that holds a Temporal, on a server. */
async function fakeArchive(version?: { cli: string; server: string }) {
  fakeTemporal(join(folder, 'packed', 'temporal'), version);
  await execa('tar', ['-czf', join(folder, 'a.tar.gz'), '-C', join(folder, 'packed'), 'temporal']);
  const bytes = readFileSync(join(folder, 'a.tar.gz'));
  const url = await serve((_request, response) => response.end(bytes));
  return { urls: [`${url}/a.tar.gz`], sha256: createHash('sha256').update(bytes).digest('hex') };
}

const nowhere = { urls: ['http://127.0.0.1:1/a.tar.gz'], sha256: '' };
const find = (more: FindOptions = {}) => findEngine({ env, archive: nowhere, ...more });

/** A database file that a server of this version wrote. */
function databaseOf(server: string): string {
  const databaseFile = join(folder, 'engine.db');
  writeFileSync(databaseFile, 'x');
  writeFileSync(`${databaseFile}.version`, JSON.stringify({ cli: '9', server, state: 'ready' }));
  return databaseFile;
}

describe('the engine is', () => {
  test('an outside one before all else, by address', async () => {
    env['TILLER_TEMPORAL'] = fakeTemporal(join(folder, 'given'));
    Object.assign(env, {
      TEMPORAL_ADDRESS: 'host:7',
      TEMPORAL_NAMESPACE: 'ours',
      TEMPORAL_API_KEY: 'k',
    });
    expect(await find()).toMatchObject({
      kind: 'outside',
      namespace: 'ours',
      connection: { address: 'host:7', apiKey: 'k', tls: true },
    });
  });

  test('an outside one by a profile of the configuration file, when it is named', async () => {
    const file = join(folder, 'temporal.toml');
    writeFileSync(file, '[profile.team]\naddress = "team:7"\nnamespace = "models"\n');
    env['TEMPORAL_CONFIG_FILE'] = file;
    env['TEMPORAL_PROFILE'] = 'team';
    const found = { kind: 'outside', namespace: 'models', connection: { address: 'team:7' } };
    expect(await find()).toMatchObject(found);
    env['TEMPORAL_PROFILE'] = 'absent';
    await expect(find()).rejects.toMatchObject({ code: 'USAGE' });
  });

  test('a given one before PATH', async () => {
    fakeTemporal(join(folder, 'bin', 'temporal'));
    onPath(join(folder, 'bin'));
    env['TILLER_TEMPORAL'] = fakeTemporal(join(folder, 'given'));
    expect(await find()).toMatchObject({ source: 'given', path: join(folder, 'given') });
  });

  test('the first on PATH that works, before the cache', async () => {
    script(join(folder, 'broken', 'temporal'), 'exit 1');
    script(join(folder, 'other', 'temporal'), 'echo a logic of time');
    fakeTemporal(join(folder, 'old', 'temporal'), { cli: '1.0.0', server: '1.24.2' });
    const path = fakeTemporal(join(folder, 'bin', 'temporal'), { cli: '1.7.0', server: '1.31.0' });
    onPath(...['broken', 'other', 'old', 'bin'].map((name) => join(folder, name)));
    fakeTemporal(join(folder, 'cache/tiller/engine/temporal-1.5.1'));
    const said: string[] = [];
    expect(await find({ log: (line) => said.push(line) })).toMatchObject({ source: 'path', path });
    expect(said).toEqual([
      expect.stringContaining('broken/temporal does not start'),
      expect.stringContaining('other/temporal is not the temporal command line'),
      expect.stringContaining('old/temporal holds server 1.24.2, older than 1.25'),
    ]);
  });

  test('the cached one before a download', async () => {
    const path = fakeTemporal(join(folder, 'cache/tiller/engine/temporal-1.5.1'));
    expect(await find({ archive: await fakeArchive() })).toMatchObject({ source: 'cache', path });
  });

  test('downloaded before it is built, and then cached', async () => {
    fakeGo(writeBuilt);
    const archive = await fakeArchive();
    expect(await find({ archive })).toMatchObject({ source: 'download' });
    expect(await find()).toMatchObject({ source: 'cache' });
    expect(readdirSync(join(folder, 'cache/tiller/engine')).toSorted()).toEqual([
      'lock',
      'temporal-1.5.1',
    ]);
  });

  test('built when the download fails, and then cached; nothing of the build stays', async () => {
    fakeGo(writeBuilt);
    const said: string[] = [];
    expect(await find({ log: (line) => said.push(line) })).toMatchObject({ source: 'build' });
    expect(said[0]).toMatch('The download of the engine failed');
    expect(await find()).toMatchObject({ source: 'cache' });
    expect(readdirSync(join(folder, 'cache/tiller/engine')).toSorted()).toEqual([
      'lock',
      'temporal-1.5.1',
    ]);
  });

  test('got once by two callers at once', async () => {
    fakeGo(`sleep 0.5; ${writeBuilt}`);
    const sources = await Promise.all([find(), find()]);
    expect(sources.map((found) => 'source' in found && found.source).toSorted()).toEqual([
      'build',
      'cache',
    ]);
    expect(readFileSync(join(folder, 'builds'), 'utf8')).toBe('built\n');
  });

  test('got again when the cached one does not start', async () => {
    script(join(folder, 'cache/tiller/engine/temporal-1.5.1'), 'exit 1');
    expect(await find({ archive: await fakeArchive() })).toMatchObject({ source: 'download' });
  });
});

describe('there is no engine when', () => {
  test('the given one is not there', async () => {
    env['TILLER_TEMPORAL'] = join(folder, 'absent');
    await expect(find()).rejects.toMatchObject({ code: 'ENGINE_NOT_FOUND' });
  });

  test('the download fails and there is no Go', async () => {
    await expect(find()).rejects.toMatchObject({
      code: 'ENGINE_NO_GO',
      message: expect.stringContaining('Go is not installed'),
    });
  });

  test('Go is too old to build it', async () => {
    fakeGo(writeBuilt, 'go1.19.8');
    await expect(find()).rejects.toMatchObject({
      code: 'ENGINE_NO_GO',
      message: expect.stringContaining('go1.19.8 is too old'),
    });
  });

  test('the build fails: its last line is told and all of it kept', async () => {
    fakeGo('echo "go: downloading x v1" >&2; echo "a/b" >&2; echo "x.go:1: no" >&2; exit 1');
    await expect(find()).rejects.toMatchObject({
      code: 'ENGINE_BUILD_FAILED',
      message: expect.stringContaining('x.go:1: no'),
    });
    expect(readFileSync(join(folder, 'cache/tiller/engine/build.log'), 'utf8')).toMatch(
      'x.go:1: no',
    );
  });

  test('what was downloaded does not start', async () => {
    script(join(folder, 'packed', 'temporal'), 'exit 1');
    await execa('tar', [
      '-czf',
      join(folder, 'b.tar.gz'),
      '-C',
      join(folder, 'packed'),
      'temporal',
    ]);
    const bytes = readFileSync(join(folder, 'b.tar.gz'));
    const url = await serve((_request, response) => response.end(bytes));
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const said: string[] = [];
    const archive = { urls: [url], sha256 };
    await expect(find({ archive, log: (line) => said.push(line) })).rejects.toMatchObject({
      code: 'ENGINE_NO_GO',
    });
    expect(said).toContainEqual(expect.stringContaining('of no use'));
  });
});

describe('a database file of another version', () => {
  test('skips the Temporal on PATH that did not write it', async () => {
    fakeTemporal(join(folder, 'new', 'temporal'), { cli: '1.7.0', server: '1.31.0' });
    onPath(join(folder, 'new'));
    fakeTemporal(join(folder, 'cache/tiller/engine/temporal-1.5.1'));
    const databaseFile = databaseOf('1.29.4');
    expect(await find({ databaseFile })).toMatchObject({ source: 'cache' });
    expect(await find()).toMatchObject({ source: 'path' });
  });

  test('refuses a given Temporal that did not write it', async () => {
    env['TILLER_TEMPORAL'] = fakeTemporal(join(folder, 'given'));
    await expect(find({ databaseFile: databaseOf('1.30.0') })).rejects.toMatchObject({
      code: 'ENGINE_VERSION',
      message: expect.stringContaining('TILLER_TEMPORAL holds 1.29.1'),
    });
  });

  test('refuses when that version cannot be had, and does not build another', async () => {
    fakeGo(writeBuilt);
    await expect(find({ databaseFile: databaseOf('1.30.0') })).rejects.toMatchObject({
      code: 'ENGINE_VERSION',
      message: expect.stringContaining('server 1.30.0: The download of the engine failed'),
    });
  });
});

describe('the download', () => {
  const to = () => join(folder, 'to');

  test('is refused when its bytes are not the published ones', async () => {
    const archive = { ...(await fakeArchive()), sha256: '0'.repeat(64) };
    await expect(downloadEngine(archive, to())).rejects.toMatchObject({
      code: 'ENGINE_DOWNLOAD_FAILED',
      message: expect.stringContaining('SHA-256'),
    });
    expect(readdirSync(to())).toEqual([]);
  });

  test('checks against the published list where no hash is known', async () => {
    const { urls, sha256 } = await fakeArchive();
    const list = await serve((_request, response) =>
      response.end(`${'1'.repeat(64)}  b\n${sha256}  a.tar.gz\n`),
    );
    await downloadEngine({ urls, sha256: { list } }, to());
    expect(readdirSync(to())).toEqual(['temporal']);
  });

  test('takes the server that answers and gives up on silent ones', async () => {
    const silent = await serve(() => {});
    const { urls, sha256 } = await fakeArchive();
    await downloadEngine({ urls: [silent, ...urls], sha256 }, to());
    const alone = downloadEngine({ urls: [silent], sha256 }, to(), { answerWithin: 200 });
    await expect(alone).rejects.toMatchObject({
      code: 'ENGINE_DOWNLOAD_FAILED',
      message: expect.stringContaining('no answer in 0.2 s'),
    });
  });

  test('gives up when nothing more comes', async () => {
    const stuck = await serve((_request, response) => void response.write('some'));
    const archive = { urls: [stuck], sha256: '' };
    await expect(downloadEngine(archive, to(), { stallsAfter: 200 })).rejects.toMatchObject({
      code: 'ENGINE_DOWNLOAD_FAILED',
      message: expect.stringContaining('nothing came for 0.2 s'),
    });
  });

  test('is of a pinned hash for each machine that there is a release for', () => {
    for (const platform of ['linux', 'darwin']) {
      for (const processor of ['x64', 'arm64']) {
        expect(officialArchive('1.5.1', platform, processor).sha256).toMatch(/^[0-9a-f]{64}$/);
      }
    }
    expect(() => officialArchive('1.5.1', 'aix', 'ppc')).toThrow('there is none for aix on ppc');
  });
});
