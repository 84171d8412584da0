// Codes of the command line: all are found before anything runs.

import type { Explanations } from "./define.ts";

export const explanations: Explanations = {
  COMMAND_UNKNOWN: {
    meaning: "There is no command of this name. Nothing was done.",
    causes: ["a typing error", "a command of another version"],
    remedy: [
      "`citadel-agent --help` lists the commands, `citadel-agent NOUN --help` those of a noun",
    ],
  },
  COMMAND_INCOMPLETE: {
    meaning: "The noun needs a verb (`backup` alone is no command). Nothing was done.",
    causes: ["the verb was left out"],
    remedy: ["`citadel-agent NOUN --help` lists the verbs"],
  },
  FLAG_UNKNOWN: {
    meaning:
      "The command has no such flag. It did not run: a mistyped --dry-run must not change anything.",
    causes: ["a typing error", "a flag of another command", "a flag of a command placed before it"],
    remedy: ["`citadel-agent COMMAND --help` lists the flags"],
  },
  FLAG_REPEATED: {
    meaning: "A flag that may be given once was given more than once. Nothing was done.",
    causes: ["a flag in a script and again on the command line", "--flag together with --no-flag"],
    remedy: ["decide for one; --help says which flags may be repeated"],
  },
  FLAG_REQUIRED: {
    meaning: "The command cannot run without this flag. Nothing was done.",
    causes: ["the flag was left out"],
    remedy: ["`citadel-agent COMMAND --help` shows an example"],
  },
  VALUE_MISSING: {
    meaning: "A flag needs a value and none followed. Nothing was done.",
    causes: ["the flag was the last word", "the next word starts with a dash"],
    remedy: ["write `--flag VALUE`; a value that starts with a dash is written `--flag=-VALUE`"],
  },
  VALUE_INVALID: {
    meaning: "A value is not one that the flag or argument accepts. Nothing was done.",
    causes: ["no number, or out of range", "none of the choices", "an empty path"],
    remedy: ["the error names what is accepted; so does --help"],
  },
  ARGUMENT_MISSING: {
    meaning: "The command needs an argument that was not given. Nothing was done.",
    causes: ["it was left out", "an empty variable in a script, unquoted"],
    remedy: ["`citadel-agent COMMAND --help` shows the arguments and examples"],
  },
  ARGUMENT_SURPLUS: {
    meaning: "More arguments were given than the command takes. Nothing was done.",
    causes: ["a forgotten pair of dashes before a flag", "an unquoted name with blanks"],
    remedy: ["quote names; write flags with `--`"],
  },
  CODE_UNKNOWN: {
    meaning: "No error or alert has this code.",
    causes: ["a typing error", "a code of another version"],
    remedy: ["`citadel-agent explain` lists all codes"],
  },
  SCHEMA_UNKNOWN: {
    meaning: "No document has this name.",
    causes: ["a typing error", "a document of another version"],
    remedy: ["`citadel-agent schema` lists all documents"],
  },
  CONFIRMATION_NEEDED: {
    meaning:
      "The command changes things, would ask first, and nobody can be asked. Nothing was touched.",
    causes: ["run without a terminal: cron, a pipe, a unit, ssh without -t"],
    remedy: [
      "look at the plan: the same command with `--dry-run`",
      "run it with `--yes`, and with `--plan-hash` to apply only the plan you saw",
    ],
  },
  OUTPUT_CLOSED: {
    meaning:
      "The program that read the output ended, so the command did too. No error is shown for it.",
    causes: ["`| head` and the like"],
    remedy: ["nothing: this is normal"],
  },
  CANCELLED: {
    meaning: "The work was stopped before it ended, because the agent itself was told to stop.",
    causes: ["Ctrl-C, a service manager, a shutdown"],
    remedy: ["nothing; run the command again when you want its result"],
  },
  DRY_RUN_REFUSED: {
    meaning:
      "The flag --dry-run was given to a command that cannot say beforehand what it would do. It did not run.",
    causes: ["a command that measures, copies or runs what is due, instead of applying a plan"],
    remedy: ["leave `--dry-run` out to run it", "try it on a copy with `--root DIR`"],
  },
};
