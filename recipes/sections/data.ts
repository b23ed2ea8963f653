import { z } from 'zod';
import { flag, int, share, text } from './fields.ts';

const side = (description: string) => int(description).min(8).max(4096);

export const dataSchema = z
  .strictObject({
    folder: text('Folder of pictures, each with a caption of the same name').min(1),
    layout: z
      .enum(['auto', 'plain', 'kohya'])
      .describe(
        'kohya: folders such as `10_red barn` say repeats and caption; auto: if all are so named',
      )
      .default('auto'),
    fit: z
      .enum(['square', 'buckets'])
      .describe(
        'square: fitted into a square, on a background; buckets: each at the size of nearest aspect',
      )
      .default('square'),
    resolution: int(
      'Side of the square; the area of a bucket is at most its square. Left out: 512 with sd1, else 32',
    )
      .min(8)
      .max(2048)
      .optional(),
    bucket_min: side('Least side of a bucket').default(256),
    bucket_max: side('Greatest side of a bucket').default(1024),
    bucket_step: int('Sides of buckets are multiples of this').min(8).max(512).default(64),
    upscale: flag('Enlarge pictures that are smaller than their bucket').default(false),
    crop: z
      .enum(['centre', 'random'])
      .describe('Which part of a picture that is larger than its bucket is trained')
      .default('centre'),
    background: z
      .string()
      .regex(/^#[0-9a-fA-F]{6}$/)
      .describe('Colour under transparent pictures')
      .default('#ffffff'),
    repeats: int('Times that a picture comes in a pass').min(1).max(10_000).default(1),
    caption_extension: z
      .array(z.string().regex(/^\.[A-Za-z0-9_.-]+$/, 'an ending with its dot, such as .txt'))
      .min(1)
      .max(8)
      .describe('Endings of caption files; the first that is there counts')
      .default(['.txt', '.caption']),
    default_caption: text('Caption of pictures without one; left out: they are not trained')
      .min(1)
      .max(2_000)
      .optional(),
    trigger_word: text('Comes first in every caption that lacks it, and in place of [trigger]')
      .min(1)
      .max(200)
      .optional(),
    shuffle_captions: flag('Shuffle the parts of captions between commas').default(false),
    keep_tokens: int('Parts that stay first when shuffled; a trigger word stays too')
      .min(0)
      .max(100)
      .default(0),
    tag_dropout: share('Chance of a part of a caption to be left out').default(0),
    caption_dropout: share('Share of the steps without a caption, which guidance needs').default(
      0.1,
    ),
    flip: flag('Mirror half of the pictures').default(false),
    masks: z
      .enum(['none', 'alpha', 'folder'])
      .describe(
        'What says which part is trained (white): the alpha channel; or files in mask_folder, or X-masklabel.png beside X',
      )
      .default('none'),
    mask_folder: text('Masks with the same relative paths as the pictures').min(1).optional(),
    regularisation_folder: text('Pictures of the class that the subject must not become')
      .min(1)
      .optional(),
    prior_loss_weight: z
      .number()
      .min(0)
      .max(100)
      .describe('How much the loss of a regularisation picture counts')
      .default(1),
    validation_share: z
      .number()
      .min(0)
      .max(0.5)
      .describe('Share of the pictures that is held out, chosen by content hash')
      .default(0.06),
  })
  .describe('The data set');
