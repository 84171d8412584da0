// Settings as they are shown: as values of a JSON document and as text, without secrets.

import { maskedText, Secret } from "../core/index.ts";
import { inertSettings } from "./inert.ts";
import type { InspectedSettings } from "./load.ts";
import { formatOrigin, type Origin } from "./origin.ts";
import { knownFields, type KnownField } from "./schema.ts";

export interface ShownSetting {
  readonly key: string;
  /** JSON: null when not set, `***` for a secret that is set. */
  readonly value: unknown;
  readonly origin: Origin;
  /** `value` on one line. */
  readonly text: string;
  /** `origin` in words. */
  readonly originText: string;
  /** Accepted, but nothing reads it yet. */
  readonly inert: boolean;
}

/** Every setting in the order of the reference. */
export function showSettings({ settings, origins }: InspectedSettings): ShownSetting[] {
  return knownFields.map((known) => {
    const value = shownValue(valueOf(settings, known));
    const origin = origins.get(known.key) ?? { kind: "default", name: known.field.name };
    const text = typeof value === "string" ? value : JSON.stringify(value);
    const inert = inertSettings.has(known.key);
    return { key: known.key, value, origin, text, originText: formatOrigin(origin), inert };
  });
}

function valueOf(settings: InspectedSettings["settings"], known: KnownField): unknown {
  const group: Readonly<Record<string, unknown>> = settings[known.group];
  return group[known.fieldName];
}

function shownValue(value: unknown): unknown {
  if (value === undefined) return null;
  if (value instanceof Secret) return maskedText;
  return typeof value === "string" ? maskAddress(value) : value;
}

/** Takes user, password and query out of an address; other text stays. */
export function maskAddress(text: string): string {
  if (!/^https?:\/\//i.test(text)) return text;
  return text
    .replace(/^(https?:\/\/)[^/?#]*@/i, `$1${maskedText}@`)
    .replace(/\?[^#]*/, `?${maskedText}`);
}
