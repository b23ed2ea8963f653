/** Why a file of the folder is not trained. `docs/reference/data.md` says what to do about each. */
export type ProblemKind =
  | 'unreadable' // cut short, of another format, or not permitted
  | 'empty-file'
  | 'too-large'
  | 'too-small'
  | 'aspect'
  | 'duplicate'
  | 'outside-layout'
  | 'no-repeats'
  | 'mask-unreadable'
  | 'mask-size'
  | 'no-caption'
  | 'empty-caption'
  | 'caption-not-utf8'
  | 'caption-too-long'
  | 'caption-without-picture'
  | 'regularisation-unneeded';

/** What is wrong with one file, by whoever looked at it. */
export interface Refusal {
  kind: ProblemKind;
  detail: string;
}

export interface DataProblem extends Refusal {
  /** Relative to the data folder, with forward slashes; of another folder with its path. */
  file: string;
}

/** Width and height that a picture is trained at. */
export type Bucket = readonly [width: number, height: number];

export interface DataItem {
  /** The picture's place in pixels.u8, counted from 0. */
  position: number;
  /** Content hash of the decoded picture, 16 hex digits. */
  key: string;
  file: string;
  split: 'train' | 'validation';
  /** Of the stored picture, which covers its bucket. */
  width: number;
  height: number;
  bucket: Bucket;
  /** In pixels.u8. */
  offset: number;
  /** In masks.u8; without one all of it is trained. */
  maskOffset?: number;
  repeats: number;
  regularisation: boolean;
  captions: { text: string; weight: number }[];
}

/** `manifest.json`, as native/PROTOCOL.md describes it, and what shows that it is intact. */
export interface Manifest {
  version: 2;
  hash: string;
  channels: 3;
  pixels: string;
  pixels_sha256: string;
  masks?: string;
  masks_sha256?: string;
  train: ManifestItem[];
  validation: ManifestItem[];
}

export interface ManifestItem {
  key: string;
  file: string;
  width: number;
  height: number;
  bucket: Bucket;
  offset: number;
  mask_offset?: number;
  repeats: number;
  regularisation: boolean;
  captions: { text: string; weight: number }[];
}
