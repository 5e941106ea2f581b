import type { ButtonHTMLAttributes } from "react";
import { Icon, type IconName } from "./icons.tsx";

const BASE =
  "inline-flex items-center justify-center gap-1.5 rounded-lg text-sm font-medium transition-colors disabled:opacity-50 disabled:pointer-events-none";

const LOOKS = {
  /** The one thing to do here. */
  primary: "px-3.5 bg-accent text-on-accent hover:bg-accent-strong",
  /** Something else to do here. */
  plain: "px-3 border border-line bg-surface hover:border-line-strong",
  /** In running text and notices. */
  link: "px-1 -mx-1 text-accent underline decoration-1 underline-offset-3 hover:text-accent-strong",
} as const;

type ButtonProps = ButtonHTMLAttributes<HTMLButtonElement> & { look?: keyof typeof LOOKS; isSmall?: boolean };

export function Button({ look = "plain", isSmall = false, className = "", type = "button", ...rest }: ButtonProps) {
  const height = look === "link" ? "" : isSmall ? "h-8 pointer-coarse:h-10" : "h-9 pointer-coarse:h-10";
  return <button type={type} className={`${BASE} ${height} ${LOOKS[look]} ${className}`} {...rest} />;
}

type IconButtonProps = Omit<ButtonHTMLAttributes<HTMLButtonElement>, "aria-label"> & { icon: IconName; label: string };

/** A button that is only an icon: 32 px, and 40 px where fingers are. */
export function IconButton({ icon, label, className = "", type = "button", ...rest }: IconButtonProps) {
  return (
    <button
      type={type}
      aria-label={label}
      title={label}
      className={`inline-flex size-8 pointer-coarse:size-10 items-center justify-center rounded-lg text-muted transition-colors hover:bg-sunken hover:text-ink disabled:pointer-events-none disabled:opacity-50 ${className}`}
      {...rest}
    >
      <Icon name={icon} />
    </button>
  );
}
