import type { InputHTMLAttributes, ReactNode, TextareaHTMLAttributes } from "react";

const BOX =
  "w-full rounded-lg border border-line-strong bg-paper px-3 py-2 text-base focus:border-accent focus:outline-2 focus:outline-offset-0 focus:outline-accent";

/** A label above its field, and a hint below. */
export function Field({ label, hint, children }: { label: string; hint?: string; children: ReactNode }) {
  return (
    // biome-ignore lint/a11y/noLabelWithoutControl: the control is the child
    <label className="block">
      <span className="mb-1 block text-sm font-medium">{label}</span>
      {children}
      {hint && <span className="mt-1 block text-xs text-muted">{hint}</span>}
    </label>
  );
}

export function TextInput({ className = "", ...rest }: InputHTMLAttributes<HTMLInputElement>) {
  return <input className={`${BOX} ${className}`} autoComplete="off" {...rest} />;
}

export function TextArea({ className = "", ...rest }: TextareaHTMLAttributes<HTMLTextAreaElement>) {
  return <textarea className={`${BOX} grows min-h-20 resize-none ${className}`} {...rest} />;
}
