export { default } from "../../../../../test/guides/next-page.tsx";
