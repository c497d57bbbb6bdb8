// Starts Swagger UI on /docs/api. A file of its own, because the page allows no inline script.
const dark = matchMedia("(prefers-color-scheme: dark)");
const dress = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", dress);
dress();

// The filter of its makers looks at tags alone; people look for a path or a word of its summary.
const holds = (call, words) =>
  [call.get("method"), call.get("path"), call.getIn(["operation", "summary"])]
    .join(" ").toLowerCase().includes(words);
const byWords = () => ({
  fn: {
    opsFilter: (tags, phrase) => {
      const words = phrase.trim().toLowerCase();
      return tags
        .map((tag, name) =>
          name.toLowerCase().includes(words)
            ? tag
            : tag.update("operations", (calls) => calls.filter((call) => holds(call, words))))
        .filter((tag) => tag.get("operations").size > 0);
    },
  },
});

// Its own scrolling aims at where a call stood before the page had all its lines. The browser's
// goes there at once and holds on to the place.
const atOnce = () => ({
  statePlugins: {
    layout: { wrapActions: { scrollToElement: () => (place) => place.scrollIntoView() } },
  },
});

SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#viewer",
  deepLinking: true,
  defaultModelsExpandDepth: 0,
  displayRequestDuration: true,
  docExpansion: "list",
  filter: true,
  persistAuthorization: false, // secrets stay in the page's memory
  plugins: [byWords, atOnce],
  presets: [SwaggerUIBundle.presets.apis],
  validatorUrl: null, // else the specification's address would be told to a stranger
});
