/** Reading and writing inside objects and lists by a path. */
import type { Path } from './shape.ts';

type Container = Record<string | number, unknown>;

const isContainer = (value: unknown): value is Container =>
  typeof value === 'object' && value !== null;

/** Only what is the object's own: a path comes from a user. */
export function getIn(tree: unknown, path: Path): unknown {
  let value = tree;
  for (const key of path) {
    if (!isContainer(value) || !Object.hasOwn(value, key)) return undefined;
    value = value[key];
  }
  return value;
}

/** What is missing or empty on the way is made. @returns the path of a value that is in the way */
export function setIn(tree: object, path: Path, value: unknown): Path | undefined {
  let parent = tree as Container;
  for (const [depth, key] of path.slice(0, -1).entries()) {
    const next = Object.hasOwn(parent, key) ? parent[key] : undefined;
    if (isContainer(next)) {
      parent = next;
      continue;
    }
    if (next !== undefined && next !== null) return path.slice(0, depth + 1);
    parent = define(parent, key, {}) as Container;
  }
  define(parent, path.at(-1)!, value);
  return undefined;
}

/** Not an assignment, which `__proto__` would make something else of. */
function define(parent: Container, key: string | number, value: unknown): unknown {
  Object.defineProperty(parent, key, {
    value,
    enumerable: true,
    configurable: true,
    writable: true,
  });
  return value;
}
