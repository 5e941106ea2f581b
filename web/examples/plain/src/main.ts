/** A shopping list that everybody shares: one channel, one collection, and the DOM. */
import { createRealtimeClient, type Rec, type RecordStatus } from "@chorale/client";

interface Item {
  title: string;
  bought: boolean;
}

const client = createRealtimeClient({ url: window.location.origin, getToken: guestToken });
const channel = client.channels.getChannel({ name: "list:home", presence: true });
const items = channel.collection<Item>("items");
channel.presence.set({ name: "Somebody" });

const status = element("status", HTMLElement);
const list = element("list", HTMLUListElement);
const form = element("add", HTMLFormElement);

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const title = String(new FormData(form).get("title") ?? "").trim();
  if (title === "") return;
  items.add({ title, bought: false }); // shown when this returns
  form.reset();
});

for (const store of [items.snapshot, client.connection, client.pendingCount, channel.presence.members]) store.subscribe(render);
render();

function render(): void {
  const { isConnected } = client.connection.getSnapshot();
  const here = channel.presence.members.getSnapshot().length;
  const pending = client.pendingCount.getSnapshot();
  status.textContent = isConnected ? `Live, ${here} here` : `Not connected, ${pending} to be sent`;
  const { records, status: statuses } = items.snapshot.getSnapshot();
  list.replaceChildren(...records.map((item) => rowOf(item, statuses.get(item.id))));
}

function rowOf(item: Rec<Item>, itemStatus: RecordStatus | undefined): HTMLLIElement {
  const row = document.createElement("li");
  row.classList.toggle("bought", item.bought);
  row.classList.toggle("pending", (itemStatus?.pending ?? 0) > 0);
  const title = document.createElement("span");
  title.textContent = item.title;
  row.append(
    title,
    button(item.bought ? "Not yet" : "Bought", () => items.patch(item.id, { bought: !item.bought })),
    button("Remove", () => items.delete(item.id)),
  );
  return row;
}

function button(label: string, act: () => void): HTMLButtonElement {
  const made = document.createElement("button");
  made.textContent = label;
  made.addEventListener("click", act);
  return made;
}

/** A guest of a server in dev mode. Elsewhere your backend signs the token. */
async function guestToken(): Promise<string> {
  const response = await fetch("/dev/token", { method: "POST", body: JSON.stringify({ name: "Somebody" }) });
  if (!response.ok) throw new Error(`no guest token: HTTP ${response.status}`);
  const { token }: { token: string } = await response.json();
  return token;
}

function element<E extends HTMLElement>(id: string, type: new () => E): E {
  const found = document.getElementById(id);
  if (!(found instanceof type)) throw new Error(`index.html has no ${id}`);
  return found;
}
