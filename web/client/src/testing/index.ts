/**
 * For tests of apps: a server in memory and a clock to turn. Nothing waits for real time, and the same seed gives the same run.
 */
export { createFakeBrowser, type FakeBrowser, type FakeTab } from "./browser";
export type { FakeChannel } from "./channel";
export type { FakeMutation } from "./mutations";
export { createFakePlatform, type FakePlatform, type FakePlatformOptions } from "./platform";
export { createFakeServer, type FakeRules, type FakeServer, type FakeServerOptions } from "./server";
export type { FakeFrame, Fate } from "./socket";
export type { FakeIdentity } from "./token";
