/** With the library that TILLER_ONEDNN names, or the system's; docs/reference/recipe.md says where one is from. */
import { existsSync } from 'node:fs';
import { test } from '@jest/globals';
import { expectChecks } from './checks.ts';

const named = process.env['TILLER_ONEDNN'];
const folders = ['/usr/lib/x86_64-linux-gnu', '/usr/lib64', '/usr/lib', '/usr/local/lib'];
const found = named ? existsSync(named) : folders.some((at) => existsSync(`${at}/libdnnl.so.3`));

test(
  'without oneDNN our own kernels compute, and it is said why',
  () => expectChecks('onednn_test', 2, ['without']),
  300_000,
);

if (found) {
  test(
    'products by oneDNN beside our own kernels',
    () => expectChecks('onednn_test', 345),
    300_000,
  );
} else {
  test.skip('products by oneDNN beside our own kernels: no libdnnl.so.3 is here, TILLER_ONEDNN names none', () => {});
}
