// The part of Airflow's own page that is ours: a frame that shows the plugin's pages inside of Airflow's navigation.
//
// The frame may run no script at all. What leads to Airflow's pages may replace the whole page when somebody clicks on
// it, and it takes over whether Airflow is shown light or dark. Airflow gives React, and which page this is.
const NAME = "ML Security";
const ours = new URL("../", import.meta.url).pathname;
const part = encodeURIComponent;

const address = ({ dagId, runId, taskId, mapIndex }) => {
  if (dagId && runId) {
    const query = new URLSearchParams();
    if (taskId) query.set("task", taskId);
    if (taskId && mapIndex !== undefined && Number(mapIndex) >= 0) query.set("map_index", String(mapIndex));
    return `${ours}dags/${part(dagId)}/runs/${part(runId)}/statements?${query}`;
  }
  return dagId ? `${ours}artifacts?dag=${part(dagId)}` : ours;
};

const theme = () => {
  const root = document.documentElement;
  const dark = root.classList.contains("dark") || root.dataset.theme === "dark";
  return dark ? "dark" : "light";
};

const Frame = (props) => {
  const { createElement, useEffect, useRef } = globalThis.React;
  const frame = useRef(null);
  const dress = () => {
    const inside = frame.current?.contentDocument?.documentElement;
    if (!inside) return; // a report: it has an origin of its own
    inside.dataset.theme = theme();
    inside.dataset.framed = "";
  };
  useEffect(() => {
    const watch = new MutationObserver(dress);
    watch.observe(document.documentElement, { attributes: true, attributeFilter: ["class", "data-theme"] });
    return () => watch.disconnect();
  }, []);
  return createElement("iframe", {
    ref: frame,
    src: address(props),
    title: NAME,
    onLoad: dress,
    sandbox: "allow-same-origin allow-forms allow-downloads allow-top-navigation-by-user-activation",
    style: { border: 0, display: "block", width: "100%", height: "100%", minHeight: "75vh" },
  });
};

globalThis[NAME] = Frame;
