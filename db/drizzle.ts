/**
 * What this room uses of drizzle, by its CommonJS build: its ES modules are several hundred files, which
 * cost every process, and so every command and every restart, half a second and hundreds of megabytes.
 */
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);

export const { and, asc, desc, eq, gt, isNotNull, isNull, ne, or, sql } =
  require('drizzle-orm') as typeof import('drizzle-orm');

export const { blob, customType, integer, primaryKey, real, sqliteTable, text } =
  require('drizzle-orm/sqlite-core') as typeof import('drizzle-orm/sqlite-core');

export const { drizzle } =
  require('drizzle-orm/better-sqlite3') as typeof import('drizzle-orm/better-sqlite3');
