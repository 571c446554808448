// Hash router: location.hash selects the view; a view ends when the next one is shown.
import { whenReachable } from "./connection.js";
import { element, setChildren } from "./dom.js";

/**
 * Show the view of the current hash, and of every later one.
 *
 * A view is `async ({ main, segments, query, signal }) => title`; its listeners and requests end with the signal.
 */
export function startRouter(main, routes, onChange) {
  let controller = new AbortController();
  const show = async (first = false) => {
    controller.abort();
    controller = new AbortController();
    const { signal } = controller;
    const { view, segments, query } = matchRoute(routes);
    setChildren(main);
    onChange(segments[0] ?? "");
    scrollTo(0, 0);
    try {
      const title = await view({ main, segments, query, signal });
      if (signal.aborted) return;
      document.title = `${title} · DTI`;
    } catch (error) {
      if (signal.aborted) return;
      setChildren(
        main,
        errorSection(error, () => show()),
      );
      // A view that was opened while the server was away comes back by itself.
      if (error.name === "NetworkError") {
        await whenReachable();
        if (!signal.aborted) await show();
        return;
      }
    }
    if (!first && !main.contains(document.activeElement)) focusHeading(main);
  };
  addEventListener("hashchange", () => show());
  show(true);
}

/** Go to a view. */
export function navigate(view, query = {}) {
  location.hash = linkTo(view, query).slice(1);
}

/** Change the query of the shown view in its address; the view goes on. */
export function replaceQuery(view, query) {
  history.replaceState(history.state, "", linkTo(view, query));
}

/** The address of a view with its query parameters. */
export function linkTo(view, query = {}) {
  const parameters = new URLSearchParams(query);
  return `#/${view}${parameters.size > 0 ? `?${parameters}` : ""}`;
}

function matchRoute(routes) {
  const [path, parameters] = location.hash.replace(/^#\/?/u, "").split("?");
  const segments = path.split("/").filter(Boolean).map(decodeURIComponent);
  const { view } = routes.find((route) => matches(route.path, segments)) ?? routes[0];
  return { view, segments, query: new URLSearchParams(parameters) };
}

/** Whether a route's path matches; `*` matches any segment. */
function matches(path, segments) {
  const parts = path.split("/").filter(Boolean);
  return parts.length === segments.length && parts.every((part, index) => part === "*" || part === segments[index]);
}

function focusHeading(main) {
  const heading = main.querySelector("h1");
  if (!heading) return main.focus();
  heading.tabIndex = -1;
  heading.focus({ preventScroll: true });
}

function errorSection(error, retry) {
  return element(
    "section",
    { class: "empty" },
    element("h1", {}, error.status === 404 ? "Not found" : "This view could not be loaded"),
    element("p", { class: "muted", role: "alert" }, error.message),
    element(
      "div",
      { class: "actions" },
      element("button", { class: "button plain", type: "button", onclick: retry }, "Try again"),
      element("a", { class: "button quiet", href: "#/" }, "All concepts"),
    ),
  );
}
