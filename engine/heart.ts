const EVERY_MS = 1_000;

/** Tells whoever started this process, and kills what is silent, that its event loop turns. */
export function beat(): void {
  // Whoever started us may be gone: then nobody is left to be told.
  setInterval(() => process.send?.('alive', undefined, undefined, () => {}), EVERY_MS).unref();
}
