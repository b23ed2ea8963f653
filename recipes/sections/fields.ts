import { z } from 'zod';

export const int = (description: string) => z.number().int().describe(description);
export const text = (description: string) => z.string().describe(description);
export const share = (description: string) => z.number().min(0).max(1).describe(description);
export const flag = (description: string) => z.boolean().describe(description);
