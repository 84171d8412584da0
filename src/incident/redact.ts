// Takes secrets out of text before it leaves the host: an incident bundle is mailed to people.
// Two ways, because neither is enough: the values we know, and the shapes that secrets have.

const mask = "[redacted]";

interface Shape {
  readonly pattern: RegExp;
  readonly replacement: string;
}

const shapes: readonly Shape[] = [
  // NAME=value and "name": "value" where the name says what it is
  {
    pattern:
      /\b([\w.-]*(?:token|secret|passw(?:or)?d|api[_-]?key|access[_-]?key|account[_-]?key|private[_-]?key|credential|connection[_-]?string)[\w.-]*["']?\s*[=:]\s*)("(?:[^"\\\n]|\\.)*"|'[^'\n]*'|[^\s,;}]+)/gi,
    replacement: `$1${mask}`,
  },
  // --token VALUE in a list of processes
  {
    pattern: /(--[\w-]*(?:token|secret|password|api-key|access-key)[\w-]*\s+)(?!-)\S+/gi,
    replacement: `$1${mask}`,
  },
  { pattern: /\b((?:proxy-)?authorization["']?\s*[=:]\s*)[^\n"']+/gi, replacement: `$1${mask}` },
  { pattern: /\b(bearer|basic)\s+[\w.~+/=-]{8,}/gi, replacement: `$1 ${mask}` },
  // user:password@ in a URL (RFC 3986 3.2.1), and what follows `?` there
  { pattern: /\b([a-z][a-z0-9+.-]*:\/\/)[^\s/@"']+@/gi, replacement: `$1${mask}@` },
  { pattern: /\b(https?:\/\/[^\s?"'<>]+)\?[^\s"'<>]+/gi, replacement: `$1?${mask}` },
  // mount options of network file systems (mount.cifs(8))
  { pattern: /\b((?:password|pass|credentials|username)=)[^,\s]+/gi, replacement: `$1${mask}` },
  // Hugging Face, GitHub, GitLab, Slack, AWS, JSON web tokens, private keys
  { pattern: /\bhf_[A-Za-z0-9]{16,}\b/g, replacement: mask },
  {
    pattern: /\b(?:gh[pousr]_|github_pat_|glpat-|xox[abprs]-)[A-Za-z0-9_-]{16,}/g,
    replacement: mask,
  },
  { pattern: /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g, replacement: mask },
  { pattern: /\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*/g, replacement: mask },
  {
    pattern: /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g,
    replacement: mask,
  },
];

/** A shorter value would also hit innocent text. */
const minSecretLength = 4;

/**
 * Returns `text` without secrets.
 * @param secrets values known to be secret (from the settings); those under 4 characters are left to the shapes
 */
export function redactText(text: string, secrets: readonly string[] = []): string {
  let clean = text;
  const known = secrets.filter((secret) => secret.length >= minSecretLength);
  for (const secret of known.toSorted((a, b) => b.length - a.length)) {
    clean = clean.replaceAll(secret, mask);
  }
  for (const { pattern, replacement } of shapes) clean = clean.replace(pattern, replacement);
  return clean;
}
