/** A sample's picture, on neutral grey. */
import { html } from 'hono/html';
import type { Html } from './layout.ts';

export interface Picture {
  readonly id: string;
  readonly alt: string;
  /** Pixels on screen of the longer side. */
  readonly size: number;
}

/** Thumbnails come in two sizes; screens with two dots a pixel get the larger one. */
export const thumbnail = (id: string, size: number): string =>
  `/media/${id}/${size > 128 ? 512 : 256}.webp`;

export const picture = ({ id, alt, size }: Picture): Html =>
  html`<span class="picture"
    ><img
      src="${thumbnail(id, size)}"
      alt="${alt}"
      width="${size}"
      height="${size}"
      decoding="async"
  /></span>`;
