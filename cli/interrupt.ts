/** Ctrl-C, or a polite kill. */
export interface Interrupts extends Disposable {
  /** Aborted by the first one. */
  signal: AbortSignal;
}

/** The second one calls `again`, which by default ends the process at once. */
export function onInterrupt(again: () => void = () => process.exit(130)): Interrupts {
  const stop = new AbortController();
  const listen = () => (stop.signal.aborted ? again() : stop.abort());
  process.on('SIGINT', listen).on('SIGTERM', listen);
  return {
    signal: stop.signal,
    [Symbol.dispose]: () => void process.off('SIGINT', listen).off('SIGTERM', listen),
  };
}
