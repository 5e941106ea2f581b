import type { Collection } from "@chorale/client";

/** Takes a seat, unless somebody else has it by now. */
export async function takeSeat(seats: Collection<{ takenBy: string }>, id: string, me: string): Promise<boolean> {
  const seat = seats.snapshot.getSnapshot().byId.get(id);
  if (seat?.takenBy !== "") return false;
  const { settled } = seats.patch(id, { takenBy: me }, { ifVersion: seat.version });
  const outcome = await settled;
  if (outcome.status === "rejected") seats.dismiss(id);
  return outcome.status === "applied";
}
