/** Why a file of the folder is not trained. `docs/reference/data.md` says what to do about each. */
export type ProblemKind =
  | 'unreadable' // cut short, of another format, or not permitted
  | 'empty-file'
  | 'too-large'
  | 'duplicate'
  | 'no-caption'
  | 'empty-caption'
  | 'caption-not-utf8'
  | 'caption-too-long'
  | 'caption-without-picture';

export interface DataProblem {
  kind: ProblemKind;
  /** Relative to the data folder, with forward slashes. */
  file: string;
  detail: string;
}

export interface DataItem {
  /** The picture's index in pixels.u8. */
  position: number;
  /** Content hash of the decoded picture, 16 hex digits. */
  key: string;
  file: string;
  split: 'train' | 'validation';
  captions: { text: string; weight: number }[];
}

/** `manifest.json`, as native/PROTOCOL.md describes it, and what shows that it is intact. */
export interface Manifest {
  version: 1;
  hash: string;
  width: number;
  height: number;
  channels: 3;
  pixels: string;
  pixels_sha256: string;
  train: ManifestItem[];
  validation: ManifestItem[];
}

export interface ManifestItem {
  index: number;
  key: string;
  captions: { text: string; weight: number }[];
}
