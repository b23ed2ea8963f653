/** Mesa's lavapipe: Vulkan on the processor, so that a machine without a GPU can run its path. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

export const packages = ['libvulkan1', 'mesa-vulkan-drivers'];

const folders = ['/usr/share/vulkan/icd.d', '/etc/vulkan/icd.d', '/usr/local/share/vulkan/icd.d'];

/**
 * What the programs need in their environment, or null where lavapipe isn't installed. A driver
 * that the caller has chosen is left to be.
 */
export function vulkanEnvironment(env: NodeJS.ProcessEnv): Record<string, string> | null {
  // ggml-vulkan passes over devices that are processors, unless they are named.
  const device = { GGML_VK_VISIBLE_DEVICES: env['GGML_VK_VISIBLE_DEVICES'] ?? '0' };
  if (env['VK_DRIVER_FILES'] !== undefined || env['VK_ICD_FILENAMES'] !== undefined) return device;
  const driver = folders.flatMap(driversIn).find((path) => /\blvp_icd\b/.test(path));
  // The one driver: beside a real GPU lavapipe would be the second device.
  return driver === undefined ? null : { ...device, VK_ICD_FILENAMES: driver };
}

const driversIn = (folder: string): string[] =>
  existsSync(folder) ? readdirSync(folder).map((file) => join(folder, file)) : [];

export const missing = (why: string): string =>
  `There is no Vulkan device to test on (${why}). On Debian: apt-get install -y ${packages.join(' ')}`;
