// What `status` shows.
export * from "./daemon-file.ts";
export * from "./document.ts";
