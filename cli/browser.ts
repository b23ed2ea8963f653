import { spawn } from 'node:child_process';

/** Opens a page where there is a screen to open it on. That it can't is no error: it was printed. */
export function openBrowser(url: string, env: NodeJS.ProcessEnv): void {
  const mac = process.platform === 'darwin';
  if (!mac && !env['DISPLAY'] && !env['WAYLAND_DISPLAY']) return;
  const child = spawn(mac ? 'open' : 'xdg-open', [url], { env, detached: true, stdio: 'ignore' });
  child.on('error', () => undefined);
  child.unref();
}
