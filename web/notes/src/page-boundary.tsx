import { Component, type ReactNode } from "react";
import { Button } from "./ui/button.tsx";
import { Empty } from "./ui/empty.tsx";

interface PageBoundaryProps {
  /** The path of the page: another one is another chance. */
  path: string;
  children: ReactNode;
}

interface PageBoundaryState {
  readonly path: string;
  readonly isBroken: boolean;
}

/** Stands around the page, so that a fault in it leaves the rest of the app: the way to other pages, and the writes on their way. */
export class PageBoundary extends Component<PageBoundaryProps, PageBoundaryState> {
  override state: PageBoundaryState = { path: this.props.path, isBroken: false };

  static getDerivedStateFromError(): Partial<PageBoundaryState> {
    return { isBroken: true };
  }

  static getDerivedStateFromProps({ path }: PageBoundaryProps, state: PageBoundaryState): PageBoundaryState | null {
    return path === state.path ? null : { path, isBroken: false };
  }

  override render() {
    if (!this.state.isBroken) return this.props.children;
    return (
      <main className="flex-1 overflow-y-auto" role="alert" data-testid="broken-page">
        <Empty title="This page broke" action={<Button onClick={() => window.location.reload()}>Reload</Button>}>
          It is a fault of the app. What you wrote and sent is with the server.
        </Empty>
      </main>
    );
  }
}
