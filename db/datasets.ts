/** Prepared data sets, each under the hash of its content, with what every picture is called. */
import { eq } from './drizzle.ts';
import { TillerError } from '../recipes/errors.ts';
import { immediate, type Db } from './connection.ts';
import { caption, dataset as table, item } from './schema.ts';

export type DatasetRow = typeof table.$inferSelect;

export interface NewDataset {
  hash: string;
  folder: string;
  /** absolute path of manifest.json */
  manifest: string;
  width: number;
  height: number;
  trainItems: number;
  validationItems: number;
  problems: readonly unknown[];
  licence: string | null;
  items: readonly {
    position: number;
    key: string;
    file: string;
    split: string;
    captions: readonly { text: string; weight: number }[];
  }[];
}

/** The same set again changes nothing but where it lies and what was left out of the folder. */
export function saveDataset(db: Db, set: NewDataset): void {
  immediate(db, () => {
    const now = Date.now();
    const { hash: id, folder, manifest, width, height, licence } = set;
    const place = { folder, manifest, licence, problems: JSON.stringify(set.problems) };
    const known = db.orm.select({ id: table.id }).from(table).where(eq(table.id, id)).get();
    if (known !== undefined) {
      db.orm.update(table).set(place).where(eq(table.id, id)).run();
      return;
    }
    const counts = { train_items: set.trainItems, validation_items: set.validationItems };
    db.orm
      .insert(table)
      .values({ id, ...place, width, height, ...counts, created_at: now })
      .run();
    for (const { position, key, file, split, captions } of set.items) {
      db.orm.insert(item).values({ dataset: id, position, key, file, split }).run();
      for (const { text, weight } of captions) {
        const words = { text, weight, source: 'file', created_at: now };
        db.orm
          .insert(caption)
          .values({ dataset: id, position, ...words })
          .run();
      }
    }
  });
}

/** Errors: INTERNAL when it was never saved. */
export function getDataset(db: Db, id: string): DatasetRow {
  const row = db.orm.select().from(table).where(eq(table.id, id)).get();
  if (row === undefined) throw new TillerError('INTERNAL', `The record knows no data set ${id}`);
  return row;
}
