/** Where content will be: rows of about its size, so that nothing jumps when it comes. */
export function Bones({ rows }: { rows: number }) {
  return (
    <div role="status" aria-label="Loading" className="space-y-4">
      {Array.from({ length: rows }, (_, row) => (
        <div key={row} className="rounded-xl border border-line bg-surface p-5">
          <div className="bone h-4 w-1/3" />
          <div className="bone mt-4 h-3 w-11/12" />
          <div className="bone mt-2 h-3 w-3/4" />
        </div>
      ))}
    </div>
  );
}
