/** Prepared data sets: immutable, named by the hash of their manifest. */
import { eq } from 'drizzle-orm';
import { TillerError } from '../recipes/errors.ts';
import { immediate, type Db } from './connection.ts';
import * as schema from './schema.ts';

export type DatasetRow = typeof schema.dataset.$inferSelect;

export interface NewDataset {
  hash: string;
  folder: string;
  manifest: string;
  width: number;
  height: number;
  trainItems: number;
  validationItems: number;
  problems: readonly object[];
  licence: string | null;
  items: readonly {
    position: number;
    key: string;
    file: string;
    split: string;
    captions: readonly { text: string; weight: number }[];
  }[];
}

/** A set that is known already stays as it is. */
export function saveDataset(db: Db, set: NewDataset): void {
  immediate(db, () => {
    const created = Date.now();
    const { changes } = db.orm
      .insert(schema.dataset)
      .values({
        id: set.hash,
        folder: set.folder,
        manifest: set.manifest,
        width: set.width,
        height: set.height,
        train_items: set.trainItems,
        validation_items: set.validationItems,
        problems: JSON.stringify(set.problems),
        licence: set.licence,
        created_at: created,
      })
      .onConflictDoNothing()
      .run();
    if (changes === 0) return;
    for (const { position, key, file, split, captions } of set.items) {
      db.orm.insert(schema.item).values({ dataset: set.hash, position, key, file, split }).run();
      for (const { text, weight } of captions) {
        db.orm
          .insert(schema.caption)
          .values({
            dataset: set.hash,
            position,
            text,
            weight,
            source: 'file',
            created_at: created,
          })
          .run();
      }
    }
  });
}

export function getDataset(db: Db, id: string): DatasetRow {
  const row = db.orm.select().from(schema.dataset).where(eq(schema.dataset.id, id)).get();
  if (row === undefined) throw new TillerError('INTERNAL', `There is no data set ${id}`);
  return row;
}
