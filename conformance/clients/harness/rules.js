/** Rules with one channel for each way to be treated. */
export const rules = `
channels:
  - match: "team:{name}"
    join: 'claims.role in ["authenticated", "bot"]'
    publish: 'claims.role == "authenticated"'
    presence: 'claims.role == "authenticated"'
    history: { messages: 1000, age: 1h, durability: os }
`;
