import { join } from 'node:path';
import { test } from '@jest/globals';
import { expectChecks } from './checks.ts';

const golden = join(import.meta.dirname, '..', 'golden');

const programs = [
  { name: 'compute_test', what: 'random numbers, threads, parameters, optimizer', atLeast: 23 },
  { name: 'layers_test', what: "every layer's gradients by finite differences", atLeast: 420 },
  { name: 'vae_test', what: 'the autoencoder against PyTorch, and its codec', atLeast: 43 },
  { name: 'memory_plan_test', what: 'memory as it is planned and taken', atLeast: 13 },
  { name: 'golden_test', what: 'U-Net and text encoder against PyTorch', atLeast: 470 },
  { name: 'fused_step_test', what: 'a step within the backward pass', atLeast: 35 },
  { name: 'optimizer_test', what: 'optimizers against PyTorch, and eight bits', atLeast: 19 },
  { name: 'clip_test', what: 'clip_skip, chunks and emphasis against PyTorch', atLeast: 48 },
];

test.each(programs)('$what', ({ name, atLeast }) => expectChecks(name, atLeast, [golden]), 300_000);
