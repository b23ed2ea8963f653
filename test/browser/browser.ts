/**
 * A real Chromium for tests and screenshots. A Chromium of the system is used where there is one;
 * else the one inside the npm package @sparticuz/chromium, with the libraries and the font that the
 * package brings along, so that a machine with no extra packages works.
 */
import { execFile } from 'node:child_process';
import { access, constants, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { homedir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { chromium, type Browser } from 'playwright-core';

const run = promisify(execFile);
const names = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'];

const executable = (file: string): Promise<boolean> =>
  access(file, constants.X_OK).then(
    () => true,
    () => false,
  );

/** Path of a Chromium of the system, by TILLER_CHROMIUM or on PATH. */
const findSystemChromium = async (env: NodeJS.ProcessEnv): Promise<string | undefined> => {
  if (env['TILLER_CHROMIUM']) return env['TILLER_CHROMIUM'];
  for (const folder of (env['PATH'] ?? '').split(delimiter)) {
    for (const name of names) {
      if (folder !== '' && (await executable(join(folder, name)))) return join(folder, name);
    }
  }
  return undefined;
};

const unpackScript = `
  const { default: chromium, inflate } = await import(process.argv[1]);
  await chromium.executablePath();
  await inflate(process.argv[2]);
`;

/** One font for every machine, so that screenshots look alike; what the system has comes after it. */
const fontsConfiguration = (folder: string): string => `<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>${folder}/fonts</dir>
  <dir>/usr/share/fonts</dir>
  <cachedir>${folder}/fonts-cache</cachedir>
  <alias binding="strong"><family>system-ui</family><prefer><family>Open Sans</family></prefer></alias>
  <alias binding="strong"><family>sans-serif</family><prefer><family>Open Sans</family></prefer></alias>
</fontconfig>
`;

/** Unpacks the package once a machine. The folder appears whole or not at all. */
const unpackChromium = async (env: NodeJS.ProcessEnv): Promise<string> => {
  const require = createRequire(import.meta.url);
  const entry = require.resolve('@sparticuz/chromium');
  const root = join(dirname(entry), '..');
  const { version } = require(join(root, 'package.json')) as { version: string };
  const cache = join(env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'tiller');
  const folder = join(cache, `chromium-${version}`);
  if (await executable(join(folder, 'chromium'))) return folder;
  await mkdir(cache, { recursive: true });
  const staging = await mkdtemp(join(cache, 'chromium-unpacking-'));
  try {
    // The package unpacks into the temporary folder, which several tests at once would share.
    await run(
      process.execPath,
      ['--input-type=module', '-e', unpackScript, entry, join(root, 'bin', 'al2023.tar.br')],
      { env: { ...env, TMPDIR: staging } },
    );
    await writeFile(join(staging, 'fonts.conf'), fontsConfiguration(folder));
    await rename(staging, folder).catch(async (error: NodeJS.ErrnoException) => {
      // Another process was faster: its folder is as good as ours.
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(staging, { recursive: true, force: true });
  }
  return folder;
};

/** Starts a headless Chromium. The caller closes it. */
export const launchBrowser = async (env: NodeJS.ProcessEnv = process.env): Promise<Browser> => {
  // Chromium's own sandbox refuses to run as root, which is what a container usually is.
  const args = ['--font-render-hinting=none', '--disable-gpu', '--disable-lcd-text'];
  if (process.getuid?.() === 0) args.push('--no-sandbox');
  const system = await findSystemChromium(env);
  if (system !== undefined) return chromium.launch({ executablePath: system, args });
  const folder = await unpackChromium(env);
  const clean: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) if (value !== undefined) clean[name] = value;
  return chromium.launch({
    executablePath: join(folder, 'chromium'),
    args: args.includes('--no-sandbox') ? args : [...args, '--no-sandbox'],
    env: {
      ...clean,
      LD_LIBRARY_PATH: [join(folder, 'al2023', 'lib'), clean['LD_LIBRARY_PATH']]
        .filter(Boolean)
        .join(delimiter),
      FONTCONFIG_FILE: join(folder, 'fonts.conf'),
    },
  });
};
